"""Every mistake is answered: what is wrong, where, and what would be right."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.errors import InvalidValue, ModelyardError, NotFound
from tests.acceptance.standing import standing_yard
from tests.acceptance.yard import Yard

pytestmark = pytest.mark.acceptance

ENDPOINTS = """
- name: echo
  predictor: {path: echo.py, config: {}}
  max_body: 1Mi
- name: typed
  predictor: {path: typed.py, config: {}}
- name: iris
  model: iris.joblib
"""

ECHO = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        if payload == "raise":
            raise ValueError("customer 4711 owes")
        if payload == "object":
            return object()
        return payload
"""

TYPED = """
from pydantic import BaseModel

class Flower(BaseModel):
    petals: int
    colour: str

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: Flower):
        return payload.petals
"""


@pytest.fixture(scope="module")
def standing(iris_model: Path) -> Iterator[tuple[Yard, Path]]:
    with standing_yard() as (yard, project):
        for name, text in (("modelyard.yaml", ENDPOINTS), ("echo.py", ECHO), ("typed.py", TYPED)):
            (project / name).write_text(text)
        (project / "iris.joblib").write_bytes(iris_model.read_bytes())
        yard.client().deploy(project / "modelyard.yaml")
        for name in ("echo", "typed", "iris"):
            assert yard.client().wait_endpoint(name).state == "live"
        yield yard, project


@pytest.fixture
def yard(standing: tuple[Yard, Path]) -> Yard:
    return standing[0]


@pytest.fixture
def written(yard: Yard, tmp_path: Path) -> Callable[..., Path]:
    """Writes a project and returns its yard file."""

    def write(yard_file: str, **files: str) -> Path:
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        path = tmp_path / "modelyard.yaml"
        path.write_text(yard_file)
        return path

    return write


