"""What a forked replica holds for itself: thousands fit on a machine because of what it does not."""

from typing import Any, cast

import joblib
import numpy as np
import psutil
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from tests.contract.worker.replica_harness import Place, Replica, Template

OWN_BYTES_MAX = 10 * 2**20
LIBRARIES = ["numpy", "sklearn.ensemble", "joblib"]


def own_bytes(replica: Replica) -> int:
    return psutil.Process(replica.pid).memory_full_info().uss


def asked(template: Template, replica: Replica, row: Any, **arguments: Any) -> Replica:
    """The same replica, forked and asked some times."""
    assert template.fork(replica, **arguments)["ok"]
    client = replica.connect()
    assert client.probe() == {"ok": True}
    for _ in range(3):
        assert client.ask(row).status == 200
    return replica


def test_a_replica_of_a_small_model_holds_less_than_ten_mebibytes_for_itself(place: Place, template: Template) -> None:
    rows, targets = cast("Any", load_iris(return_X_y=True))
    path = place.root / "small.joblib"
    joblib.dump(LogisticRegression(max_iter=500).fit(rows, targets), path)
    package = place.package(model=path, framework="sklearn")
    held = [
        own_bytes(asked(template, place.replica_folder(package), [[5.1, 3.5, 1.4, 0.2]], libraries=LIBRARIES))
        for _ in range(2)
    ]
    assert max(held) < OWN_BYTES_MAX, held


def test_replicas_of_a_large_model_share_it(place: Place, template: Template) -> None:
    rows = np.random.default_rng(7).random((100_000, 64))
    path = place.root / "large.joblib"
    model = KNeighborsClassifier(1, algorithm="brute").fit(rows, np.arange(len(rows)) % 3)
    joblib.dump(model, path)
    model_bytes = path.stat().st_size
    package = place.package(model=path, framework="sklearn")
    template.command("import", libraries=LIBRARIES)
    with_model = template.fork_template(package)
    held = [
        own_bytes(asked(with_model, place.replica_folder(package), rows[:1].tolist(), libraries=LIBRARIES))
        for _ in range(3)
    ]
    assert held[-1] < 0.2 * (model_bytes + held[-1]), (held, model_bytes)
