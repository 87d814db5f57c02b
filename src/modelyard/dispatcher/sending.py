"""One attempt: an invocation is sent to the gateway, and what comes back is what becomes of it.

answered                        the result, kept as it came; a status from 400 on is a dead letter with an answer
refused by the gateway          no replica, a full queue: it waits, and there was no attempt
gone without an answer          the replica, the gateway or the time: tried again
raised, in a function           tried again, as Lambda does
"""

import asyncio
import json
from typing import Any, NamedTuple, Protocol

import httpx

from modelyard.clock import Clock
from modelyard.domain.invocations import Invocation, Result, Stored, answered, failed, lost, unsent
from modelyard.errors import NotFound
from modelyard.protocol.routes import ATTEMPT, BODY_FILE, ENDPOINTS, INVOCATIONS, TIMEOUT
from modelyard.settings import Home
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.ports import End, Store

CONNECTIONS_MAX = 2048
CONNECT_SECONDS = 5.0
GRACE_SECONDS = 30.0
"""Beyond an attempt's own time, in which the gateway answers that it is over."""

REASON_BYTES_MAX = 4096

_NOT_SENT = frozenset({"queue_full", "not_ready", "too_many_requests"})
_NO_ANSWER = frozenset({"replica_died", "deadline_passed"})
_ERROR_TYPE = "x-amzn-errortype"
"""Only the gateway sets it: it tells its errors from those that a predictor answers."""

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
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(home.predictions_socket), limits=httpx.Limits(max_connections=CONNECTIONS_MAX)
            ),
            base_url="http://localhost",
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def attempt(self, one: Invocation) -> Attempt:
        """Never raises for what may happen to a request."""
        limits = httpx.Timeout(one.request.timeout_seconds + GRACE_SECONDS, connect=CONNECT_SECONDS)
        path = f"{ENDPOINTS}{one.endpoint}{INVOCATIONS}"
        body = b""
        if one.request.body.file is None:
            body = await asyncio.to_thread(self._store.invocations.content, one.sequence, result=False)
        try:
            async with self._client.stream(
                "POST", path, content=body, headers=self._headers(one), timeout=limits
            ) as response:
                return await self._read(one, response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return self._unsent(one, "the gateway was not there")
        except httpx.HTTPError as error:
            return self._lost(one, f"the gateway ended the connection ({type(error).__name__})")

    def _headers(self, one: Invocation) -> dict[str, str]:
        asked = one.request
        headers = {
            **asked.headers,
            ATTEMPT: str(one.attempt),
            TIMEOUT: f"{asked.timeout_seconds:g}",
            "x-request-id": f"{one.sequence}-{one.attempt}",
        }
        if asked.content_type is not None:
            headers["content-type"] = asked.content_type
        headers["accept"] = asked.accept if asked.accept is not None else "*/*"
        if asked.body.file is not None:
            headers[BODY_FILE] = str(self._files.path(asked.body.file))
        return headers

    async def _read(self, one: Invocation, response: httpx.Response) -> Attempt:
        if _ERROR_TYPE in response.headers:
            return self._refused(one, await response.aread())
        with self._files.writing() as writing:
            async for chunk in response.aiter_raw():
                writing.write(chunk)
            file = await asyncio.to_thread(writing.keep) if writing.is_long else None
            content = writing.content()
            stored = Stored(writing.size_bytes, writing.sha256, file)
        kind = response.headers.get("content-type", "application/octet-stream")
        reason = None
        if response.status_code >= 400:
            said = content[:REASON_BYTES_MAX].decode("utf-8", "replace")
            reason = f"the predictor answered with status {response.status_code}: {said}"
        if _FUNCTION_ERROR in response.headers:
            return self._lost(one, str(reason))
        done = answered(one, Result(response.status_code, kind, stored), reason, self._clock.now())
        return Attempt(End(one.attempt, done, None if file is not None else content), was_sent=True)

    def _refused(self, one: Invocation, body: bytes) -> Attempt:
        """What the gateway says itself."""
        code, message = _error_in(body)
        if code in _NOT_SENT:
            return self._unsent(one, message)
        if code in _NO_ANSWER:
            return self._lost(one, message)
        if code == NotFound.code and self._is_there(one.endpoint):
            return self._unsent(one, message)
        return Attempt(End(one.attempt, failed(one, message, self._clock.now())), was_sent=True)

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


def _error_in(body: bytes) -> tuple[str, str]:
    try:
        error: dict[str, Any] = json.loads(body)["error"]
        return str(error["code"]), str(error["message"])
    except (ValueError, KeyError, TypeError):
        return "internal", body[:REASON_BYTES_MAX].decode("utf-8", "replace")
