"""Which guests a change concerns."""

import pytest

from tests.guests.touched import touched

GUESTS = ("catboost", "dashboards", "dvc", "keras", "lightgbm", "mlflow", "onnx", "pytorch", "skops", "tensorflow")
WORKER = "modelyard-worker/src/modelyard_worker"


@pytest.mark.parametrize(
    ("path", "guests"),
    [
        (f"{WORKER}/loaders/lightgbm.py", {"lightgbm"}),
        (f"{WORKER}/loaders/keras.py", {"keras"}),
        ("tests/guests/mlflow/requirements.txt", {"mlflow"}),
        ("src/modelyard/doors/dvc.py", {"dvc"}),
        ("src/modelyard/doors/dvc/remotes.py", {"dvc"}),
        (f"{WORKER}/loaders/arrays.py", {"catboost", "lightgbm", "onnx", "skops"}),
        (f"{WORKER}/template.py", {"catboost", "lightgbm", "onnx", "skops"}),
        (f"{WORKER}/loaders/pytorch.py", set()),
        ("examples/10-text-page/app.py", {"dashboards"}),
        ("docs/README.md", set()),
        ("src/modelyard/cli/models.py", set()),
    ],
)
def test_a_change_runs_the_guests_that_it_concerns(path: str, guests: set[str]) -> None:
    assert touched([path], GUESTS) == guests
