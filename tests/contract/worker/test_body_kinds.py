"""Bodies beside JSON and CSV: forms, JSON Lines, NPZ; and what is said where a library is missing."""

import io
from typing import Any

import numpy as np
import pytest

from tests.contract.worker.replica_harness import Place, Template

BOUNDARY = b"----form-1"

ECHO = """
{imports}
class Predictor:
    def predict(self, payload{hint}):
        return {value}
"""


def form(*parts: tuple[str, bytes]) -> bytes:
    lines = [b"--" + BOUNDARY + b"\r\n" + head.encode() + b"\r\n\r\n" + content + b"\r\n" for head, content in parts]
    return b"".join(lines) + b"--" + BOUNDARY + b"--\r\n"


FIELD = 'Content-Disposition: form-data; name="city"'
FILE = 'Content-Disposition: form-data; name="photo"; filename="a \\"b\\".bin"\r\nContent-Type: image/x-test'
MULTIPART = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def ask(
    place: Place, template: Template, code: str, body: bytes, content_type: str, accept: str = ""
) -> tuple[int | None, bytes, str]:
    with template.replica(place, place.package(code)) as replica:
        answer = replica.connect().ask(body, content_type, accept=accept)
        return answer.status, answer.body, str(answer.meta.get("message", answer.meta.get("type")))


def test_a_form_is_its_fields_and_files_by_name(place: Place, template: Template) -> None:
    shown = "[payload['city'], payload['photo'].filename, payload['photo'].content_type, len(payload['photo'].read())]"
    body = form((FIELD, b"Bern"), (FILE, b"\x00\r\n--\xff"))
    found = ask(place, template, ECHO.format(imports="", hint="", value=shown), body, MULTIPART)
    assert found[:2] == (200, b'["Bern","a \\"b\\".bin","image/x-test",6]')


def test_a_name_that_comes_twice_has_a_list(place: Place, template: Template) -> None:
    body = form((FIELD, b"Bern"), (FIELD, b"Basel"))
    found = ask(place, template, ECHO.format(imports="", hint=": dict", value="payload"), body, MULTIPART)
    assert found[:2] == (200, b'{"city":["Bern","Basel"]}')


def test_bytes_of_a_form_are_its_one_file(place: Place, template: Template) -> None:
    code = ECHO.format(imports="", hint=": bytes", value="payload")
    assert ask(place, template, code, form((FIELD, b"x"), (FILE, b"abc")), MULTIPART)[:2] == (200, b"abc")
    status, _, told = ask(place, template, code, form((FIELD, b"x")), MULTIPART)
    assert (status, told) == (400, "cannot read the form: one file is expected in it, not 0")


@pytest.mark.parametrize("body", [b"", b"no form", b"--a\r\n", b"--a\r\nx: y\r\n\r\nz\r\n--a--", form(("x: y", b"1"))])
def test_what_is_no_form_is_refused(place: Place, template: Template, body: bytes) -> None:
    status, _, told = ask(place, template, ECHO.format(imports="", hint="", value="1"), body, MULTIPART)
    assert status == 400
    assert told.startswith("cannot read the body as a form: ")


def test_a_form_is_validated_by_a_model(place: Place, template: Template) -> None:
    imports = "import pydantic\nclass City(pydantic.BaseModel):\n    city: str\n    size: int = 3\n"
    code = ECHO.format(imports=imports, hint=": City", value="payload")
    assert ask(place, template, code, form((FIELD, b"Bern")), MULTIPART)[:2] == (200, b'{"city":"Bern","size":3}')
    status, _, told = ask(place, template, code, b"city=Bern&size=big", "application/x-www-form-urlencoded")
    assert status == 400
    assert "cannot read the body as City: size: " in told


