"""Asks the gateway over its socket: HTTP as far as one of the yard's own processes needs it of another.

A queue is emptied as fast as its dispatcher can ask, so a request costs little here: connections stay open, and an
answer's body goes where it is wanted as it comes.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import httptools

IDLE_MAX = 64
"""Open connections without a request that are kept."""

CONNECT_SECONDS = 5.0

_UNSAFE = dict.fromkeys(map(ord, "\r\n\0"), " ")


class NotThere(Exception):  # noqa: N818 (reads as what happened)
    """The gateway took no connection: nothing was sent."""


class Broken(Exception):  # noqa: N818 (likewise)
    """The connection ended, or the time was over, before the answer was there: it may have been answered."""


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    """By lower-case name."""


Take = Callable[[Answer, bytes], None]
"""Gets the parts of a body as they come."""


class Gateway:
    """The gateway's socket at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[_Connection] = []

    async def post(
        self, path: str, headers: Mapping[str, str], body: bytes, limit_seconds: float, take: Take
    ) -> Answer:
        """The answer, when all of its body was taken. Raises NotThere, Broken, and whatever `take` raises."""
        connection = self._kept() or await self._connect()
        try:
            async with asyncio.timeout(limit_seconds):
                answer = await connection.post(_head(path, headers, len(body)) + body, take)
        except TimeoutError as error:
            raise Broken(f"no answer within {limit_seconds:g} s") from error
        finally:
            if connection.may_be_used_again() and len(self._idle) < IDLE_MAX:
                self._idle.append(connection)
            else:
                connection.close()
        return answer

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.may_be_used_again():
                return connection
        return None

    async def _connect(self) -> "_Connection":
        connection = _Connection()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_unix_connection(lambda: connection, self._path)
        except OSError as error:  # TimeoutError is one
            raise NotThere(str(error)) from error
        return connection


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[Answer] | None = None
        self._take: Take = _nowhere
        self._answer = Answer(0, {})
        self._usable = True

    async def post(self, request: bytes, take: Take) -> Answer:
        self._answer, self._take = Answer(0, {}), take
        self._usable = False
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting, self._take = None, _nowhere

    def may_be_used_again(self) -> bool:
        return self._usable and not self._transport.is_closing()

    def close(self) -> None:
        self._usable = False
        self._transport.abort()

    # -- the transport's callbacks -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # What `take` raised, such as that the disk is full.
            self._fail(cast("Exception", error.__context__ or error))
        except httptools.HttpParserError as error:
            self._fail(Broken(f"its answer cannot be read: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (the loop's signature)
        self._usable = False
        self._fail(Broken("the gateway ended the connection"))

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self._transport.abort()

    # -- the parser's callbacks --------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._take(self._answer, body)

    def on_message_complete(self) -> None:
        if self._answer.status < 200:
            self._answer = Answer(0, {})  # told to go on; the answer comes after it
            return
        self._usable = self._parser.should_keep_alive()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)


def _nowhere(_answer: Answer, _part: bytes) -> None:
    """Of an answer that nobody waits for any more."""


def _head(path: str, headers: Mapping[str, str], size: int) -> bytes:
    lines = [f"POST {path.translate(_UNSAFE)} HTTP/1.1", "host: localhost", f"content-length: {size}"]
    lines += [f"{name.translate(_UNSAFE)}: {value.translate(_UNSAFE)}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
