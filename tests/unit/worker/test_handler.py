"""A handler is called as Lambda calls it, and what becomes of it is told as Lambda tells it."""

import base64
import json
import logging
import signal
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from modelyard_worker.frames import pack_meta, unpack_meta
from modelyard_worker.handler import Handler
from modelyard_worker.lambda_context import LambdaContext
from modelyard_worker.request import Refusal, Request, read_meta
from modelyard_worker.servable import Serving
from modelyard_worker.signatures import CannotServe

SERVING = Serving("hello", 1, 0.2, 256 * 2**20)


class _Caller:
    gateway = "00000000"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    alarm, handlers = signal.getsignal(signal.SIGALRM), list(logging.getLogger().handlers)
    yield
    signal.signal(signal.SIGALRM, alarm)
    logging.getLogger().handlers[:] = handlers


def invoke(
    function: Any, body: bytes = b"{}", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], Any]:
    meta = read_meta(pack_meta({"id": "r-1", "headers": list((headers or {}).items())}))
    _, packed, answer = Handler(function, SERVING, 0.01).predict([Request(_Caller(), 1, meta, body)])[0]
    told = unpack_meta(packed)
    return told["status"], dict(told["headers"]), json.loads(answer)


def test_an_event_goes_in_and_the_result_comes_out() -> None:
    status, headers, answer = invoke(lambda event, _: {"got": event, "sum": Decimal("1.5")}, b'{"a": [1]}')
    assert (status, answer) == (200, {"got": {"a": [1]}, "sum": 1.5})
    assert headers == {"x-amz-executed-version": "$LATEST"}


def test_no_body_is_an_empty_event() -> None:
    assert invoke(lambda event, _: event, b"")[2] == {}


def test_what_is_no_json_never_reaches_the_handler() -> None:
    with pytest.raises(Refusal, match="could not parse request body into json"):
        invoke(lambda *_: pytest.fail("called"), b"{")


def test_the_context_says_who_and_how_long() -> None:
    def handler(_: Any, context: LambdaContext) -> dict[str, Any]:
        return {
            "name": context.function_name,
            "version": context.function_version,
            "memory": context.memory_limit_in_mb,
            "id": context.aws_request_id,
            "arn": context.invoked_function_arn,
            "left": context.get_remaining_time_in_millis(),
            "custom": context.client_context.custom if context.client_context else None,
        }

    given = base64.b64encode(b'{"custom": {"k": 1}}').decode()
    _, _, answer = invoke(handler, headers={"X-Amz-Client-Context": given})
    assert 0 < answer.pop("left") <= 200
    assert answer == {
        "name": "hello",
        "version": "$LATEST",
        "memory": "256",
        "id": "r-1",
        "arn": "arn:aws:lambda:local:000000000000:function:hello",
        "custom": {"k": 1},
    }


def test_what_it_raises_is_told_with_the_frames_of_its_own() -> None:
    def handler(event: Any, _: Any) -> None:
        raise KeyError(event["key"])

    status, headers, answer = invoke(handler, b'{"key": "k"}')
    assert status == 500
    assert headers["x-amz-function-error"] == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"], answer["requestId"]) == ("KeyError", "'k'", "r-1")
    assert len(answer["stackTrace"]) == 1
    assert "in handler" in answer["stackTrace"][0]


@pytest.mark.parametrize("busy", [lambda: time.sleep(60), lambda: [None for _ in iter(int, 1)]])
def test_one_that_takes_too_long_is_broken_off_even_where_it_catches_everything(busy: Any) -> None:
    def handler(*_: Any) -> str:
        try:
            busy()
        except Exception:  # noqa: BLE001 (as handlers do)
            return "caught"
        return "done"

    began_at = time.monotonic()
    status, _, answer = invoke(handler)
    assert time.monotonic() - began_at < 30
    assert (status, answer["errorType"]) == (504, "Sandbox.Timedout")
    assert answer["errorMessage"] == "RequestId: r-1 Error: Task timed out after 0.20 seconds"


def test_one_that_exits_or_returns_what_json_cannot_write_fails_alone() -> None:
    assert invoke(lambda *_: exit(3))[2]["errorType"] == "Runtime.ExitError"
    status, _, answer = invoke(lambda *_: {1, 2})
    assert (status, answer["errorType"]) == (500, "Runtime.MarshalError")
    assert answer["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"


def test_each_invocation_is_framed_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    invoke(lambda *_: print("mine"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["START RequestId: r-1 Version: $LATEST", "mine", "END RequestId: r-1"]
    parts = lines[3].split("\t")
    assert parts[0] == "REPORT RequestId: r-1"
    assert [one.split(":")[0] for one in parts[1:]] == [
        "Duration", "Billed Duration", "Memory Size", "Max Memory Used", "Init Duration",
    ]  # fmt: skip


def test_an_async_handler_is_refused_when_it_is_loaded() -> None:
    async def handler(*_: Any) -> None: ...

    with pytest.raises(CannotServe, match="plain functions"):
        Handler(handler, SERVING, 0.0)
