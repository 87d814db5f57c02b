"""Writes the case's model as a folder that `mlflow models serve` takes: `python model.py FOLDER`."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# The library is in the environment of the peer alone, and pyright takes this folder for it.
import os
import sys
from pathlib import Path
from typing import Any

import mlflow

from bench.serving.work import CASE_VARIABLE, MODELS_VARIABLE, load_work


class Peer(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.work = load_work(os.environ[CASE_VARIABLE], Path(os.environ[MODELS_VARIABLE]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return self.work(model_input)


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=Peer(), pip_requirements=["mlflow"])
