"""The proxy lane: a request handed to the control process over its socket, streamed both ways with back-pressure.

Each request has a connection of its own: this lane is for people and tools, not for predictions. A control process that
is just being restarted is waited for. Where one dies before it answered, what only reads is asked again, and so is
anything that it has not heard: a connection that is closed over unread data, in its queue or never accepted, is reset,
where one whose request was read is only closed (unix(7) on Linux).

A large body is sent only when control asks for it (RFC 9110, 10.1.1). Were it sent at once, control, refusing it by its
headers, would close on what it has not read, the next write would fail, and the refusal would be lost with it.
"""

import asyncio
from typing import TYPE_CHECKING

import httptools

from modelyard.errors import NotReady, ReplicaDied
from modelyard.gateway.answers import plain_error, status_line
from modelyard.gateway.pages import HEAD, error_page
from modelyard.protocol.routes import ENDLESS, PLACE

if TYPE_CHECKING:
    from modelyard.domain.access import Principal
    from modelyard.gateway.connection import HttpConnection

CONNECT_SECONDS = 10.0
"""How long a control process that does not answer is waited for."""

CONNECT_PAUSE_SECONDS = 0.05
HELD_BYTES_MAX = 1024 * 1024
"""What is kept of a body before the control process is reached; then the client is not read."""

WHOLE_BYTES_MAX = 32 * 2**10
"""A request up to this is written when all of it is there, in one piece, and so read in one: it was heard whole or not
at all."""

UNHEARD_MAX = 3
"""How often one is said again that was not heard."""

ASKED_FOR_BYTES = 64 * 2**10
"""A body of more than this, or of unknown length, waits until control asks for it; less is in its socket's buffer."""

UNWANTED_BYTES_MAX = 256 * 2**20
"""What is read of a body after its answer, so that a client which sends all before it reads sees that answer."""

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-modelyard-place",
        b"x-request-id",
    }
)
"""RFC 9110 7.6.1, and what only this gateway may state."""

_ENDLESS = ENDLESS.encode()


