"""Writes what MLflow writes: scikit-learn without a signature, with columns, XGBoost, and a Python function."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import xgboost
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

folder = Path(sys.argv[1])
random = np.random.default_rng(0)
rows = random.normal(size=(60, 4))
targets = rows @ [1.0, -2.0, 3.0, 0.5]
ridge = Ridge().fit(rows, targets)
mlflow.sklearn.save_model(ridge, folder / "plain", serialization_format="cloudpickle", pip_requirements=[])

table = pd.DataFrame({"area": rows[:, 0], "town": np.array(["Bern", "Kiel"])[random.integers(0, 2, 60)]})
homes = make_pipeline(
    make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough"), LinearRegression()
).fit(table, targets)
mlflow.sklearn.save_model(
    homes,
    folder / "columns",
    signature=mlflow.models.infer_signature(table, homes.predict(table)),
    serialization_format="cloudpickle",
    pip_requirements=[],
)
booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(rows, targets), 10)
mlflow.xgboost.save_model(booster, folder / "boosted", pip_requirements=[])
wrapped = xgboost.XGBClassifier(n_estimators=3).fit(rows, targets > 0)
mlflow.xgboost.save_model(wrapped, folder / "labels", pip_requirements=[])


class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):  # noqa: ARG002 (MLflow gives them)
        return pd.DataFrame({"sum": model_input.sum(axis=1), "most": model_input.max(axis=1)})


mlflow.pyfunc.save_model(folder / "function", python_model=Sums(), pip_requirements=[])

cases = {
    "plain": ("plain", rows.tolist(), ridge.predict(rows).tolist()),
    "columns": ("columns", table[:5].to_dict(orient="records"), homes.predict(table[:5]).tolist()),
    "boosted": ("boosted", rows.tolist(), booster.predict(xgboost.DMatrix(rows)).tolist()),
    "labels": ("labels", rows.tolist(), wrapped.predict(rows).tolist()),
    "function": ("function", rows.tolist(), {"sum": rows.sum(axis=1).tolist(), "most": rows.max(axis=1).tolist()}),
}
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "mlflow", "ask": ask, "answer": answer}
            for name, (file, ask, answer) in cases.items()
        }
    )
)
