"""The work of every case: rows in, one value a row out. What each server serves, whatever stands around it.

Peers import this in environments of their own, so it imports nothing but NumPy before a case asks for more.
"""

import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

CASE_VARIABLE = "BENCH_CASE"
MODELS_VARIABLE = "BENCH_MODELS"
"""Tell a peer's process what it serves, and where the model files lie."""

BATCH_ROWS_MAX = 32
BATCH_SECONDS = 0.020
"""The `batch` case: one call takes so long, whether it holds one row or as many as it may."""

BATCH_WAIT_SECONDS = 0.001
"""How long a peer that batches by a timer waits for more: short enough for one connection."""

STREAM_PARTS = 4
STREAM_PAUSE_SECONDS = 0.005
"""The `stream` case: a server that keeps parts back until the last shows it."""

Predict = Callable[[Any], Any]
"""Rows (n, k) -> values (n,)."""


def load_work(case: str, models: Path) -> Predict:
    """What a case computes. Raises KeyError for a case without work of its own."""
    return _WORKS[case](models)


def batch_wait_seconds(case: str) -> float:
    """What a user would tell such a peer: for the slow model as long as a call takes, so that batches are full."""
    return BATCH_SECONDS if case == "batch" else BATCH_WAIT_SECONDS


def parts() -> Generator[str]:
    """What the `stream` case answers."""
    for number in range(STREAM_PARTS):
        if number:
            time.sleep(STREAM_PAUSE_SECONDS)
        yield f"part {number}\n"


def _iris(models: Path) -> Predict:
    import joblib  # pyright: ignore[reportMissingTypeStubs]

    return joblib.load(models / "iris.joblib").predict  # pyright: ignore[reportUnknownMemberType]


def _diabetes(models: Path) -> Predict:
    import xgboost

    booster: Any = xgboost.Booster({"nthread": 1}, model_file=models / "diabetes.ubj")
    return booster.inplace_predict


def _batch(models: Path) -> Predict:  # noqa: ARG001 (as the others)
    turn = threading.Lock()

    def predict(rows: Any) -> Any:
        if len(rows) > BATCH_ROWS_MAX:
            raise ValueError(f"cannot take {len(rows)} rows at once: {BATCH_ROWS_MAX} are the most")
        with turn:
            time.sleep(BATCH_SECONDS)
        return np.asarray(rows).sum(axis=1)

    return predict


def _floats(models: Path) -> Predict:  # noqa: ARG001
    return lambda rows: np.asarray(rows).mean(axis=1)


def _constant(models: Path) -> Predict:  # noqa: ARG001
    return lambda rows: np.zeros(len(rows), int)


_WORKS: dict[str, Callable[[Path], Predict]] = {
    "iris": _iris,
    "diabetes": _diabetes,
    "batch": _batch,
    "floats": _floats,
    "constant": _constant,
}
