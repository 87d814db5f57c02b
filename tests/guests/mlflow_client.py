# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportOptionalMemberAccess=false
"""What a data scientist's script does with MLflow; run by the guests' interpreters, 2.x and 3.x alike.

It is told of the yard by environment variables alone, and prints what it found as JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import xgboost
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

found = {"version": mlflow.__version__}
client = MlflowClient()
mlflow.set_experiment("prices")
rows = np.random.default_rng(0).normal(size=(100, 3))
labels = rows @ [1.0, 2.0, -1.0]
with mlflow.start_run(run_name="first") as run:
    mlflow.log_params({"eta": 0.3, "depth": 3})
    for step in range(5):
        mlflow.log_metric("rmse", 5.0 - step, step=step)
    now = int(time.time() * 1000)
    batch = [Metric("loss", 1.0 / (1 + step), now, step) for step in range(500)]
    client.log_batch(run.info.run_id, batch, [Param("batch", "yes")], [RunTag("team", "houses")])
    table = pd.DataFrame(rows, columns=["a", "b", "c"])
    mlflow.log_input(mlflow.data.from_pandas(table, name="houses"), context="training")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.txt"
        path.write_text("some notes" * 1000)
        mlflow.log_artifact(str(path), "texts")
    model = xgboost.XGBRegressor(n_estimators=5).fit(rows, labels).get_booster()
    model.feature_names = None
    place = {"name": "model"} if mlflow.__version__.startswith("3") else {"artifact_path": "model"}
    # What this client has is what the endpoint's environment gets; MLflow would ask for all of MLflow.
    needed = [f"mlflow-skinny=={mlflow.__version__}", "pandas", "scikit-learn", "xgboost-cpu"]
    mlflow.xgboost.log_model(model, registered_model_name="clients_price", pip_requirements=needed, **place)
there = client.get_run(run.info.run_id)
found["params"] = there.data.params
found["rmse"] = [one.value for one in client.get_metric_history(run.info.run_id, "rmse")]
found["loss_points"] = len(client.get_metric_history(run.info.run_id, "loss"))
found["datasets"] = [one.dataset.name for one in there.inputs.dataset_inputs]
found["artifacts"] = [one.path for one in client.list_artifacts(run.info.run_id, "texts")]
downloaded = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="texts/notes.txt")
found["notes"] = len(Path(downloaded).read_text())
found["searched"] = len(mlflow.search_runs(experiment_names=["prices"], filter_string="metrics.rmse < 2"))
client.set_registered_model_alias("clients_price", "champion", "1")
client.set_model_version_tag("clients_price", "1", "reviewed", "yes")
client.update_registered_model("clients_price", description="prices of houses")
version = client.get_model_version_by_alias("clients_price", "champion")
found["alias"] = [version.version, version.run_id == run.info.run_id, version.tags.get("reviewed")]
found["models"] = sorted(one.name for one in client.search_registered_models())
found["description"] = client.get_registered_model("clients_price").description
found["versions"] = [one.version for one in client.search_model_versions("name='clients_price'")]
loaded = mlflow.pyfunc.load_model("models:/clients_price@champion")
found["loaded"] = np.asarray(loaded.predict(rows[:3])).tolist()
yards = mlflow.pyfunc.load_model("models:/yards-price/1")
found["yards"] = np.asarray(yards.predict(rows[:3, :])).tolist()
found["rows"] = rows[:3].tolist()
if hasattr(client, "search_logged_models"):
    experiment = client.get_experiment_by_name("prices")
    found["logged"] = [one.name for one in client.search_logged_models([experiment.experiment_id])]
json.dump(found, sys.stdout)
