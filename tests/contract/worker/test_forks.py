"""What each loader declares about forking, proved: load, fork, predict with one thread and with two, within a limit.

OpenMP's threads do not survive a fork, and a child that needs them waits for ever: each case here would hang, not fail,
if the template had made any.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.contract.worker.replica_harness import Place, Template

X, Y = cast("Any", load_iris(return_X_y=True))
A, B = cast("Any", load_diabetes(return_X_y=True))


def _boosted(path: Path) -> Any:
    booster = xgboost.train({"objective": "reg:squarederror", "nthread": 2}, xgboost.DMatrix(A, B), 20)
    booster.save_model(path)
    return booster.predict(xgboost.DMatrix(A))


def _classifier(path: Path) -> Any:
    model = xgboost.XGBClassifier(n_estimators=10).fit(X, Y)
    model.save_model(path)
    return model.get_booster().predict(xgboost.DMatrix(X))


def _estimator(make: Callable[[], Any], rows: Any, targets: Any) -> Callable[[Path], Any]:
    def save(path: Path) -> Any:
        # Fitted in this process with all its threads, as a user does: what is forked is another process.
        model = make().fit(rows, targets)
        joblib.dump(model, path)
        return model.predict(rows)

    return save


CASES = {
    "xgboost-regression": ("xgboost", "model.ubj", A, _boosted),
    "xgboost-classifier": ("xgboost", "model.json", X, _classifier),
    "logistic-regression": ("sklearn", "m.joblib", X, _estimator(lambda: LogisticRegression(max_iter=500), X, Y)),
    "hist-gradient-classifier": ("sklearn", "m.joblib", X, _estimator(HistGradientBoostingClassifier, X, Y)),
    "hist-gradient-regressor": ("sklearn", "m.joblib", A, _estimator(HistGradientBoostingRegressor, A, B)),
    "random-forest-all-cores": (
        "sklearn",
        "m.joblib",
        X,
        _estimator(lambda: RandomForestClassifier(20, n_jobs=-1), X, Y),
    ),
    "scaled-pipeline": (
        "sklearn",
        "m.joblib",
        X,
        _estimator(lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), X, Y),
    ),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_a_model_predicts_after_the_fork_as_before_it(
    place: Place, template: Template, case: str, threads: int
) -> None:
    framework, file, rows, save = CASES[case]
    path = place.root / file
    expected = save(path)
    package = place.package(model=path, framework=framework)
    for above in (template, template.fork_template(package)):
        replica = place.replica_folder(package)
        assert above.fork(replica, numeric_threads=threads)["ok"], above.folder
        client = replica.connect()
        assert client.probe() == {"ok": True}
        # Enough rows that libraries do use their threads.
        found = client.ask(np.tile(rows, (4, 1)).tolist())
        assert found.status == 200, found.meta
        assert np.array_equal(np.array(found.json), np.tile(expected, (4,) + (1,) * (expected.ndim - 1)))


def test_a_model_of_two_threads_really_uses_them_after_the_fork(place: Place, template: Template) -> None:
    path = place.root / "m.joblib"
    _estimator(HistGradientBoostingRegressor, A, B)(path)
    code = """
import os

class Predictor:
    def __init__(self, config, model):
        self.model = model

    def predict(self, payload):
        import numpy as np
        self.model.predict(np.zeros((200_000, 10)))
        return len(os.listdir("/proc/self/task")) > 1
"""
    package = place.package(code, model=path, framework="sklearn")
    for threads in (1, 2):
        replica = place.replica_folder(package)
        assert template.fork(replica, numeric_threads=threads)["ok"]
        assert replica.connect().ask(None).json is (threads > 1)