def modelyard(*words: str, home: Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The program as it is typed."""
    return subprocess.run(
        [sys.executable, "-m", "modelyard.cli.main", *words],
        env={**os.environ, "MODELYARD_HOME": str(home)},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The yard file


@pytest.mark.parametrize(
    ("yard_file", "told"),
    [
        ("- name: a\n  modle: x.joblib\n", r"modelyard.yaml:2: a.modle: unknown field; did you mean model\?"),
        ("- name: a\n  kind: endpiont\n  model: x\n", r"modelyard.yaml:2: .*endpiont.*did you mean endpoint\?"),
        ("- name: a b\n  model: x\n", r"modelyard.yaml:1: .*name.*'a b'.*a DNS label"),
        ("- name: a\n  model: x\n  timeout: 0s\n", r"modelyard.yaml:3: a.timeout: found .*more than nothing"),
        ("- name: a\n  model: x\n  autoscaling: {min_replicas: 9999}\n", r"min_replicas: found 9999.*256"),
        ("- name: a\n  model: missing.joblib\n", r"modelyard.yaml:2: a.model: .*missing.joblib"),
        ("- name: a\n  predictor: {path: missing.py}\n", r"a.predictor.path: .*missing.py"),
        ("- name: a\n   model: x\n", r"modelyard.yaml:2"),
        ("", r"modelyard.yaml"),
        ("- 1\n", r"modelyard.yaml:1"),
    ],
    ids=["key", "kind", "name", "value", "bound", "model-file", "predictor-file", "yaml", "empty", "no-map"],
)
def test_a_wrong_yard_file_is_refused_with_its_line_and_changes_nothing(
    yard: Yard, written: Callable[..., Path], yard_file: str, told: str
) -> None:
    before = [one.name for one in yard.client().endpoints()]
    with pytest.raises((InvalidValue, NotFound)) as refused:
        yard.client().deploy(written(yard_file))
    assert re.search(told, refused.value.message, re.DOTALL), refused.value.message
    assert refused.value.message.startswith("cannot ")
    assert [one.name for one in yard.client().endpoints()] == before


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("class Predictr: pass\n", "cannot find the predictor class in predictor.py: its classes are Predictr"),
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:\n", "SyntaxError"),
        ("class Predictor:\n    def __init__(self, config): raise KeyError('EUR')\n", "KeyError: 'EUR'"),
        ("class Predictor:\n    def __init__(self, config): pass\n", "it has neither `predict` nor `predict_batch`"),
        ("class Predictor:\n    def predict(self, payload, nonsense): pass\n", "nonsense"),
    ],
    ids=["class", "import", "syntax", "constructor", "method", "parameter"],
)
def test_code_that_cannot_serve_is_an_error_with_the_last_lines_of_its_log(
    yard: Yard, written: Callable[..., Path], code: str, told: str
) -> None:
    client = yard.client()
    client.deploy(written("- name: broken\n  predictor: {path: predictor.py, config: {}}\n", predictor__py=code))
    try:
        view = client.wait_endpoint("broken")
        assert view.state == "error"
        assert told in view.sentence.splitlines()[0], view.sentence
        assert "predictor.py" in view.sentence
        answer = httpx.post(f"{yard.url}/endpoints/broken/invocations", json={}, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    finally:
        client.delete_endpoint("broken")


@pytest.mark.parametrize(("name", "content"), [("notes.txt", b"no model"), ("damaged.joblib", b"not a pickle")])
def test_a_file_that_is_no_model_is_refused_before_anything_is_wished(
    yard: Yard, tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelyardError, match=r"^cannot ") as refused:
        yard.client().deploy(tmp_path / name)
    assert refused.value.hint


def test_a_model_that_cannot_be_loaded_is_an_error_with_the_reason(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "empty.joblib").write_bytes(b"")
    client = yard.client()
    client.deploy(tmp_path / "empty.joblib")
    try:
        view = client.wait_endpoint("empty")
        assert view.state == "error"
        assert "LoadFailed: cannot load" in view.sentence.splitlines()[0]
    finally:
        client.delete_endpoint("empty")


# Predictions


def ask(yard: Yard, name: str, content: bytes, **headers: str) -> httpx.Response:
    given = {one.replace("_", "-"): value for one, value in headers.items()}
    return httpx.post(f"{yard.url}/endpoints/{name}/invocations", content=content, headers=given, timeout=30)


JSON, CSV = "application/json", "text/csv"


@pytest.mark.parametrize(
    ("name", "content", "headers", "status", "told"),
    [
        ("echo", b"{no json", {"content_type": JSON}, 400, "cannot read the body as JSON"),
        ("echo", b"", {"content_type": JSON}, 400, "empty body"),
        ("typed", b'{"petals": "many", "colour": "red"}', {"content_type": JSON}, 400, "petals"),
        ("typed", b'{"petals": 5}', {"content_type": JSON}, 400, "colour"),
        ("typed", b"[1]", {"content_type": JSON}, 400, "Flower"),
        ("typed", b"a,b", {"content_type": CSV}, 415, "application/json can be read here"),
        ("iris", b"", {"content_type": CSV}, 400, "empty body"),
        ("iris", b"1,2\n", {"content_type": CSV}, 400, "cannot read row 0: it has 2 values instead of 4"),
        ("iris", b"1,2,3,x\n", {"content_type": CSV}, 400, "row 0, column 3: 'x' is not a number"),
        ("iris", b"\xff\xfe", {"content_type": CSV}, 400, "UTF-8"),
        ("iris", b"[[1,2]]", {"content_type": JSON}, 400, "cannot read"),
        ("iris", b"[[1,2,3,4]]", {"content_type": "image/png"}, 415, "image/png"),
        ("iris", b"[[1,2,3,4]]", {"content_type": JSON, "accept": "image/png"}, 406, "image/png"),
        ("echo", b"x" * (2**20 + 1), {}, 413, "1048576"),
        ("ehco", b"{}", {}, 404, "there is no endpoint ehco"),
        ("echo", b'"raise"', {"content_type": JSON}, 500, "the predictor raised ValueError"),
        ("echo", b'"object"', {"content_type": JSON}, 500, "the predictor raised TypeError"),
    ],
)
def test_a_wrong_request_is_answered_with_what_is_wrong_about_it(
    yard: Yard, name: str, content: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    answer = ask(yard, name, content, **headers)
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert told in body["error"]["message"], body
    assert body["error"]["message"].startswith("cannot ")
    assert body["Message"] == body["error"]["message"]
    assert body["OriginalStatusCode"] == status
    assert answer.headers["x-request-id"] == body["error"]["request_id"]
    assert yard.client().predict("echo", {"a": 1}) == {"a": 1}


def test_other_mistakes_of_http_are_answered_too(yard: Yard) -> None:
    path = f"{yard.url}/endpoints/echo/invocations"
    assert httpx.get(path).status_code == 405
    assert httpx.put(path, content=b"{}").status_code == 405
    assert httpx.post(path, headers={"x": "a" * 70_000}).status_code == 431
    assert httpx.get(f"{yard.url}/nothing/here").json()["error"]["code"] == "not_found"
    wrong = httpx.put(f"{yard.url}/api/v1/endpoints", headers={"x-api-key": yard.key})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET")
    assert httpx.get(f"{yard.url}/api/v1/endpoints").json()["error"]["code"] == "unauthorized"


def test_what_a_predictor_raised_is_in_the_log_under_the_requests_id_and_not_for_strangers(yard: Yard) -> None:
    stranger = ask(yard, "echo", b'"raise"', content_type=JSON)
    assert "4711" not in stranger.text
    assert (
        "customer 4711 owes"
        in ask(yard, "echo", b'"raise"', x_api_key=yard.key, content_type=JSON).json()["error"]["message"]
    )
    lines = list(yard.client().endpoint_logs("echo", request=stranger.headers["x-request-id"], as_json=True))
    told = [json.loads(line) for line in lines]
    assert told[-1]["text"] == "ValueError: customer 4711 owes"
    assert {one["level"] for one in told} == {"ERROR"}


# The yard itself


def test_an_unknown_name_is_told_with_the_nearest(yard: Yard) -> None:
    for words in (
        ("get", "ehco"),
        ("logs", "ehco"),
        ("predict", "ehco", "1"),
        ("rollback", "ehco"),
        ("delete", "ehco"),
    ):
        done = modelyard(*words, home=yard.home)
        assert (done.returncode, "did you mean echo?" in done.stderr) == (1, True), done.stderr


def test_a_second_yard_in_one_home_is_refused(yard: Yard) -> None:
    done = modelyard("up", "--detach", "--port", "0", home=yard.home)
    assert yard.url in done.stdout + done.stderr


def test_a_port_that_is_taken_is_told_with_the_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = modelyard("up", "--detach", "--port", str(port), home=tmp_path / "home")
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "--port 0" in done.stderr


def test_a_home_that_is_no_folder_is_told_with_the_remedy(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    for home in (place, place / "below"):
        done = modelyard("up", "--detach", "--port", "0", home=home)
        assert done.returncode == 1
        assert f"cannot use {home}" in done.stderr
        assert "MODELYARD_HOME" in done.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = modelyard("up", "--detach", "--port", "0", home=tmp_path / "home")
    tmp_path.chmod(0o700)
    assert done.returncode == 1
    assert "MODELYARD_HOME" in done.stderr


def test_no_yard_is_told_with_the_remedy(tmp_path: Path) -> None:
    done = modelyard("get", home=tmp_path / "home")
    assert done.returncode == 1
    assert "modelyard up" in done.stderr


def test_a_wrong_key_is_told_with_where_the_right_one_is(yard: Yard) -> None:
    answer: Any = httpx.get(f"{yard.url}/api/v1/status", headers={"x-api-key": "wrong"}).json()
    assert answer["error"]["code"] == "unauthorized"
    assert "file `key`" in answer["error"]["hint"]
