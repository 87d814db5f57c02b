"""The real tritonclient[http] against a real yard: the Open Inference Protocol with JSON and with binary tensors."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import a_yard, iris_model
from tests.guests.guest_environment import guest_python

__all__ = ["iris_model"]
"""A fixture: pytest finds it by its name here."""

pytestmark = [pytest.mark.environments, pytest.mark.timeout(300)]

CLIENT = Path(__file__).with_name("client.py")
LIMIT_SECONDS = 60

YARD_FILE = """
- name: same
  max_body: 20Mi
  predictor: {path: same.py}
- name: fields
  predictor: {path: fields.py}
- name: table
  predictor: {path: table.py}
"""

SAME = """
import numpy as np

class Predictor:
    def predict(self, payload: np.ndarray):
        return payload
"""

FIELDS = """
from pydantic import BaseModel
from typing import List

class House(BaseModel):
    area: List[float]
    rooms: List[int] = [1]

class Predictor:
    def predict(self, payload: House):
        if payload.area[0] < 0:
            raise ValueError("no such house")
        return {"price": payload.area[0] * 1000 + payload.rooms[0]}
"""

TABLE = """
class Predictor:
    def predict(self, payload: dict):
        return {**payload, "double": [2 * area for area in payload["area"]]}
"""

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def ask(iris_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Runs a case of `client.py`."""
    python = guest_python("tritonclient")
    folder = tmp_path_factory.mktemp("models")
    for name, text in (("same.py", SAME), ("fields.py", FIELDS), ("table.py", TABLE), ("modelyard.yaml", YARD_FILE)):
        (folder / name).write_text(text)
    with a_yard() as yard:
        client = yard.client()
        client.deploy(folder / "modelyard.yaml")
        client.deploy(iris_model, name="iris")
        for name in ("same", "fields", "table", "iris"):
            waited = client.wait_endpoint(name)
            assert waited.state == "live", waited
        yield lambda case: _run(python, yard.url.removeprefix("http://"), case)


def _run(python: str, address: str, case: str) -> Any:
    command = [python, str(CLIENT), address, case]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_server_and_its_models_say_whether_they_are_ready(ask: Ask) -> None:
    found = ask("state")
    assert (found["live"], found["ready"], found["server"]["name"]) == (True, True, "modelyard")
    assert "binary_tensor_data" in found["server"]["extensions"]
    assert (found["model ready"], found["version ready"]) == (True, True)
    assert (found["other version ready"], found["missing ready"]) == (False, False)
    assert {"name": "iris", "version": "1", "state": "READY", "reason": ""} in found["index"]


def test_a_models_metadata_names_its_tensors(ask: Ask) -> None:
    found = ask("metadata")
    assert found["iris"]["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert found["iris"]["outputs"] == [{"name": "output", "datatype": "INT64", "shape": [-1]}]
    assert found["iris"]["versions"] == ["1"]
    assert found["version"] == found["iris"]
    assert found["config"]["input"] == [{"name": "input", "data_type": "TYPE_FP64", "dims": [-1, 4]}]


def test_binary_tensors_go_there_and_back_with_the_requests_id(ask: Ask) -> None:
    found = ask("binary")
    assert (found["values"], found["type"]) == ([0, 2], "int64")
    answer = found["answer"]
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("17", "iris", "1")
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 16}


def test_tensors_as_json_are_answered_as_json_where_that_is_asked_for(ask: Ask) -> None:
    found = ask("as_json")
    assert found["values"] == [0, 2]
    assert found["answer"]["outputs"] == [{"name": "species", "datatype": "INT64", "shape": [2], "data": [0, 2]}]


def test_every_type_survives_both_forms(ask: Ask) -> None:
    found = ask("types")
    assert len(found) == 25
    assert [name for name, same in found.items() if not same] == []


def test_tensors_by_name_become_fields(ask: Ask) -> None:
    assert ask("named") == {"fields": [80003.0], "table": {"area": [80.0], "double": [160.0]}}


def test_megabytes_of_tensors_go_there_and_back(ask: Ask) -> None:
    assert ask("large") is True


@pytest.mark.parametrize(
    ("case", "status", "said"),
    [
        ("missing", "404", "there is no endpoint nowhere"),
        ("wrong_shape", "400", "3 values instead of 4"),
        ("wrong_output", "400", "cannot answer output garden: there is none, but area, rooms, double"),
        ("raises", "500", "the predictor raised ValueError"),
        ("wrong_version", "404", "version 7 of iris does not serve"),
    ],
)
def test_an_error_is_one_text_with_its_status(ask: Ask, case: str, status: str, said: str) -> None:
    found = ask(case)
    assert found["status"] == status
    assert said in found["message"]
