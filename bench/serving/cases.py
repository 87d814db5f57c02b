"""The cases: what every server is asked, and what it must answer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LogisticRegression

from bench.serving.work import BATCH_ROWS_MAX, BATCH_SECONDS

CONNECTIONS = (1, 16, 64)
HAND_WRITTEN = ("raw", "fastapi-1", "fastapi-2")
FRAMEWORKS = ("bentoml", "litserve", "mlserver", "mlserver-0", "ray", "ray-haproxy", "mlflow")

_ITERATIONS_MAX = 1000
_TREES = 100
_FLOATS_ROWS = 430
_FLOATS_COLUMNS = 128
QUESTIONS = 30
"""How many single rows are compared, spread over the data."""

Rows = list[list[float]]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    what: str
    connections: tuple[int, ...]
    peers: tuple[str, ...]
    ideal_requests_per_second: float | None = None
    """What nothing can exceed, where the work itself says so."""


CASES = (
    Case(
        "iris",
        "scikit-learn's LogisticRegression on iris, one row of four numbers",
        CONNECTIONS,
        ("constant", *HAND_WRITTEN, *FRAMEWORKS),
    ),
    Case(
        "diabetes",
        f"XGBoost on diabetes, {_TREES} trees, one row of ten numbers",
        CONNECTIONS,
        ("raw", "fastapi-1", "fastapi-2"),
    ),
    Case(
        "batch",
        f"a model that takes one call at a time, {BATCH_SECONDS * 1e3:.0f} ms for up to {BATCH_ROWS_MAX} rows",
        (16, 64),
        ("fastapi-1", "bentoml", "litserve", "mlserver", "mlserver-0", "ray", "ray-haproxy"),
        BATCH_ROWS_MAX / BATCH_SECONDS,
    ),
    Case(
        "floats",
        f"1 MB of JSON, {_FLOATS_ROWS} rows of {_FLOATS_COLUMNS} floats, to their means",
        (1, 16),
        HAND_WRITTEN,
    ),
    Case("constant", "a predictor that answers [0] without looking", (1, 64), ("constant", "fastapi-1")),
    Case(
        "stream", "a generator of four parts, 5 ms between them: when the first one comes", (1,), ("raw", "fastapi-1")
    ),
)
CASES_BY_NAME = {case.name: case for case in CASES}


def write_models(folder: Path) -> None:
    """Fits the models of `iris` and `diabetes` and writes them into `folder`, each as its own library saves it."""
    flowers, classes = _iris()
    # scikit-learn and joblib carry no types.
    model = cast("Any", LogisticRegression(max_iter=_ITERATIONS_MAX)).fit(flowers, classes)
    cast("Any", joblib).dump(model, folder / "iris.joblib")
    patients, progression = _diabetes()
    data = xgboost.DMatrix(patients, progression, nthread=1)
    xgboost.train({"nthread": 1, "max_depth": 4}, data, _TREES).save_model(folder / "diabetes.ubj")


def asked(case: Case) -> Rows:
    """The rows of the request that the load consists of."""
    return questions(case)[0]


def questions(case: Case) -> list[Rows]:
    """The requests whose answers are compared before any load; `asked` is the first of them."""
    if case.name == "diabetes":
        return _spread(_diabetes()[0])
    if case.name == "floats":
        random = np.random.default_rng(0)
        return [random.normal(size=(_FLOATS_ROWS, _FLOATS_COLUMNS)).tolist() for _ in range(2)]
    return _spread(_iris()[0])


def _spread(rows: np.ndarray) -> list[Rows]:
    return [[row] for row in rows[:: len(rows) // QUESTIONS].tolist()]


def _iris() -> tuple[np.ndarray, np.ndarray]:
    """The 150 flowers: rows (150, 4) of centimetres and their classes (150,)."""
    found = cast("Any", load_iris())
    return found.data, found.target


def _diabetes() -> tuple[np.ndarray, np.ndarray]:
    """The 442 patients: rows (442, 10), standardised, and the disease's progression (442,)."""
    found = cast("Any", load_diabetes())
    return found.data, found.target
