"""Saves the model as MLflow has it: `mlflow_model.py MODEL FOLDER`."""

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
