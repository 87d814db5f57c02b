"""One attempt: an invocation is sent to the gateway, and what comes back is what becomes of it.

answered                        the result, kept as it came; a status from 400 on is a dead letter with an answer
refused by the gateway          no replica, a full queue: it waits, and there was no attempt
gone without an answer          the replica, the gateway or the time: tried again
raised, in a function           tried again, as Lambda does
"""

import asyncio
import json
import re
from typing import Any, NamedTuple, Protocol

from modelyard.clock import Clock
from modelyard.dispatcher.asking import Answer, Broken, Gateway, NotThere
from modelyard.domain.invocations import Invocation, Result, Stored, answered, failed, lost, unsent
from modelyard.errors import NotFound
from modelyard.protocol.routes import ATTEMPT, BODY_FILE, ENDPOINTS, INVOCATIONS, TIMEOUT
from modelyard.settings import Home
from modelyard.store.invocation_files import InvocationFiles, Writing
from modelyard.store.ports import End, Store

GRACE_SECONDS = 30.0
"""Beyond an attempt's own time, in which the gateway answers that it is over."""

REASON_BYTES_MAX = 4096
ERROR_BYTES_MAX = 2**20
"""What is read of an error that the gateway words."""

_NOT_SENT = frozenset({"queue_full", "not_ready", "too_many_requests"})
_NO_ANSWER = frozenset({"replica_died", "deadline_passed"})
_ERROR_TYPE = "x-amzn-errortype"
"""Only the gateway sets it: it tells its errors from those that a predictor answers."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._:-]")
"""What an invocation's id may have and a request's may not."""

_FUNCTION_ERROR = "x-amz-function-error"
"""A function raised, which Lambda tries again."""


class Pause(Protocol):
    def __call__(self, endpoint: str) -> float:
        """How long to wait before an endpoint that took nothing is asked again."""
        ...


class Attempt(NamedTuple):
    """What an attempt led to."""

    end: End
    was_sent: bool


class Sender:
    def __init__(self, home: Home, store: Store, files: InvocationFiles, clock: Clock, pause: Pause) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._pause = pause
        self._gateway = Gateway(str(home.predictions_socket))

    def close(self) -> None:
        self._gateway.close()

    async def attempt(self, one: Invocation, body: bytes) -> Attempt:
        """Never raises for what may happen to a request. `body` is empty where a file has it."""
        path = f"{ENDPOINTS}{one.endpoint}{INVOCATIONS}"
        limit = one.request.timeout_seconds + GRACE_SECONDS
        said = bytearray()
        with self._files.writing() as writing:

            def take(answer: Answer, part: bytes) -> None:
                if _ERROR_TYPE not in answer.headers:
                    writing.write(part)
                elif len(said) < ERROR_BYTES_MAX:
                    said.extend(part)

            try:
                answer = await self._gateway.post(path, self._headers(one), body, limit, take)
            except NotThere:
                return self._unsent(one, "the gateway was not there")
            except Broken as error:
                return self._lost(one, str(error))
            if _ERROR_TYPE in answer.headers:
                return self._refused(one, bytes(said))
            return await self._answered(one, answer, writing)

    def _headers(self, one: Invocation) -> dict[str, str]:
        asked = one.request
        headers = {
            **asked.headers,
            ATTEMPT: str(one.attempt),
            TIMEOUT: f"{asked.timeout_seconds:g}",
            # What the predictor prints can be found by it, whichever attempt it was.
            "x-request-id": _UNSAFE.sub("-", one.id),
        }
        if asked.content_type is not None:
            headers["content-type"] = asked.content_type
        headers["accept"] = asked.accept if asked.accept is not None else "*/*"
        if asked.body.file is not None:
            headers[BODY_FILE] = str(self._files.path(asked.body.file))
        return headers

    async def _answered(self, one: Invocation, answer: Answer, writing: Writing) -> Attempt:
        file = await asyncio.to_thread(writing.keep) if writing.is_long else None
        content = writing.content()
        stored = Stored(writing.size_bytes, writing.sha256, file)
        kind = answer.headers.get("content-type", "application/octet-stream")
        reason = None
        if answer.status >= 400:
            said = content[:REASON_BYTES_MAX].decode("utf-8", "replace")
            reason = f"the predictor answered with status {answer.status}: {said}"
        if _FUNCTION_ERROR in answer.headers:
            return self._lost(one, str(reason))
        done = answered(one, Result(answer.status, kind, stored), reason, self._clock.now())
        return Attempt(End(one.attempt, done, None if file is not None else content), was_sent=True)

    def _refused(self, one: Invocation, body: bytes) -> Attempt:
        """What the gateway says itself."""
        code, message, hint = _error_in(body)
        if code in _NOT_SENT:
            return self._unsent(one, message)
        if code in _NO_ANSWER:
            return self._lost(one, message)
        if code == NotFound.code and self._is_there(one.endpoint):
            return self._unsent(one, message)
        reason = f"{message}; {hint}" if hint else message
        return Attempt(End(one.attempt, failed(one, reason, self._clock.now())), was_sent=True)

    def _is_there(self, endpoint: str) -> bool:
        """The gateway may not have heard of an endpoint yet."""
        try:
            return not self._store.endpoints.get(endpoint).deleting
        except NotFound:
            return False

    def _unsent(self, one: Invocation, reason: str) -> Attempt:
        waiting = unsent(one, reason, self._pause(one.endpoint), self._clock.now())
        return Attempt(End(one.attempt, waiting), was_sent=False)

    def _lost(self, one: Invocation, reason: str) -> Attempt:
        return Attempt(End(one.attempt, lost(one, reason, self._clock.now())), was_sent=True)


def _error_in(body: bytes) -> tuple[str, str, str | None]:
    """Its code, what it says, and what it advises."""
    try:
        error: dict[str, Any] = json.loads(body)["error"]
        return str(error["code"]), str(error["message"]), error.get("hint")
    except (ValueError, KeyError, TypeError):
        return "internal", body[:REASON_BYTES_MAX].decode("utf-8", "replace"), None
