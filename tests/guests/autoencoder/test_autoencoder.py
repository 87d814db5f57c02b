"""The autoencoder on PyTorch's build for processors."""

from pathlib import Path

import numpy as np
import pytest

from tests.guests.algorithm_jobs import train
from tests.guests.guest_environment import guest_python
from tests.guests.model_files import TEST_SECONDS

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]

VALUES = {"hidden_units": "16,3", "epochs": "40", "learning_rate": "0.01"}


@pytest.fixture(scope="module")
def python() -> str:
    return guest_python("pytorch", by_pip="torch==2.13.0")


def waves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sines of any phase, of which every tenth is noise; and which those are."""
    random = np.random.default_rng(seed)
    steps = np.arange(24)
    rows = np.sin(2 * np.pi * steps / 24 + random.uniform(0, 6.28, (count, 1))) + random.normal(0, 0.05, (count, 24))
    truth = np.arange(count) % 10 == 0
    rows[truth] = random.normal(0, 1, (truth.sum(), 24))
    return rows, truth


def text(rows: np.ndarray, truth: np.ndarray) -> str:
    return "".join(
        ",".join([str(int(label)), *(f"{value:.5f}" for value in row)]) + "\n"
        for label, row in zip(truth, rows, strict=True)
    )


def test_what_is_unlike_what_was_learnt_scores_high_and_the_threshold_is_chosen_on_validation(
    python: str, tmp_path: Path
) -> None:
    channels = {"train": text(*waves(600, 1)), "validation": text(*waves(200, 2))}
    done = train(python, tmp_path, "autoencoder", channels, "text/csv;label_size=1", **VALUES)
    assert done.code == 0, done.output
    assert "chosen by the best F1 on validation" in done.output
    assert done.metrics["validation-auc"] > 0.98
    assert done.metrics["validation-f1"] > 0.9
    rows, truth = waves(200, 3)
    answer = done.predict(rows.tolist())
    assert np.mean(np.array(answer["anomaly"]) == truth) > 0.95
    assert min(np.array(answer["score"])[truth]) > np.median(np.array(answer["score"])[~truth])


def test_the_same_seed_learns_the_same(python: str, tmp_path: Path) -> None:
    values = {**VALUES, "epochs": "3"}
    rows = text(*waves(100, 1))
    first, second = (
        train(python, tmp_path / name, "autoencoder", {"train": rows}, "text/csv;label_size=1", **values).metrics
        for name in ("a", "b")
    )
    assert first == second
