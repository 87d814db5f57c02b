"""Connections to the web server of an app's replica, kept open between requests."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

if TYPE_CHECKING:
    from modelyard.gateway.visit import Visit

IDLE_MAX = 64
"""Open connections without a request that are kept for one replica."""

IDLE_SECONDS = 4.0
"""How long one is kept: uvicorn, whose patience is the shortest of the common servers', closes after 5 s."""

FRESH_SECONDS = 1.0
"""What changes something is sent only over connections idle for less: of one that is just being closed nobody knows
whether the request was heard."""

CONNECT_SECONDS = 5.0


class Upstream(asyncio.Protocol):
    """One connection. It carries one request at a time."""

    def __init__(self, pool: "Pool") -> None:
        self.transport: asyncio.Transport
        self.visit: Visit | None = None
        self.was_used = False
        self.idle_since = 0.0
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)

    def begin(self, visit: "Visit") -> None:
        self.visit = visit

    def end(self, *, reusable: bool) -> None:
        """The request is over."""
        self.visit = None
        if reusable and not self.transport.is_closing():
            self.was_used = True
            self._pool.keep(self)
        else:
            self.transport.abort()

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    @property
    def keeps_open(self) -> bool:
        return self._parser.should_keep_alive()

    def forget_answer(self) -> None:
        """What comes next is another answer: of one to HEAD the parser would wait for the body."""
        self._parser = httptools.HttpResponseParser(self)

    # -- the transport's callbacks -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        visit = self.visit
        if visit is None:
            # An answer that nobody asked for; whatever it is, nothing else is to be believed.
            self.transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            visit.switch(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            visit.broken()
            return
        visit.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        visit, self.visit = self.visit, None
        self._pool.forget(self)
        if visit is not None:
            visit.lost()

    def pause_writing(self) -> None:
        if self.visit is not None:
            self.visit.hold_body()

    def resume_writing(self) -> None:
        if self.visit is not None:
            self.visit.go_on_with_body()

    # -- the parser's callbacks --------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.visit is not None:
            self.visit.answer_header(name.lower(), value)

    def on_headers_complete(self) -> None:
        if self.visit is not None:
            self.visit.answer_head()

    def on_body(self, body: bytes) -> None:
        if self.visit is not None:
            self.visit.answer_body(body)

    def on_message_complete(self) -> None:
        if self.visit is not None:
            self.visit.answer_end()


class Pool:
    """Those of one replica. `address` is `HOST:PORT`, or the path of a Unix socket."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._idle: deque[Upstream] = deque()
        self._loop = asyncio.get_running_loop()

    def take(self, *, fresh: bool) -> Upstream | None:
        """An open connection, that idle for the shortest time; None where one must be made. `fresh` asks for one that
        was used just now."""
        limit = self._loop.time() - (FRESH_SECONDS if fresh else IDLE_SECONDS)
        while self._idle:
            upstream = self._idle[-1]
            if upstream.idle_since < limit:
                self._close_older_than(self._loop.time() - IDLE_SECONDS)
                return None
            self._idle.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    async def connect(self) -> Upstream:
        """Raises OSError, TimeoutError."""
        upstream = Upstream(self)
        async with asyncio.timeout(CONNECT_SECONDS):
            if self._address.startswith("/"):
                await self._loop.create_unix_connection(lambda: upstream, self._address)
            else:
                host, _, port = self._address.rpartition(":")
                await self._loop.create_connection(lambda: upstream, host, int(port))
        return upstream

    def keep(self, upstream: Upstream) -> None:
        now = self._loop.time()
        upstream.idle_since = now
        self._close_older_than(now - IDLE_SECONDS)
        if len(self._idle) >= IDLE_MAX:
            upstream.transport.abort()
            return
        self._idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        if upstream in self._idle:
            self._idle.remove(upstream)

    def close(self) -> None:
        self._close_older_than(float("inf"))

    def _close_older_than(self, limit: float) -> None:
        while self._idle and self._idle[0].idle_since < limit:
            self._idle.popleft().transport.abort()
