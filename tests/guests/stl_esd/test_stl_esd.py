"""Anomalies in series with statsmodels' STL."""

from pathlib import Path

import numpy as np
import pytest

from tests.guests.algorithm_jobs import train
from tests.guests.guest_environment import guest_python
from tests.guests.model_files import TEST_SECONDS

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]

WRONG = (40, 111, 222, 333)


@pytest.fixture(scope="module")
def python() -> str:
    return guest_python("stl_esd")


def series() -> tuple[np.ndarray, np.ndarray]:
    """A trend, a week and noise of 1, with four values that are 12 off; and which those are."""
    days = np.arange(400)
    values = 0.02 * days + 10 * np.sin(2 * np.pi * days / 7) + np.random.default_rng(5).normal(size=400)
    truth = np.isin(days, WRONG)
    values[list(WRONG)] += [12, -12, 12, -12]
    return values, truth


def test_what_is_wrong_in_a_series_is_found_in_training_and_served(python: str, tmp_path: Path) -> None:
    values, truth = series()
    text = "".join(f"{int(label)},{value:.6f}\n" for label, value in zip(truth, values, strict=True))
    done = train(
        python, tmp_path, "stl-esd", {"train": text}, "text/csv;label_size=1", period="7", max_anomalies="0.05"
    )
    assert done.code == 0, done.output
    assert (done.metrics["train-recall"], done.metrics["train-precision"]) == (1.0, 1.0)
    lines = (tmp_path / "output" / "data" / "anomalies.csv").read_text().splitlines()
    assert [int(line.split(",")[0]) for line in lines[1:]] == [place + 1 for place in WRONG]
    answer = done.predict([values.tolist()])
    assert [place for place, flag in enumerate(answer["anomaly"][0]) if flag] == list(WRONG)
    assert abs(answer["deviation"][0][40]) > 8
    assert (tmp_path / "model" / "requirements.txt").read_text().startswith("statsmodels")


def test_a_series_too_short_for_two_seasons_is_refused_in_one_sentence(python: str, tmp_path: Path) -> None:
    done = train(python, tmp_path, "stl-esd", {"train": "1\n2\n3\n"}, "text/csv", period="7")
    assert done.code == 1
    assert done.failure == "cannot examine channel train: it has 3 values, and two seasons have 14"