class Proxied(asyncio.Protocol):
    def __init__(
        self,
        connection: "HttpConnection",
        method: bytes,
        url: bytes,
        headers: list[tuple[bytes, bytes]],
        request_id: bytes,
        place: bytes | None = None,
    ) -> None:
        """`place` is the port of an app's own that it came to, with the host."""
        self.keep_alive = True
        self.is_endless = False
        self.body_bytes = 0
        self._connection = connection
        self._request_id = request_id
        self._chunked = any(name == b"transfer-encoding" for name, _ in headers)
        length = next((value for name, value in headers if name == b"content-length"), b"0")
        self._is_held = self._chunked or not length.isdigit() or int(length) > ASKED_FOR_BYTES
        self._client_waits = False
        self._waits_for_body = not self._is_held and 0 < int(length) <= WHOLE_BYTES_MAX
        self._said = False
        self._unwanted_bytes = 0
        self._headers = headers
        self._asker: Principal | None = None
        """Who asked for what has no end, as far as this gateway knows them."""
        self._head = self._request_head(method, url, headers, place)
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._whole: bytes | None = None
        """The request, where it was written in one piece."""
        self._unheard = 0
        self._upstream: asyncio.Transport | None = None
        self._had_body = self._chunked
        self._done = False
        self._begun = False
        self._answer_headers: list[tuple[bytes, bytes]] = []
        self._answer_chunked = False
        self._answer = self._Answer(self)
        self._parser = httptools.HttpResponseParser(self._answer)
        self._is_head = method == b"HEAD"
        self._is_read = self._ask_again = method in (b"GET", b"HEAD")
        self.under_way = connection.begin_before_body(self)
        self._connecting: asyncio.Task[None] | None = None
        if self.under_way:
            self._connect()

    @property
    def answer_begun(self) -> bool:
        """Something of the answer is with the client already."""
        return self._begun

    # -- as an exchange ----------------------------------------------------------------------------------------------

    def on_body(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)
        if self._done or (self._begun and self._is_held):
            self._unwanted_bytes += len(chunk)
            if self._unwanted_bytes > UNWANTED_BYTES_MAX:
                self._connection.transport.close()
            return
        self._had_body = True
        self._send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)

    def on_complete(self) -> None:
        if self._chunked and not self._done:
            self._send(b"0\r\n\r\n")
        if self._waits_for_body:
            self._waits_for_body = False
            if self._upstream is not None and not self._done:
                self._say()

    def _send(self, data: bytes) -> None:
        if self._upstream is not None and self._said and not self._is_held:
            self._whole = None
            self._upstream.write(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES_MAX and not self._begun:
            self._connection.transport.pause_reading()

    def start(self) -> None:
        self.under_way = True
        self._connect()

    def abort(self) -> None:
        self._done = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._upstream is not None:
            self._upstream.abort()

    def can_write(self) -> None:
        if self._upstream is not None:
            self._upstream.resume_reading()

    # -- who has it open ---------------------------------------------------------------------------------------------

    def may_stay(self) -> bool:
        """Whether who follows what has no end, such as a log, is still who they were when they asked."""
        return self._asker is None or self._who_asks() == self._asker

    def put_out(self) -> None:
        """Ends it here and now."""
        self._connection.transport.abort()

    def _who_asks(self) -> "Principal | None":
        return self._connection.gateway.access.recognise(dict(self._headers))

    # -- towards control ---------------------------------------------------------------------------------------------

    def _request_head(
        self, method: bytes, url: bytes, headers: list[tuple[bytes, bytes]], place: bytes | None
    ) -> bytes:
        address = self._connection.address.encode() or b"local"
        lines = [b"%b %b HTTP/1.1\r\n" % (method, url)]
        lines += [b"%b: %b\r\n" % (name, value) for name, value in headers if name not in _HOP_BY_HOP]
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        scheme = b"https" if self._connection.is_encrypted else b"http"
        if self._is_held:
            lines.append(b"expect: 100-continue\r\n")
        if place is not None:
            lines.append(b"%b: %b\r\n" % (PLACE.encode(), place))
        lines.append(b"x-forwarded-for: %b\r\nx-forwarded-proto: %b\r\n" % (address, scheme))
        lines.append(b"x-request-id: %b\r\nconnection: close\r\n\r\n" % self._request_id)
        return b"".join(lines)

    def _connect(self) -> None:
        self._connecting = self._connection.gateway.loop.create_task(self._reach_control())

    async def _reach_control(self) -> None:
        gateway = self._connection.gateway
        limit = gateway.loop.time() + CONNECT_SECONDS
        while True:
            try:
                await gateway.loop.create_unix_connection(lambda: self, gateway.control_socket)
            except OSError:
                if gateway.loop.time() >= limit:
                    message = "cannot reach the control process"
                    self._fail(NotReady(message, "`modelyard status` shows what runs; its log is log/control.log"))
                    return
                await asyncio.sleep(CONNECT_PAUSE_SECONDS)
            else:
                return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._upstream = transport  # type: ignore[assignment]  # a stream transport, as asked for
        assert self._upstream is not None
        if self._done:
            self._upstream.abort()
            return
        self._said = False
        if self._is_held:
            self._said = True
            self._upstream.write(self._head)
        elif not self._waits_for_body:
            self._say()

    def _say(self) -> None:
        assert self._upstream is not None
        said = b"".join((self._whole or self._head, *self._held))
        self._whole = said if len(said) <= WHOLE_BYTES_MAX else None
        self._held.clear()
        self._said = True
        self._upstream.write(said)
        self._connection.transport.resume_reading()

    @property
    def is_held(self) -> bool:
        """Whether the body waits until control asks for it."""
        return self._is_held

    def continue_later(self) -> None:
        """The client waits to be asked for the body, too."""
        self._client_waits = True

    def _send_held(self) -> None:
        self._is_held = False
        if self._client_waits:
            self._connection.tell_to_continue()
        self._connection.transport.resume_reading()
        if self._upstream is not None and self._held:
            self._upstream.write(b"".join(self._held))
        self._held.clear()

    def pause_writing(self) -> None:
        self._connection.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self._done:
            self._connection.transport.resume_reading()

    # -- from control ------------------------------------------------------------------------------------------------

    class _Answer:
        """The response parser's callbacks; apart, because both parsers name theirs alike."""

        def __init__(self, proxied: "Proxied") -> None:
            self._proxied = proxied

        def on_header(self, name: bytes, value: bytes) -> None:
            self._proxied.answer_header(name.lower(), value)

        def on_headers_complete(self) -> None:
            self._proxied.answer_head()

        def on_body(self, body: bytes) -> None:
            self._proxied.answer_body(body)

        def on_message_complete(self) -> None:
            self._proxied.answer_end()

        def let_go(self) -> None:
            """The parser knows this one, and the request the parser: without a cut here both would stay until the
            collector, which runs seldom, comes by."""
            del self._proxied

    def data_received(self, data: bytes) -> None:
        if self._done:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._broken()

    def connection_lost(self, exc: Exception | None) -> None:
        self._upstream = None
        if not self._done:
            unread = isinstance(exc, ConnectionResetError | BrokenPipeError) and self._whole is not None
            self._broken(unheard=unread or not self._said)
        if self._done:
            self._answer.let_go()

    def answer_header(self, name: bytes, value: bytes) -> None:
        if name == _ENDLESS:
            self.is_endless = True
            self._asker = self._who_asks()
        elif name not in _HOP_BY_HOP and name != b"date":
            self._answer_headers.append((name, value))

    def answer_head(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self._answer_headers.clear()
            if status == 100 and self._is_held:
                self._send_held()
            return
        self._begun = True
        connection = self._connection
        if self._is_held:
            # Answered by its headers alone: what comes of the body is read so that the client reads the answer.
            self._held.clear()
            connection.transport.resume_reading()
        connection.gateway.measurements.count_control(status)
        measured = any(name == b"content-length" for name, _ in self._answer_headers)
        bodiless = self._is_head or status in (204, 304)
        self._answer_chunked = not measured and not bodiless and connection.speaks_1_1
        if not measured and not bodiless and not connection.speaks_1_1:
            self.keep_alive = False
        lines = [status_line(status), *(b"%b: %b\r\n" % header for header in self._answer_headers)]
        if self._answer_chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        connection.write_head(b"".join(lines), self._request_id, self.keep_alive)
        if self._is_head:
            # The parser cannot know that no body follows; there is nothing more to wait for.
            self.answer_end()

    def answer_body(self, body: bytes) -> None:
        transport = self._connection.transport
        transport.write(b"%x\r\n%b\r\n" % (len(body), body) if self._answer_chunked else body)
        if self._connection.client_is_slow and self._upstream is not None:
            self._upstream.pause_reading()

    def answer_end(self) -> None:
        if self._done or not self._begun:
            return
        if self._answer_chunked:
            self._connection.transport.write(b"0\r\n\r\n")
        self._finish()

    def _broken(self, *, unheard: bool = False) -> None:
        if self._begun:
            self._done = True
            self._connection.transport.abort()
            return
        if unheard and self._unheard < UNHEARD_MAX:
            self._unheard += 1
            self._connect()
            return
        if self._ask_again and not self._had_body:
            self._ask_again = False
            self._connect()
            return
        self._fail(ReplicaDied("cannot answer: the control process went away", "try again; it is being restarted"))

    def _fail(self, error: NotReady | ReplicaDied) -> None:
        request_id = self._request_id.decode("latin-1")
        status, head, body = plain_error(error, request_id)
        if self._is_read and any(name == b"accept" and b"text/html" in value for name, value in self._headers):
            head, body = HEAD, error_page(error, request_id)
        self._connection.write_answer(
            status_line(status) + head, body, self._request_id, self.keep_alive, is_head=self._is_head
        )
        self._finish()

    def _finish(self) -> None:
        self._done = True
        if self._upstream is not None:
            self._upstream.close()
        self._connection.transport.resume_reading()
        self._connection.finished(self)
