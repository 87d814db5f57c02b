"""What every version of MLflow's client must be able to do with a yard."""

import base64
import json
import os
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import xgboost

from modelyard.sdk.address import Address
from modelyard.sdk.environment import environment_lines
from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard, eventually
from tests.guests.guest_environment import guest_python

STORY_SECONDS = 600
SCRIPT = Path(__file__).with_name("mlflow_client.py")

AUTOLOG = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

mlflow.autolog()
features, labels = load_iris(return_X_y=True)
model = LogisticRegression(C=0.7, max_iter=1000).fit(features, labels)
print(f"accuracy={model.score(features, labels):.4f}")
"""
"""Not a word of the yard in it."""


def a_tracked_yard() -> Iterator[Yard]:
    """A yard for the stories of one file. The environments of its server and its scripts are installed from what an
    earlier test has downloaded."""
    found = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(Path(found) / "modelyard-tests" / "uv"))
        with a_yard() as one:
            yield one


def asked(yard: Yard, path: str, **query: str) -> dict[str, Any]:
    """What MLflow's interface answers through the yard's door, to HTTP basic with the key as password."""
    url = f"{yard.url}/mlflow/api/2.0/mlflow/{path}?{urlencode(query)}"
    pair = base64.b64encode(f"yard:{yard.key}".encode()).decode()
    request = urllib.request.Request(url, headers={"authorization": f"Basic {pair}"})
    with urllib.request.urlopen(request, timeout=STORY_SECONDS) as answer:
        return json.load(answer)


def run_there(yard: Yard, run: str) -> dict[str, Any]:
    """A run as MLflow has it: `status`, `params`, `metrics`, `tags`, `inputs`."""
    found = asked(yard, "runs/get", run_id=run)["run"]
    data = found["data"]
    return {
        "status": found["info"]["status"],
        **{kind: {one["key"]: one["value"] for one in data.get(kind, [])} for kind in ("params", "metrics", "tags")},
        "inputs": found.get("inputs", {}).get("dataset_inputs", []),
    }


def ended_there(yard: Yard, run: str) -> dict[str, Any]:
    """The run when MLflow has been told how it ended, which is the last thing that it is told: tags, then the status.
    That may be there before, from a program that speaks to MLflow itself."""

    def told() -> dict[str, Any] | None:
        found = run_there(yard, run)
        return found if "modelyard.status" in found["tags"] and found["status"] != "RUNNING" else None

    return eventually(told, STORY_SECONDS, f"what there is to tell of {run}")


def history(yard: Yard, run: str, metric: str) -> list[tuple[int, float]]:
    """Step and value of each point."""
    found = asked(yard, "metrics/get-history", run_id=run, metric_key=metric, max_results="1000").get("metrics", [])
    return sorted((int(one.get("step", 0)), float(one["value"])) for one in found)


def runs_of(yard: Yard, experiment: str, status: str) -> list[dict[str, Any]]:
    """Runs of an experiment that stand so, as MLflow has them."""
    request = urllib.request.Request(
        f"{yard.url}/mlflow/api/2.0/mlflow/runs/search",
        json.dumps({"experiment_ids": [experiment]}).encode(),
        {"authorization": f"Bearer {yard.key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=STORY_SECONDS) as answer:
        return [one for one in json.load(answer).get("runs", []) if one["info"]["status"] == status]


def check_autolog(yard: Yard, version: str, folder: Path) -> None:
    """What a script logs by MLflow's own `autolog` and what the yard finds stand in one run, under the same id."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(AUTOLOG)
    needed = [f"mlflow-skinny=={version}", "pandas", "scikit-learn", *(["setuptools"] if version < "3" else [])]
    (folder / "requirements.txt").write_text("".join(f"{one}\n" for one in needed))
    (folder / "data.csv").write_text("1,2\n")
    started = yard.client().train(
        "autologs",
        entry="train.py",
        source=folder,
        inputs={"train": "data.csv"},
        hyperparameters={"team": "houses"},
        log_metrics={"accuracy": r"accuracy=(\S+)"},
    )
    ended = yard.client().wait_run(started["id"], limit_seconds=STORY_SECONDS)
    assert ended["status"] == "Completed", "\n".join(yard.client().run_logs(started["id"]))
    assert ended["metrics"]["accuracy"] > 0.9
    there = ended_there(yard, started["id"])
    assert (there["status"], there["tags"]["modelyard.status"]) == ("FINISHED", "Completed")
    assert there["params"]["C"] == "0.7", "autolog's"
    assert there["params"]["team"] == "houses", "the yard's"
    assert there["metrics"]["training_accuracy_score"] == pytest.approx(there["metrics"]["accuracy"], abs=1e-3)
    assert there["tags"]["modelyard.code"]
    assert [one["dataset"]["name"] for one in there["inputs"] if one["dataset"]["source_type"] == "modelyard"] == [
        "train"
    ]
    experiment = asked(yard, "experiments/get-by-name", experiment_name="autologs")["experiment"]["experiment_id"]
    assert [one["info"]["run_id"] for one in runs_of(yard, experiment, "FINISHED")] == [started["id"]]


def variables(yard: Yard) -> dict[str, str]:
    """What `eval "$(modelyard env mlflow)"` sets."""
    words = [
        shlex.split(line)[1].partition("=") for line in environment_lines(Address(yard.url, yard.key), "mlflow", "")
    ]
    return {name: value for name, _, value in words}


def run_client(yard: Yard, guest: str, folder: Path, **more: str) -> dict[str, Any]:
    done = subprocess.run(
        # -P: beside the script lie folders with the names of libraries.
        [guest_python(guest), "-P", str(SCRIPT)],
        env={**os.environ, **variables(yard), **more},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=STORY_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + yard.log("mlflow")
    return json.loads(done.stdout[done.stdout.index('{"version"') :])


def check_client(yard: Yard, guest: str, folder: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(50, 3))
    booster = xgboost.XGBRegressor(n_estimators=4).fit(rows, rows.sum(axis=1)).get_booster()
    booster.save_model(folder / "model.ubj")
    client = yard.client()
    client.register("yards-price", folder / "model.ubj", project="houses")

    found = run_client(yard, guest, folder)

    assert found["params"] == {"eta": "0.3", "depth": "3", "batch": "yes"}
    assert found["rmse"] == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert found["loss_points"] == 500
    assert found["datasets"] == ["houses"]
    assert found["artifacts"] == ["texts/notes.txt"]
    assert found["notes"] == 10_000
    assert found["searched"] == 1
    assert found["alias"] == ["1", True, "yes"]
    assert found["models"] == ["clients_price", "yards-price"]
    assert found["description"] == "prices of houses"
    assert found["versions"] == ["1"]
    assert found.get("logged", ["model"]) == ["model"]

    wanted = booster.predict(xgboost.DMatrix(np.array(found["rows"])))
    assert np.allclose(found["yards"], wanted)

    version = client.model_version("clients_price@champion")
    assert version["framework"] == "mlflow"
    yard_file = folder / "modelyard.yaml"
    yard_file.write_text("- {name: price, model: clients_price@champion}\n")
    client.deploy(yard_file)
    client.wait_endpoint("price")
    assert np.allclose(np.asarray(client.predict("price", found["rows"])).ravel(), found["loaded"])
