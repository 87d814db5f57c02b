"""What every version of MLflow's client must be able to do with a yard."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from modelyard.sdk.address import Address
from modelyard.sdk.environment import environment_lines
from tests.acceptance.yard import Yard
from tests.guests.guest_environment import guest_python

STORY_SECONDS = 600
SCRIPT = Path(__file__).with_name("mlflow_client.py")


def share_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's environment is installed from what an earlier test has downloaded."""
    found = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    monkeypatch.setenv("UV_CACHE_DIR", str(Path(found) / "modelyard-tests" / "uv"))


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
    assert found["models"] == ["clients-price", "yards-price"]
    assert found["description"] == "prices of houses"
    assert found["versions"] == ["1"]
    assert found.get("logged", ["model"]) == ["model"]

    wanted = booster.predict(xgboost.DMatrix(np.array(found["rows"])))
    assert np.allclose(found["yards"], wanted)

    version = client.model_version("clients-price@champion")
    assert version["framework"] == "mlflow"
    yard_file = folder / "modelyard.yaml"
    yard_file.write_text("- {name: price, model: clients-price@champion}\n")
    client.deploy(yard_file)
    client.wait_endpoint("price")
    assert np.allclose(np.asarray(client.predict("price", found["rows"])).ravel(), found["loaded"])
