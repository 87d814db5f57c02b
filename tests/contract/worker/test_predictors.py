"""Predictor classes: what they may ask for, how bodies are read and how answers are written."""

import io
import json

import joblib
import numpy as np
import pytest
from modelyard_worker import frames
from sklearn.linear_model import Ridge

from tests.contract.worker.replica_harness import GATEWAY, Answered, Place, Template

JSON = "application/json"


def answer_of(
    place: Place, template: Template, code: str, body: bytes, content_type: str = JSON, accept: str = ""
) -> Answered:
    with template.replica(place, place.package(code)) as replica:
        return replica.connect().ask(body, content_type, accept=accept)


def test_what_is_in_the_signature_is_what_is_passed(place: Place, template: Template) -> None:
    code = """
class Predictor:
    def __init__(self, model_dir, config):
        self.config, self.model_dir = config, model_dir

    def predict(self, context, query_params, payload, headers):
        return [payload, query_params, headers, list(context), self.config, self.model_dir]
"""
    package = place.package(code, config={"currency": "EUR"})
    with template.replica(place, package) as replica:
        client = replica.connect()
        headers = [["X-Color", "red"], ["x-color", "blue"], ["Accept", "*/*"]]
        answer = client.ask({"a": 1}, headers=headers, query="a=1&b=&a=2")
        assert answer.json == [
            {"a": 1},
            {"a": "2", "b": ""},
            {"x-color": "red, blue", "accept": "*/*"},
            [f"{GATEWAY}{1:016x}", 1, "price", 7, None, None],
            {"currency": "EUR"},
            str(package / "model"),
        ]
        assert client.ask({}, id="given-by-the-caller").json[3][0] == "given-by-the-caller"
        assert client.ask({}, flags=3).json[3][1] == 2


def test_other_names_of_the_first_parameter_are_fine(place: Place, template: Template) -> None:
    code = """
class PythonPredictor:
    def __init__(self, cfg):
        self.cfg = cfg

    def predict(self, data):
        return [self.cfg, data]
"""
    assert answer_of(place, template, code, b"1").json == [{}, 1]


def test_code_beside_the_predictor_can_be_imported_and_read(place: Place, template: Template) -> None:
    code = """
from pathlib import Path
from prices import table
import deep

class Predictor:
    def predict(self, payload):
        return [table, Path("data.txt").read_text(), deep.x]
"""
    package = place.package(code, python_path="lib")
    (package / "code" / "prices.py").write_text("table = {'a': 1}\n")
    (package / "code" / "data.txt").write_text("words")
    (package / "code" / "lib").mkdir()
    (package / "code" / "lib" / "deep.py").write_text("x = 3\n")
    with template.replica(place, package) as replica:
        assert replica.connect().ask(1).json == [{"a": 1}, "words", 3]


def test_a_named_class_is_taken(place: Place, template: Template) -> None:
    code = "class {0}:\n    def predict(self, payload):\n        return '{0}'\n"
    with template.replica(place, place.package(code.format("A") + code.format("B"), class_name="B")) as replica:
        assert replica.connect().ask(1).json == "B"


ECHO = """
{imports}
class Predictor:
    def predict(self, payload{hint}):
        return [type(payload).__name__, {shown}]
"""


def npy(array: object) -> bytes:
    target = io.BytesIO()
    np.save(target, np.asarray(array))
    return target.getvalue()


