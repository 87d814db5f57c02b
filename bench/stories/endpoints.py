"""The endpoints of the stories: a yard file and its predictors, written into a folder."""

from pathlib import Path
from typing import Any, cast

import joblib  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

STEADY = "steady"
SLOW = "slow"
LARGE = "large"
QUEUED = "queued"
QUICK_SECONDS = 0.001
SLOW_SECONDS = 0.050
LARGE_BYTES = 200 * 2**20
BODY = b"[[5.1,3.5,1.4,0.2]]"

_PREDICTOR = '''"""A model that takes its time."""

import time


class Predictor:
    def __init__(self, config):
        self.seconds = config["seconds"]

    def predict(self, payload):
        time.sleep(self.seconds)
        return [0]
'''


def write_predictor(
    folder: Path,
    name: str,
    seconds: float,
    scaling: dict[str, Any],
    change: int = 0,
    **more: Any,
) -> Path:
    """The yard file of an endpoint that takes `seconds` a call. Another `change` makes another version; `more` are
    further fields."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "predictor.py").write_text(_PREDICTOR)
    config = {"seconds": seconds, "change": change}
    return _written(
        folder, {"name": name, "predictor": {"path": "predictor.py", "config": config}, "autoscaling": scaling} | more
    )


def write_large(folder: Path, replicas: int) -> Path:
    """The yard file of a model of LARGE_BYTES."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "large.joblib"
    if not model.exists():
        # scikit-learn and joblib carry no types.
        rows = cast("Any", load_iris())
        fitted: Any = LogisticRegression(max_iter=1000)
        fitted.fit(rows.data, rows.target)
        fitted.ballast_ = np.ones(LARGE_BYTES // 8)
        joblib.dump(fitted, model)  # pyright: ignore[reportUnknownMemberType]
    scaling = {"min_replicas": replicas, "max_replicas": replicas}
    return _written(folder, {"name": LARGE, "model": "large.joblib", "autoscaling": scaling})


def _written(folder: Path, resource: dict[str, Any]) -> Path:
    path = folder / "modelyard.yaml"
    path.write_text(yaml.safe_dump([resource]))
    return path
