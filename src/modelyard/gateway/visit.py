"""The lane of apps: a request to an app's origin, handed on to one of its replicas, both ways as it comes.

A visitor comes back to the replica that they were at, by a cookie: what an app keeps of a session is in that one's
memory. While a replica leaves it is asked by those alone who still hold something open there, such as a WebSocket; so a
rolling update loses nobody's session. Where no replica is there, a browser is shown a page that waits, anybody else
waits for the answer itself; either wakes the app.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from modelyard.errors import DeadlinePassed, ModelyardError, NotReady, ReplicaDied
from modelyard.gateway.answers import RETRY_AFTER_SECONDS, plain_error, status_line, status_of
from modelyard.gateway.pages import HEAD, WAITING_HEAD, error_page, stopped_page, waiting_page
from modelyard.gateway.passing import Headers, answer_headers, lines
from modelyard.gateway.tunnel import TunnelSide, WebSocketSide
from modelyard.protocol.browsers import cookie_at
from modelyard.protocol.routes import REPLICA_COOKIE

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection
    from modelyard.gateway.service import Service
    from modelyard.gateway.target import Target
    from modelyard.gateway.upstream import Upstream

PAGE_WAIT_SECONDS = 1.0
"""How long a browser that wants a page waits for a replica before it is shown the page that waits."""

HELD_BYTES_MAX = 1024 * 1024
"""What is kept of a body before a replica takes it; then the client is not read."""

UNWANTED_BYTES_MAX = 256 * 2**20
"""What is read of a body after its answer, so that a client which sends all before it reads sees that answer."""

_SAFE = frozenset({b"GET", b"HEAD", b"OPTIONS"})


class Asked(NamedTuple):
    """A request as the app is to hear it."""

    method: bytes
    url: bytes
    headers: Headers
    """Those that pass, and what the gateway states."""
    length: bytes | None
    """Of its body; None where there is none, or it is chunked."""
    chunked: bool
    upgrade: bytes | None
    """The protocol that the connection is to become, `websocket`."""
    replica: str | None
    """Where the visitor was before."""
    wants_page: bool
    """Whether a browser navigates here: it is answered in HTML by us too."""
    begins: bool = False
    """Whether it does so in a window, where what an earlier page had open is open no more."""


class Visit:
    """An exchange (`exchange.Exchange`)."""

    def __init__(
        self,
        connection: "HttpConnection",
        service: "Service",
        asked: Asked,
        request_id: bytes,
        may_stay: Callable[[], bool],
    ) -> None:
        """`may_stay` says whether the visitor would be let in now."""
        self.keep_alive = True
        self.may_stay = may_stay
        self.is_endless = False
        """Whether it goes on until either side closes it: a WebSocket. A gateway that is going does not wait for it."""
        self.body_bytes = 0
        self.asked = asked
        self.wanted_until = 0.0
        """When it stops waiting for a replica; the loop's time."""
        self.service = service
        self._connection = connection
        self._request_id = request_id
        self._started_at = time.monotonic()
        self._target: Target | None = None
        self._upstream: Upstream | None = None
        self._tunnel: TunnelSide | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._body_ended = asked.length is None and not asked.chunked
        self._unwanted_bytes = 0
        self._done = False
        self._begun = False
        self._early = b""
        self._out: list[bytes] = []
        self._answer_headers: Headers = []
        self._answer_chunked = False
        self._ends_by_closing = False
        self.under_way = connection.begin_before_body(self)
        if self.under_way:
            service.admit(self)

    @property
    def answer_begun(self) -> bool:
        """Something of the answer is with the client already."""
        return self._begun

    # -- as an exchange ----------------------------------------------------------------------------------------------

    def on_body(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)
        if self.body_bytes > self.service.entry.max_body_bytes and not self._done:
            self._connection.refuse_body(self.service.entry.max_body_bytes)
            return
        if self._done:
            self._unwanted_bytes += len(chunk)
            if self._unwanted_bytes > UNWANTED_BYTES_MAX:
                self._connection.transport.close()
            return
        self._send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self.asked.chunked else chunk)

    def on_complete(self) -> None:
        self._body_ended = True
        if self.asked.chunked and not self._done:
            self._send(b"0\r\n\r\n")

    def start(self) -> None:
        self.under_way = True
        self.service.admit(self)

    def abort(self) -> None:
        self._leave(reusable=False)

    def can_write(self) -> None:
        if self._upstream is not None:
            self._upstream.transport.resume_reading()

    # -- towards the app ---------------------------------------------------------------------------------------------

    def begin(self, target: "Target") -> None:
        """Goes to this replica, which counts it from now on."""
        if self._done:
            target.let_go(self)
            return
        self._target = target
        upstream = target.pool.take(fresh=self.asked.method not in _SAFE)
        if upstream is not None:
            self._attach(upstream)
        else:
            self._connecting = self._connection.gateway.loop.create_task(self._connect(target))

    async def _connect(self, target: "Target") -> None:
        try:
            upstream = await target.pool.connect()
        except (OSError, TimeoutError):
            self.broken()
            return
        if self._done:
            upstream.transport.abort()
        else:
            self._attach(upstream)

    def _attach(self, upstream: "Upstream") -> None:
        self._upstream = upstream
        upstream.begin(self)
        upstream.transport.write(b"".join((self._head(), *self._held)))
        self._connection.transport.resume_reading()
        if self.asked.upgrade is not None:
            # Nothing more is said until it is answered; what comes then is no HTTP.
            self._connection.transport.pause_reading()

    def _head(self) -> bytes:
        asked = self.asked
        if asked.upgrade is not None:
            framing = b"connection: Upgrade\r\nupgrade: %b\r\n" % asked.upgrade
        elif asked.chunked:
            framing = b"transfer-encoding: chunked\r\n"
        elif asked.length is not None:
            framing = b"content-length: %b\r\n" % asked.length
        else:
            framing = b""
        start = b"%b %b HTTP/1.1\r\n" % (asked.method, asked.url)
        return b"%b%b%bx-request-id: %b\r\n\r\n" % (start, lines(asked.headers), framing, self._request_id)

    def _send(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.transport.write(data)
            return
        self._held_bytes += len(data)
        self._held.append(data)
        if self._held_bytes > HELD_BYTES_MAX:
            self._connection.transport.pause_reading()

    def hold_body(self) -> None:
        self._connection.transport.pause_reading()

    def go_on_with_body(self) -> None:
        if not self._done:
            self._connection.transport.resume_reading()

    # -- from the app ------------------------------------------------------------------------------------------------

    def answer_header(self, name: bytes, value: bytes) -> None:
        self._answer_headers.append((name, value))

    def answer_head(self) -> None:
        upstream, connection = self._upstream, self._connection
        if upstream is None:
            return
        status = upstream.status
        given, self._answer_headers = self._answer_headers, []
        if status < 200 and status != 101:
            return
        self._begun = True
        self._held.clear()
        self._count(status)
        passed = answer_headers(given)
        if self._target is not None and self.asked.replica != self._target.address.id:
            passed.append((b"set-cookie", self._replica_cookie(self._target.address.id)))
        if status == 101:
            switching = [one for one in given if one[0] == b"upgrade"]
            head = status_line(101) + lines((*passed, *switching)) + b"connection: Upgrade\r\n"
            self._out.append(head + b"x-request-id: %b\r\n\r\n" % self._request_id)
            return
        names = {name for name, _ in given}
        bodiless = self.asked.method == b"HEAD" or status in (204, 304)
        measured = b"content-length" in names and b"transfer-encoding" not in names
        self._ends_by_closing = not bodiless and not measured and b"transfer-encoding" not in names
        self._answer_chunked = not measured and not bodiless and connection.speaks_1_1
        if not (measured or bodiless or connection.speaks_1_1):
            self.keep_alive = False
        if self.asked.upgrade is not None:
            self.keep_alive = False
        framing = b"transfer-encoding: chunked\r\n" if self._answer_chunked else b""
        head = status_line(status) + lines(passed) + framing
        self._out.append(connection.head(head, self._request_id, self.keep_alive))
        if self.asked.method == b"HEAD":
            # The parser cannot know that no body follows.
            keeps_open = upstream.keeps_open
            upstream.forget_answer()
            self.flush()
            self._finish(reusable=self._body_ended and keeps_open)

    def _replica_cookie(self, replica: str) -> bytes:
        secure = b"; Secure" if self._connection.is_encrypted else b""
        name = replica_cookie(self._connection.own_port)
        return b"%b=%b; Path=/; HttpOnly; SameSite=Lax%b" % (name, replica.encode(), secure)

    def answer_body(self, body: bytes) -> None:
        self._out.append(b"%x\r\n%b\r\n" % (len(body), body) if self._answer_chunked else body)

    def answer_end(self) -> None:
        upstream = self._upstream
        if self._done or not self._begun or upstream is None or self._ends_by_closing or upstream.status == 101:
            return
        if self._answer_chunked:
            self._out.append(b"0\r\n\r\n")
        self.flush()
        self._finish(reusable=self._body_ended and upstream.keeps_open)

    def flush(self) -> None:
        """Writes what has come of the answer, at once."""
        out, self._out = self._out, []
        if not out or self._connection.transport.is_closing():
            return
        self._connection.transport.write(out[0] if len(out) == 1 else b"".join(out))
        if self._connection.client_is_slow and self._upstream is not None and not self._done:
            self._upstream.transport.pause_reading()

    def early(self, data: bytes) -> None:
        """What the client said after asking for another protocol, before it was answered."""
        self._early += data

    def switch(self, rest: bytes) -> None:
        """The connection is no longer HTTP. It counts as one request until either side closes it."""
        upstream, connection = self._upstream, self._connection
        if upstream is None or self.asked.upgrade is None or self._done:
            self.broken()
            return
        self.flush()
        upstream.visit = self._upstream = None
        self.is_endless = True
        inner, outer = upstream.transport, connection.transport
        side = WebSocketSide if self.asked.upgrade.lower() == b"websocket" else TunnelSide
        from_app = self._tunnel = side(inner, outer, self._tunnel_ended)
        inner.set_protocol(from_app)
        outer.set_protocol(TunnelSide(outer, inner, lambda: connection.connection_lost(None)))
        if rest:
            from_app.data_received(rest)
        if self._early:
            inner.write(self._early)
        connection.client_is_slow = False
        outer.resume_reading()

    def put_out(self) -> None:
        """Ends it here and now: the visitor may not be here any more."""
        if self._tunnel is not None:
            self._tunnel.put_out()
        else:
            self._connection.transport.abort()

    def _tunnel_ended(self) -> None:
        self._leave(reusable=False)

    def lost(self) -> None:
        """The app closed the connection."""
        if self._done:
            return
        if self._ends_by_closing:
            self._ends_by_closing = False
            self.answer_end()
        else:
            self.broken()

    def broken(self) -> None:
        """No answer can come of it any more. What was never heard is said once more over a new connection."""
        if self._done:
            return
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.visit = None
            upstream.transport.abort()
        if self._begun:
            self.flush()
            self._leave(reusable=False)
            self._connection.transport.abort()
        elif upstream is not None and upstream.was_used and self._target is not None and self._is_repeatable():
            self._connecting = self._connection.gateway.loop.create_task(self._connect(self._target))
        else:
            hint = f"`modelyard logs {self.service.name}` shows its last words"
            self.refuse(ReplicaDied(f"cannot show {self.service.name}: it closed the connection", hint))

    def _is_repeatable(self) -> bool:
        return self.asked.method in _SAFE and self.asked.upgrade is None and not self.body_bytes

    # -- without a replica -------------------------------------------------------------------------------------------

    def wait_until(self, now: float, limit_seconds: float) -> None:
        self.wanted_until = now + (PAGE_WAIT_SECONDS if self.asked.wants_page else limit_seconds)

    def give_up(self) -> None:
        """No replica came in time."""
        name = self.service.name
        if self.asked.wants_page:
            self._answer(503, WAITING_HEAD + b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS, waiting_page(name))
            return
        waited = f"{self.wanted_until - self._started_at:.0f} s"
        self.refuse(
            DeadlinePassed(f"cannot show {name}: none of its replicas was ready within {waited}", "try again later")
        )

    def refuse(self, error: ModelyardError) -> None:
        """Answers in the app's stead, if it has not begun to."""
        if self._done:
            return
        if self._begun:
            self._leave(reusable=False)
            self._connection.transport.abort()
            return
        status, text = status_of(error), self._request_id.decode("latin-1")
        retry = b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS if status == 503 else b""
        if not self.asked.wants_page:
            _, head, body = plain_error(error, text)
            self._answer(status, head + retry, body)
        elif isinstance(error, NotReady) and self.service.is_stopped:
            self._answer(status, HEAD, stopped_page(self.service.name))
        else:
            self._answer(status, HEAD + retry, error_page(error, text))

    def _answer(self, status: int, head: bytes, body: bytes) -> None:
        self._begun = True
        self._count(status)
        if self.asked.upgrade is not None or not self._body_ended:
            self.keep_alive = False
        is_head = self.asked.method == b"HEAD"
        self._connection.write_answer(
            status_line(status) + head, body, self._request_id, self.keep_alive, is_head=is_head
        )
        self._finish(reusable=False)

    # -- its end -----------------------------------------------------------------------------------------------------

    def _count(self, status: int) -> None:
        version = self._target.address.version if self._target is not None else self.service.entry.version
        self.service.count_visit(version, status, time.monotonic() - self._started_at)

    def _finish(self, *, reusable: bool) -> None:
        self._leave(reusable=reusable)
        self._connection.transport.resume_reading()
        self._connection.finished(self)

    def _leave(self, *, reusable: bool) -> None:
        """Lets go of the replica."""
        if self._done:
            return
        self._done = True
        self.service.dismiss(self)
        if self._connecting is not None:
            self._connecting.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.end(reusable=reusable)
        target, self._target = self._target, None
        if target is not None:
            target.let_go(self)


def replica_cookie(own_port: int | None) -> bytes:
    """What the cookie is called that brings a visitor back to their replica."""
    return cookie_at(REPLICA_COOKIE, own_port).encode()
