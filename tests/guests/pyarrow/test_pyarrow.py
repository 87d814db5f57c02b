"""Parquet in, Parquet out: transforms in an environment that has pyarrow."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.contract.worker.transforms import Place
from tests.guests.guest_environment import HERE, guest_python
from tests.guests.model_files import TEST_SECONDS

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]

ROWS = 1000

SUMS = """
import numpy as np

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: np.ndarray):
        return payload.sum(axis=1)
"""

PAIRS = """
import numpy as np

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: np.ndarray):
        return payload[:, :2]
"""

ROW_BY_ROW = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: dict):
        if payload["id"] == config_refused:
            raise ValueError("not this one")
        return {"price": payload["area"] * 10, "large": payload["rooms"] > 3}
"""


@pytest.fixture(scope="module")
def python() -> str:
    return guest_python("pyarrow")


def tables(python: str, *words: object) -> str:
    command = [python, str(HERE / "pyarrow" / "tables.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def place_with_rows(python: str, root: Path, predictor: str) -> Place:
    """A place whose input is one object of several row groups."""
    place = Place(root, predictor, python)
    tables(python, "write", place.input / "rows.parquet", ROWS, 300)
    return place


def written(place: Place) -> dict[str, list[Any]]:
    return json.loads(tables(place.python, "read", place.output / "rows.parquet.out"))


def sums() -> list[float]:
    return [row + row / 2 + row % 5 for row in range(ROWS)]


def test_every_row_of_every_row_group_is_answered_in_order(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, SUMS)
    assert place.run() == 0, place.said
    assert written(place) == {"prediction": sums()}


def test_answers_stand_beside_the_inputs_own_columns_where_they_are_joined(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, SUMS)
    assert place.run(join="Input") == 0, place.said
    found = written(place)
    assert list(found) == ["id", "area", "rooms", "prediction"]
    assert (found["id"], found["prediction"]) == (list(range(ROWS)), sums())


def test_several_values_a_row_are_several_columns(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, PAIRS)
    assert place.run() == 0, place.said
    assert written(place) == {"prediction_0": list(range(ROWS)), "prediction_1": [row / 2 for row in range(ROWS)]}


def test_a_predictor_of_one_row_gets_each_as_an_object_and_its_keys_become_columns(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, ROW_BY_ROW.replace("config_refused", "None"))
    assert place.run() == 0, place.said
    found = written(place)
    assert found == {"price": [row * 5 for row in range(ROWS)], "large": [row % 5 > 3 for row in range(ROWS)]}


def test_several_outputs_of_a_model_are_columns_of_their_names(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, SUMS)
    place.serve_classifier(-1.0, 0.0, 0.0)
    assert place.run() == 0, place.said
    found = written(place)
    assert list(found) == ["score", "predicted_label"]
    assert found["predicted_label"] == [int(row == 0) for row in range(ROWS)]


def test_a_row_that_cannot_be_scored_fails_the_object_and_leaves_no_output(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, ROW_BY_ROW.replace("config_refused", "700"))
    assert place.run() == 1
    assert place.outputs() == []
    assert "not this one" in place.said


def test_lines_can_be_written_in_place_of_a_table(python: str, tmp_path: Path) -> None:
    place = place_with_rows(python, tmp_path, SUMS)
    assert place.run(accept="application/jsonlines") == 0, place.said
    assert [json.loads(line) for line in place.read("rows.parquet.out").splitlines()] == sums()


def test_what_is_no_parquet_is_said_to_be_none(python: str, tmp_path: Path) -> None:
    place = Place(tmp_path, SUMS, python)
    place.write("rows.parquet", "id,area\n1,2\n")
    assert place.run() == 1
    assert "cannot score rows.parquet: it is no Parquet: " in place.said
    assert "Traceback" not in place.said
    assert place.outputs() == []