@pytest.mark.parametrize(
    ("hint", "content_type", "body", "expected"),
    [
        ("", JSON, b'{"a": 1}', ["dict", {"a": 1}]),
        ("", "application/vnd.x+json", b"[1]", ["list", [1]]),
        ("", "text/plain", b"words", ["str", "words"]),
        ("", "text/csv", b"1,2", ["str", "1,2"]),
        ("", "application/x-npy", npy([1.5]), ["ndarray", [1.5]]),
        ("", "application/x-www-form-urlencoded", b"a=1&b=two", ["dict", {"a": "1", "b": "two"}]),
        ("", "application/x-www-form-urlencoded", b'{"a": 1}', ["dict", {"a": 1}]),
        ("", "image/png", b"abc", ["bytes", "abc"]),
        (": dict", JSON, b'{"a": 1}', ["dict", {"a": 1}]),
        (": typing.Dict[str, int]", JSON, b'{"a": 1}', ["dict", {"a": 1}]),
        (": list", JSON, b"[1]", ["list", [1]]),
        (": list", "text/csv", b"1,a\n2,b\n", ["list", [[1.0, "a"], [2.0, "b"]]]),
        (": typing.Optional[list]", JSON, b"[1]", ["list", [1]]),
        (": str", JSON, b'"words"', ["str", "words"]),
        (": str", "text/plain", b"words", ["str", "words"]),
        (": bytes", JSON, b"{", ["bytes", "{"]),
        (": np.ndarray", JSON, b"[[1,2],[3,4]]", ["ndarray", [[1, 2], [3, 4]]]),
        (": np.ndarray", JSON, b'{"instances": [[1,2]]}', ["ndarray", [[1, 2]]]),
        (": np.ndarray", "text/csv", b"1,2\n3,4\n", ["ndarray", [[1.0, 2.0], [3.0, 4.0]]]),
        (": np.ndarray", "application/x-npy", npy([[1]]), ["ndarray", [[1]]]),
        (": 'Unknown'", JSON, b"[1]", ["list", [1]]),
    ],
)
def test_the_hint_decides_how_a_body_is_read(
    place: Place, template: Template, hint: str, content_type: str, body: bytes, expected: list[object]
) -> None:
    shown = "payload.decode() if isinstance(payload, bytes) else payload"
    answer = answer_of(
        place,
        template,
        ECHO.format(imports="import typing\nimport numpy as np", hint=hint, shown=shown),
        body,
        content_type,
    )
    assert answer.status == 200, answer.meta
    assert answer.json == expected


@pytest.mark.parametrize(
    ("hint", "content_type", "body", "status", "told"),
    [
        ("dict", JSON, b"[1]", 400, "a JSON object is expected, not [1]"),
        ("list", JSON, b"{}", 400, "a JSON list is expected"),
        ("dict", "image/png", b"{}", 415, "application/json can be read here"),
        ("str", "text/plain", b"\xff", 400, "as UTF-8"),
        ("np.ndarray", JSON, b"[[1],[1,2]]", 400, "its rows are not of one length"),
        ("np.ndarray", JSON, b"[1, null]", 400, "its values are not of one kind"),
        ("np.ndarray", JSON, b"7", 400, "a JSON list of numbers is expected"),
    ],
)
def test_a_body_that_does_not_suit_the_hint_is_refused(
    place: Place, template: Template, hint: str, content_type: str, body: bytes, status: int, told: str
) -> None:
    answer = answer_of(
        place, template, ECHO.format(imports="import numpy as np", hint=f": {hint}", shown="1"), body, content_type
    )
    assert answer.status == status
    assert told in answer.meta["message"]


MODEL = """
import pydantic

class House(pydantic.BaseModel):
    area: float
    rooms: int = 3

class Predictor:
    def predict(self, payload: House):
        return payload
"""


def test_a_pydantic_model_validates_the_body_and_writes_the_answer(place: Place, template: Template) -> None:
    with template.replica(place, place.package(MODEL)) as replica:
        client = replica.connect()
        assert client.ask({"area": 70}).json == {"area": 70.0, "rooms": 3}
        answer = client.ask({"area": "large", "rooms": "x"})
        assert answer.status == 400
        assert "cannot read the body as House: area: " in answer.meta["message"]
        assert "rooms: " in answer.meta["message"]


ANSWER = """
import dataclasses, datetime, enum, uuid
import numpy as np
from modelyard_worker import Response

@dataclasses.dataclass
class Point:
    x: int
    y: float

class Color(enum.Enum):
    RED = "red"

class Predictor:
    def predict(self, payload):
        return {value}
"""


@pytest.mark.parametrize(
    ("value", "accept", "content_type", "body"),
    [
        ("{'a': [1, 2.5, None, True]}", "", JSON, b'{"a":[1,2.5,null,true]}'),
        ("'words'", "", JSON, b'"words"'),
        ("'words'", "text/plain", "text/plain", b"words"),
        ("None", "", JSON, b"null"),
        ("float('nan')", "", JSON, b"null"),
        ("np.float32(0.5)", "", JSON, b"0.5"),
        ("np.arange(4).reshape(2, 2)", "", JSON, b"[[0,1],[2,3]]"),
        ("np.arange(4).reshape(2, 2)", "text/csv", "text/csv", b"0,1\n2,3"),
        ("{'n': np.int64(3), 'a': np.array([1.5])}", "", JSON, b'{"n":3,"a":[1.5]}'),
        ("Point(1, 2.5)", "", JSON, b'{"x":1,"y":2.5}'),
        ("[Color.RED, datetime.date(2026, 1, 31), uuid.UUID(int=0)]", "", JSON, None),
        ("{1: 2}", "", JSON, b'{"1":2}'),
        ("2**70", "", JSON, b"1180591620717411303424"),
        ("b'raw'", "", "application/octet-stream", b"raw"),
        ("[1, 2]", "text/csv", "text/csv", b"1\n2"),
        ("['a,b', 'c']", "text/csv", "text/csv", b'"a,b"\nc'),
        ("{'a': 1}", "text/csv;q=0.9, */*;q=0.1", JSON, b'{"a":1}'),
    ],
)
def test_answers_of_every_kind_are_written(
    place: Place, template: Template, value: str, accept: str, content_type: str, body: bytes | None
) -> None:
    answer = answer_of(place, template, ANSWER.format(value=value), b"1", accept=accept)
    assert (answer.status, answer.meta.get("type")) == (200, content_type), answer.meta
    expected = b'["red","2026-01-31","00000000-0000-0000-0000-000000000000"]' if body is None else body
    assert answer.body == expected