def test_models_inside_of_lists_are_validated_with_their_place(place: Place, template: Template) -> None:
    imports = "import pydantic\nfrom typing import List\nclass House(pydantic.BaseModel):\n    area: float\n"
    code = ECHO.format(imports=imports, hint=": List[House]", value="[one.area for one in payload]")
    assert ask(place, template, code, b'[{"area": 1}, {"area": 2}]', "application/json")[:2] == (200, b"[1.0,2.0]")
    assert ask(place, template, code, b'{"area": 1}\n{"area": 2}\n', "application/jsonlines")[:2] == (200, b"[1.0,2.0]")
    status, _, told = ask(place, template, code, b'[{"area": 1}, {"area": "x"}]', "application/json")
    assert status == 400
    assert "1.area: " in told


@pytest.mark.parametrize("name", ["application/x-ndjson", "application/jsonlines"])
def test_json_lines_are_read_and_written(place: Place, template: Template, name: str) -> None:
    code = ECHO.format(imports="", hint="", value="payload")
    assert ask(place, template, code, b'{"a":1}\n\n[2]', name, name) == (200, b'{"a":1}\n[2]\n', name)
    status, _, told = ask(place, template, code, b"1\n{\n", name)
    assert status == 400
    assert "cannot read line 2 of the body as JSON" in told


def npz(**arrays: Any) -> bytes:
    target = io.BytesIO()
    np.savez_compressed(target, **arrays)
    return target.getvalue()


def test_npz_is_arrays_by_name_or_one_array(place: Place, template: Template) -> None:
    kind = "application/x-npz"
    named = ECHO.format(imports="", hint=": dict", value="payload")
    assert ask(place, template, named, npz(a=[1], b=[[2.5]]), kind)[:2] == (200, b'{"a":[1],"b":[[2.5]]}')
    one = ECHO.format(imports="import numpy as np", hint=": np.ndarray", value="payload * 2")
    assert ask(place, template, one, npz(a=[1, 2]), kind)[:2] == (200, b"[2,4]")
    assert ask(place, template, one, npz(a=[1], b=[2]), kind)[0] == 400
    assert ask(place, template, one, b"PK nonsense", kind)[0] == 400


def test_objects_in_arrays_are_never_unpickled(place: Place, template: Template) -> None:
    target = io.BytesIO()
    np.savez(target, a=np.array([print], dtype=object))
    code = ECHO.format(imports="", hint="", value="1")
    assert ask(place, template, code, target.getvalue(), "application/x-npz")[0] == 400


@pytest.mark.parametrize(
    ("content_type", "missing"),
    [("application/vnd.apache.parquet", "pyarrow"), ("application/vnd.apache.arrow.stream", "pyarrow")],
)
def test_a_kind_of_body_whose_library_is_missing_names_it(
    place: Place, template: Template, content_type: str, missing: str
) -> None:
    # The library is hidden, so that the test holds wherever it is installed.
    code = f"import sys\nsys.modules['{missing}'] = None\n" + ECHO.format(imports="", hint=": list", value="1")
    status, _, told = ask(place, template, code, b"PAR1", content_type)
    assert status == 415
    assert f"{missing} is not in this endpoint's environment" in told


STREAM = """
class Predictor:
    def predict(self, payload):
        yield from payload
"""


@pytest.mark.parametrize(
    ("sent", "accept", "content_type", "body"),
    [
        (b'["a\\nb", "c"]', "text/event-stream", "text/event-stream", b"data: a\ndata: b\n\ndata: c\n\n"),
        (b'[{"a": 1}]', "text/event-stream", "text/event-stream", b'data: {"a":1}\n\n'),
        (b'["a", "b"]', "application/jsonlines", "application/jsonlines", b'"a"\n"b"\n'),
        (b'["a", "b"]', "", "text/plain; charset=utf-8", b"ab"),
        (b"[1, [2]]", "", "application/x-ndjson", b"1\n[2]\n"),
    ],
)
def test_a_generators_parts_have_the_form_that_the_caller_accepts(
    place: Place, template: Template, sent: bytes, accept: str, content_type: str, body: bytes
) -> None:
    assert ask(place, template, STREAM, sent, "application/json", accept) == (200, body, content_type)
