"""What a function hears of a request, and what goes back, in both formats of API Gateway's HTTP APIs."""

import base64
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.payloads import HttpAnswer, HttpRequest, Routed, Unmappable, answer_of, event_of

ROUTED = Routed("shop", "test", "GET /items/{id}", "/items/{id}", {"id": "1"}, {})


def request(**changed: Any) -> HttpRequest:
    fields: dict[str, Any] = {
        "method": "GET", "path": "/test/items/1", "query": "", "headers": [("host", "h.example:8400")], "body": b"",
        "host": "h.example:8400", "address": "10.0.0.1", "request_id": "r", "at": 1583348638.39,
    }  # fmt: skip
    return HttpRequest(**{**fields, **changed})


def remade(event: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """What of a request an event holds."""
    body = event.get("body") or ""
    content = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    if event["version"] == "1.0":
        several = event["multiValueQueryStringParameters"] or {}
        query = [(name, one) for name, values in several.items() for one in values]
        return event["httpMethod"], event["path"], query, content
    pairs = (one.partition("=") for one in event["rawQueryString"].split("&") if one)
    query = [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]
    return event["requestContext"]["http"]["method"], event["rawPath"], query, content


@given(
    st.sampled_from(["1.0", "2.0"]),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.text(max_size=20).map(lambda text: "/" + quote(text.encode("utf-8", "replace"))),
    st.dictionaries(st.text("abcäü =&", min_size=1, max_size=5), st.lists(st.text("xyz+%&é", max_size=5), max_size=2)),
    st.binary(max_size=50),
    st.sampled_from(["", "text/plain", "application/json", "application/octet-stream", "image/png"]),
)
def test_nothing_of_a_request_is_lost_on_the_way_into_an_event(
    version: str, method: str, path: str, query: dict[str, list[str]], body: bytes, kind: str
) -> None:
    pairs = [(name, one) for name, values in query.items() for one in values]
    given_headers = [("content-type", kind)] if kind else []
    asked = request(method=method, path=path, query=urlencode(pairs), headers=given_headers, body=body)
    assert remade(event_of(asked, ROUTED, version)) == (method, path, parse_qsl(urlencode(pairs), True), body)


def test_a_text_body_arrives_as_a_string_and_any_other_in_base64() -> None:
    for kind in ("text/plain", "application/json; charset=utf-8", "application/problem+json"):
        event = event_of(request(body=b"hi", headers=[("content-type", kind)]), ROUTED, "2.0")
        assert (event["body"], event["isBase64Encoded"]) == ("hi", False)
    for kind, body in (("image/png", b"hi"), ("application/x-www-form-urlencoded", b"hi"), ("text/plain", b"\xff")):
        event = event_of(request(body=body, headers=[("content-type", kind)]), ROUTED, "2.0")
        assert (event["body"], event["isBase64Encoded"]) == (base64.b64encode(body).decode(), True)


def test_format_2_joins_what_came_several_times_and_gathers_cookies() -> None:
    headers = [("x-a", "1"), ("x-a", "2"), ("cookie", "a=1; b=2"), ("host", "h.example")]
    event = event_of(request(query="p=1&p=2", headers=headers), ROUTED, "2.0")
    assert event["headers"] == {"x-a": "1,2", "host": "h.example"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["queryStringParameters"] == {"p": "1,2"}
    assert event["pathParameters"] == {"id": "1"}
    assert event["requestContext"]["time"] == "04/Mar/2020:19:03:58 +0000"
    assert event["requestContext"]["timeEpoch"] == 1583348638390
    assert event["requestContext"]["domainName"] == "h.example"
    assert "body" not in event
    assert "stageVariables" not in event


def test_format_1_has_every_field_and_the_last_of_what_came_several_times() -> None:
    event = event_of(request(query="p=1&p=2", headers=[("x-a", "1"), ("x-a", "2")]), ROUTED, "1.0")
    assert event["headers"] == {"X-A": "2"}
    assert event["multiValueHeaders"] == {"X-A": ["1", "2"]}
    assert event["queryStringParameters"] == {"p": "2"}
    assert event["multiValueQueryStringParameters"] == {"p": ["1", "2"]}
    assert (event["body"], event["stageVariables"], event["resource"]) == (None, None, "/items/{id}")


def test_a_proved_token_is_in_the_context() -> None:
    claims = {"sub": "u", "groups": ["a", "b"], "exp": 5}
    routed = Routed("shop", "test", "GET /", "/", {}, {}, claims, ["s"])
    jwt = event_of(request(), routed, "2.0")["requestContext"]["authorizer"]["jwt"]
    assert jwt == {"claims": {"sub": "u", "groups": "[a b]", "exp": "5"}, "scopes": ["s"]}


def test_a_result_without_a_status_is_a_body_in_format_2_and_nothing_in_format_1() -> None:
    plain = [("content-type", "application/json")]
    assert answer_of({"a": 1}, "2.0") == HttpAnswer(200, plain, b'{"a": 1}')
    assert answer_of("hello", "2.0") == HttpAnswer(200, plain, b"hello")
    with pytest.raises(Unmappable):
        answer_of({"a": 1}, "1.0")


def test_a_result_without_headers_is_plain_text() -> None:
    found = answer_of({"statusCode": 200, "body": "hi"}, "2.0")
    assert found == HttpAnswer(200, [("content-type", "text/plain; charset=utf-8")], b"hi")


def test_cookies_and_several_values_come_out_as_lines_of_their_own() -> None:
    found = answer_of({"statusCode": "201", "cookies": ["a=1", "b=2"], "headers": {"X-N": 5}}, "2.0")
    assert found.headers[:3] == [("x-n", "5"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    found = answer_of({"statusCode": 200, "headers": {"X-A": "0"}, "multiValueHeaders": {"x-a": ["1", "2"]}}, "1.0")
    assert found.headers[:2] == [("x-a", "1"), ("x-a", "2")]


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "ok"}, {"statusCode": 99}, {"statusCode": True}, {"statusCode": 200, "body": {}},
        {"statusCode": 200, "headers": ["a"]}, {"statusCode": 200, "body": "?", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"a": {}}}, {"statusCode": 200, "cookies": "a=1"},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(result: Any) -> None:
    with pytest.raises(Unmappable):
        answer_of(result, "2.0")


@given(st.binary(max_size=100))
def test_a_binary_body_survives(body: bytes) -> None:
    result = {"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(body).decode()}
    assert answer_of(result, "2.0").body == body