@pytest.mark.parametrize(("value", "accept"), [("{'a': 1}", "text/csv"), ("b'x'", JSON), ("[1]", "image/png")])
def test_an_accept_that_cannot_be_met_is_refused(place: Place, template: Template, value: str, accept: str) -> None:
    answer = answer_of(place, template, ANSWER.format(value=value), b"1", accept=accept)
    assert (answer.status, answer.meta["error"]) == (406, "invalid_value")


def test_a_response_sets_status_headers_and_type(place: Place, template: Template) -> None:
    value = "Response('<p>', 201, {'x-color': 'red'}, 'text/html')"
    answer = answer_of(place, template, ANSWER.format(value=value), b"1", accept=JSON)
    assert answer.meta == {"status": 201, "type": "text/html", "headers": [["x-color", "red"]]}
    assert answer.body == b"<p>"


def test_a_value_that_json_has_nothing_for_is_the_predictors_failure(place: Place, template: Template) -> None:
    answer = answer_of(place, template, ANSWER.format(value="object()"), b"1")
    assert (answer.status, answer.meta["error"]) == (500, "predictor_failed")
    assert "cannot write a value of type object as JSON" in answer.meta["message"]


def test_what_a_predictor_raises_is_in_the_log_with_the_requests_id(place: Place, template: Template) -> None:
    code = (
        "class Predictor:\n    def predict(self, payload):\n        print('printed')\n        raise KeyError('EUR')\n"
    )
    with template.replica(place, place.package(code)) as replica:
        client = replica.connect()
        answer = client.ask(1, id="abc")
        assert answer.meta == {"status": 500, "error": "predictor_failed", "message": "KeyError: 'EUR'"}
        client.ask(1)
        assert "request abc: the predictor raised\nTraceback" in replica.output
        assert f"request {GATEWAY}{2:016x}: the predictor raised" in replica.output
        assert "printed\n" in replica.output


def test_a_long_message_is_cut_for_the_answer_and_whole_in_the_log(place: Place, template: Template) -> None:
    code = "class Predictor:\n    def predict(self, payload):\n        raise ValueError('x' * 100_000)\n"
    with template.replica(place, place.package(code)) as replica:
        assert len(replica.connect().ask(1).meta["message"]) == 2000
        assert "x" * 100_000 in replica.output


def test_a_model_is_given_to_who_asks_for_it(place: Place, template: Template) -> None:
    code = """
class Predictor:
    def __init__(self, model):
        self.model = model

    def predict(self, payload: "np.ndarray"):
        import numpy as np
        return self.model.predict(np.atleast_2d(payload)).tolist()
"""
    path = place.root / "model.joblib"
    joblib.dump(Ridge(alpha=0.0).fit([[0.0], [1.0]], [0.0, 2.0]), path)
    with template.replica(place, place.package(code, model=path, framework="sklearn")) as replica:
        assert replica.connect().ask([[3.0]]).json == pytest.approx([6.0])


def test_an_empty_body_is_refused_as_json(place: Place, template: Template) -> None:
    answer = answer_of(place, template, ECHO.format(imports="", hint="", shown="payload"), b"")
    assert (answer.status, answer.meta["message"]) == (400, "cannot read an empty body")


def test_meta_that_is_not_an_object_closes_the_connection(place: Place, template: Template) -> None:
    with template.replica(place, place.package(ECHO.format(imports="", hint="", shown="payload"))) as replica:
        client = replica.connect()
        client.send(frames.pack(frames.REQUEST, 1, b"[]", b"1", frames.END))
        frame = client.take()
        assert frame.type == frames.GOAWAY
        assert "not a JSON object" in json.loads(frame.meta)["error"]
        assert replica.connect().ask(1).status == 200
