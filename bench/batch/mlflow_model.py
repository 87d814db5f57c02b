"""Saves the model as MLflow has it: `mlflow_model.py MODEL FOLDER`."""

# What it imports is in an environment of its own, where its values get their types only as they run.
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import sys
from typing import Any

import mlflow.xgboost
import xgboost


def main(model: str, folder: str) -> None:
    booster: Any = xgboost.Booster()
    booster.load_model(model)
    library: Any = mlflow.xgboost
    library.save_model(booster, folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
