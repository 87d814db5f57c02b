"""What every server of this benchmark answers: a LogisticRegression on iris, JSON rows in, JSON classes out."""

from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

BODY = b"[[5.1,3.5,1.4,0.2]]"
"""The request that the load consists of: the set's first flower."""
ANSWER = b"[0]"
"""What every server must answer to it, the constant one included."""
MODEL_VARIABLE = "BENCH_MODEL"
"""Tells a peer's process where the model file lies."""

_ITERATIONS_MAX = 1000


def write_model(folder: Path) -> Path:
    """Fits the model and writes it as `iris.joblib` into `folder`."""
    rows, classes = flowers()
    path = folder / "iris.joblib"
    # scikit-learn and joblib carry no types.
    model = cast("Any", LogisticRegression(max_iter=_ITERATIONS_MAX)).fit(rows, classes)
    cast("Any", joblib).dump(model, path)
    return path


def flowers() -> tuple[np.ndarray, np.ndarray]:
    """The 150 flowers: rows (150, 4) of centimetres and their classes (150,)."""
    found = cast("Any", load_iris())
    return found.data, found.target
