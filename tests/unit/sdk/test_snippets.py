"""Lines to paste: what is asked, by which name, in which type."""

from dataclasses import replace

import pytest

from modelyard.protocol.views import view_from
from modelyard.protocol.views_of_endpoints import EndpointView
from modelyard.sdk.snippets import EXAMPLE_LENGTH_MAX, UNKNOWN, curl_words, python_lines
from tests.unit.sdk.small_yard import SmallYard

URL, PLACE = "http://127.0.0.1:8400", "http://127.0.0.1:8400/endpoints/pets/invocations"

SHOWN = view_from(EndpointView, SmallYard().add_endpoint("pets"))


def a_view(example: str | None, content_type: str | None) -> EndpointView:
    return replace(SHOWN, example=example, content_type=content_type)


@pytest.mark.parametrize(
    ("example", "content_type", "said"),
    [
        ("[[0.0]]", "application/json", "-H 'content-type: application/json' -d '[[0.0]]'"),
        ('{"name": "O\'Hara"}', "text/csv", "-H 'content-type: application/json' -d '{\"name\": \"O'\"'\"'Hara\"}'"),
        ("{}", None, "-H 'content-type: application/json' -d '{}'"),
        (None, None, f"-H 'content-type: application/json' -d @data.json  # {UNKNOWN}"),
        (
            "[" + "0," * EXAMPLE_LENGTH_MAX + "0]",
            "application/json",
            "-H 'content-type: application/json' -d @data.json",
        ),
        (None, "image/*", "-H 'content-type: image/jpeg' --data-binary @image.jpg"),
        (None, "application/octet-stream", "-H 'content-type: application/octet-stream' --data-binary @data.bin"),
        (None, "text/plain", "-H 'content-type: text/plain' --data-binary @data.txt"),
    ],
)
def test_a_line_to_paste_sends_what_an_endpoint_takes(example: str | None, content_type: str | None, said: str) -> None:
    assert " ".join(curl_words(URL, PLACE, a_view(example, content_type))) == f"curl {PLACE} {said}"


def test_elsewhere_the_shell_fills_the_key_in() -> None:
    assert '-H "x-api-key: $MODELYARD_API_KEY"' in curl_words("https://yard.example", PLACE, a_view("1", None))


@pytest.mark.parametrize(
    ("example", "content_type", "said"),
    [
        ('{"a": true}', "application/json", "yard.predict('pets', {'a': True})"),
        (None, "application/json", f"data = json.loads(Path('data.json').read_text())  # {UNKNOWN}\n"),
        (f"[{'0,' * EXAMPLE_LENGTH_MAX}0]", None, "data = json.loads(Path('data.json').read_text())\n"),
        (None, "image/*", "yard.predict('pets', Path('image.jpg').read_bytes(), content_type='image/jpeg')"),
    ],
)
def test_the_lines_of_python_say_the_same(example: str | None, content_type: str | None, said: str) -> None:
    lines = python_lines(URL, a_view(example, content_type))
    compile(lines, "pasted", "exec")
    assert said in lines


def test_an_endpoint_that_queues_is_asked_so() -> None:
    view = replace(a_view("[1]", None), is_queued=True)
    assert "yard.predict_async('pets', [1])" in python_lines(URL, view)


def test_an_endpoint_of_many_models_is_asked_for_one() -> None:
    view = replace(a_view("[1]", None), has_models=True)
    assert f"curl '{PLACE}?model=NAME'" in curl_words(URL, PLACE, view)
    assert "yard.predict('pets', [1], model='NAME')" in python_lines(URL, view)


def test_a_yard_that_is_older_than_its_client_has_nothing_to_say_of_it() -> None:
    told = {name: value for name, value in SmallYard().add_endpoint("pets").items() if name != "has_models"}
    assert not view_from(EndpointView, told).has_models
