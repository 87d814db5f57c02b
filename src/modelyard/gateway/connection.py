"""One client connection: HTTP/1.1 parsed by llhttp, answers in the order of the requests, limits on everything.

Requests of one connection are answered one after the other; what a client pipelines waits, and beyond PIPELINE_MAX the
connection is not read. What answers a request is found by the lanes, from its head (`lanes.py`).
"""

import asyncio
import logging
import re
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from modelyard.domain.hosts import is_loopback
from modelyard.errors import InvalidValue, ModelyardError, NotFound, TooLarge
from modelyard.gateway.exchange import Exchange, Reply
from modelyard.gateway.lane_of_origins import foreign_host
from modelyard.gateway.lane_of_predictions import directed
from modelyard.gateway.lanes import open_exchange
from modelyard.gateway.patience import Sight
from modelyard.gateway.prediction import Prediction, too_large
from modelyard.gateway.proxy import Proxied
from modelyard.gateway.repeats import Said, may_repeat
from modelyard.gateway.request import Request, is_safe_id, is_signed
from modelyard.gateway.sites import Served
from modelyard.gateway.terms import read_terms
from modelyard.gateway.visit import Visit
from modelyard.protocol import routes
from modelyard.protocol.table import HostEntry

if TYPE_CHECKING:
    from modelyard.gateway.server import Gateway

PIPELINE_MAX = 16
LINGER_SECONDS = 2.0
"""After a refusal that came before the body: how long the client may go on sending before the connection is closed."""

LINGER_BODY_BYTES = 64 * 2**10
"""Bodies up to this are read to their end after a refusal, and the connection lives on."""

_log = logging.getLogger("modelyard.gateway")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)


class HttpConnection(asyncio.Protocol):
    __slots__ = (
        "_begun_at",
        "_completed",
        "_current",
        "_header_bytes",
        "_headers",
        "_parser",
        "_repeatable",
        "_url",
        "_waiting",
        "active",
        "address",
        "client_is_slow",
        "gateway",
        "idle_since",
        "is_encrypted",
        "is_leaving",
        "last_heard",
        "lingers",
        "must_encrypt",
        "own_port",
        "repeats",
        "speaks_1_1",
        "transport",
        "trusted",
    )

    transport: asyncio.Transport

    def __init__(
        self,
        gateway: "Gateway",
        *,
        is_encrypted: bool = False,
        trusted: bool = False,
        own_port: int | None = None,
    ) -> None:
        """`trusted` where only the yard's own processes can connect; `own_port` where it came to a port of an app's,
        a site's or a gateway's own."""
        self.gateway = gateway
        self.trusted = trusted
        self.own_port = own_port
        self.repeats = gateway.repeats if own_port is None else gateway.ports.repeats(own_port)
        self.is_leaving = False
        """Whether it is to end with the answer that is under way."""
        self.is_encrypted = is_encrypted
        self.must_encrypt = False
        """Whether its requests are sent to the encrypted port."""
        self.active: Exchange | None = None
        self.address = ""
        """The client's, without its port; empty where there is none."""
        self.client_is_slow = False
        self.lingers = False
        self.speaks_1_1 = True
        self.last_heard = self.idle_since = gateway.now
        self._begun_at: float | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._completed = 0
        """Requests that have come to their end since it was begun to count."""
        self._repeatable: Said | None = None
        """The answer to the last of them, where it depends on its words alone."""

    # -- the transport's callbacks -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream transport, as the listener makes them
        peer: Any = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        # A port of an app's own speaks one scheme, so that it is one origin; the yard's has another port beside it.
        elsewhere = self.own_port is not None or (bool(self.address) and not is_loopback(self.address))
        self.must_encrypt = self.gateway.tls is not None and not self.is_encrypted and elsewhere
        self.gateway.welcome(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gateway.connections.discard(self)
        self.lingers = True
        for exchange in (self.active, self._current, *self._waiting):
            if exchange is not None:
                exchange.abort()
        self.active = self._current = None
        self._waiting.clear()
        # The parser knows this connection: nobody else would let go of the two until the collector comes by.
        del self._parser

    def data_received(self, data: bytes) -> None:
        self.last_heard = self.gateway.now
        if self.lingers:
            return
        if may_repeat(data) and self.is_idle and not self.must_encrypt and not self.gateway.draining:
            self._answer_as_before(data)
        else:
            self._read(data)

    def _answer_as_before(self, data: bytes) -> None:
        """What is answered by the words of the request alone is; else it is read, and the answer perhaps remembered."""
        said = self.repeats.find(data)
        if said is not None:
            self.idle_since = self.gateway.now
            head = self.head(said.head, self.gateway.next_id(), keep_alive=True)
            self.transport.write(head + said.body)
            return
        self._read(data)
        if self._repeatable is not None and self._completed == 1 and self.is_idle and self.speaks_1_1:
            self.repeats.learn(data, self._repeatable)

    def _read(self, data: bytes) -> None:
        self._completed, self._repeatable = 0, None
        while data and not self.lingers:
            data = self._parse(data)

    def _parse(self, data: bytes) -> bytes:
        """Returns what comes after a request that wants another protocol, and is answered in this one."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # RFC 9110 7.8: a server may ignore the wish to upgrade; llhttp stops all the same.
            self._parser = httptools.HttpRequestParser(self)
            rest = data[upgrade.args[0] :]
            visit = self.active
            if not isinstance(visit, Visit) or visit.asked.upgrade is None:
                return rest
            visit.early(rest)
        except httptools.HttpParserCallbackError as failed:
            cause = failed.__context__
            if not isinstance(cause, ModelyardError):
                # Whoever asked is told, in words; what went wrong is for the log.
                _log.error("cannot answer a request", exc_info=cause)
                cause = ModelyardError("cannot answer: the gateway failed", "its log, log/gateway.log, says why")
            self._refuse_and_linger(cause)
        except httptools.HttpParserError as error:
            self._refuse_and_linger(InvalidValue(f"cannot read the request: {error}", "send HTTP/1.1"))
        return b""

    def pause_writing(self) -> None:
        self.client_is_slow = True

    def resume_writing(self) -> None:
        self.client_is_slow = False
        self.last_heard = self.gateway.now
        if self.active is not None:
            self.active.can_write()

    # -- the parser's callbacks --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._begun_at = self.gateway.now
        self._url = b""
        self._headers = []
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_header_bytes(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._count_header_bytes(len(name) + len(value))

    def on_headers_complete(self) -> None:
        fields = dict(self._headers)
        self.speaks_1_1 = self._parser.get_http_version() == "1.1"
        if not self._url.startswith(b"/"):
            self._read_target(fields)
        exchange = self._current = self._exchange_for(fields)
        given_id = fields.get(b"x-request-id")
        if given_id is not None and isinstance(exchange, Prediction) and is_safe_id(given_id):
            exchange.given_id = given_id
        if self.trusted and isinstance(exchange, Prediction):
            terms = read_terms(fields)
            if terms is not None:
                exchange.accept_terms(terms)
        if isinstance(exchange, Reply):
            self._maybe_skip_body(fields)
        elif b"content-length" in fields or b"expect" in fields:
            self._check_length(exchange, fields)

    def _read_target(self, fields: dict[bytes, bytes]) -> None:
        """A target with a host in it, as proxies are sent it, says what is asked, whatever Host says (RFC 9112, 3.2.2).
        Any other that is no path is for the lanes to refuse."""
        found = _ABSOLUTE.fullmatch(self._url)
        if found is None:
            return
        host, rest = found.groups()
        self._url = rest if rest.startswith(b"/") else b"/" + rest
        if b"host" in fields:
            fields[b"host"] = host
            self._headers = [(name, host if name == b"host" else value) for name, value in self._headers]

    def _exchange_for(self, fields: dict[bytes, bytes]) -> Exchange:
        """What answers it. A prediction at the yard's own address is found at once."""
        gateway, host = self.gateway, fields.get(b"host")
        refused = self._refusal_by_headers(fields)
        if refused is not None:
            return refused
        origin = self.origin_of(host)
        service = gateway.services_by_path.get(self._url) if origin is None and not self.must_encrypt else None
        at_once = service is not None and not service.entry.queued
        if service is not None and at_once and self._parser.get_method() == b"POST":
            if not service.is_open and not self.trusted:
                access, project = gateway.access, service.entry.project
                try:
                    access.check(service.policy, fields, self.address, project, service.reference)
                except ModelyardError as error:
                    return self.request(fields).refusal(error, signed=is_signed(fields))
            prediction = Prediction(self, service, self._headers, fields, None, is_signed(fields))
            return directed(prediction, fields)
        return open_exchange(self.request(fields), origin)

    def origin_of(self, host: bytes | None) -> HostEntry | None:
        """Whose a request is, its Host having been checked; None where it is the yard's own."""
        if self.own_port is not None:
            return self.gateway.ports.entry(self.own_port)
        return self.gateway.origin_of(host)

    def request(self, fields: dict[bytes, bytes]) -> Request:
        """The one whose head came last."""
        parser = self._parser
        return Request(self, parser.get_method(), self._url, self._headers, fields, upgrade=parser.should_upgrade())

    def on_body(self, body: bytes) -> None:
        if self._current is not None:
            self._current.on_body(body)

    def on_message_complete(self) -> None:
        exchange, self._current = self._current, None
        self._begun_at = None
        self._header_bytes = 0
        if exchange is None:
            return
        exchange.keep_alive = self._parser.should_keep_alive() and exchange.keep_alive
        exchange.on_complete()
        self._completed += 1
        if isinstance(exchange, Served):
            self._repeatable = exchange.repeatable
        if isinstance(exchange, Proxied | Visit) and exchange.under_way:
            if self.active is not exchange and not exchange.keep_alive:
                # It was answered before its body had come to an end.
                self.transport.close()
            return
        self._begin(exchange)

    # -- the order of answers ----------------------------------------------------------------------------------------

    def _begin(self, exchange: Exchange) -> None:
        if self.active is None:
            self.active = exchange
            exchange.start()
            return
        self._waiting.append(exchange)
        if len(self._waiting) >= PIPELINE_MAX:
            self.transport.pause_reading()

    def begin_before_body(self, exchange: "Proxied | Visit") -> bool:
        """Lets an exchange begin while its body still comes, if it is its turn."""
        if self.active is not None:
            return False
        self.active = exchange
        return True

    def finished(self, exchange: Exchange) -> None:
        """The answer is written. The next one begins, or the connection closes."""
        if self.active is not exchange:
            return
        self.active = None
        self.last_heard = self.idle_since = self.gateway.now
        if self._begun_at is not None:
            # What follows waited for this answer; its time begins now.
            self._begun_at = self.gateway.now
        if not exchange.keep_alive:
            if not self.lingers:
                self.transport.close()
            elif self.transport.can_write_eof():
                # RFC 9112 9.6: nothing more comes from here, which the client need not wait to hear.
                self.transport.write_eof()
            return
        if self._waiting:
            following = self._waiting.popleft()
            self.active = following
            self.gateway.loop.call_soon(self._start_following, following)
            if len(self._waiting) < PIPELINE_MAX:
                self.transport.resume_reading()
        elif self.gateway.draining or self.is_leaving:
            self.transport.close()

    def leave(self) -> None:
        """Ends with the answer that is under way, or at once."""
        self.is_leaving = True
        if self.is_idle:
            self.transport.close()

    def _start_following(self, exchange: Exchange) -> None:
        if self.active is exchange:
            exchange.start()

    @property
    def is_idle(self) -> bool:
        return self.active is None and self._begun_at is None

    @property
    def is_endless(self) -> bool:
        """Whether nothing but its client would end the answer that is under way."""
        return isinstance(self.active, Proxied | Visit) and self.active.is_endless

    def look_who_is_there(self) -> None:
        """Puts out whoever holds something open here and may do so no longer."""
        if isinstance(self.active, Proxied | Visit) and not self.active.may_stay():
            self.active.put_out()

    def sight(self) -> Sight:
        """What the gateway's patience depends on."""
        current = self._current
        return Sight(
            heard_at=self.last_heard,
            idle_since=self.idle_since,
            begun_at=self._begun_at,
            body_bytes=current.body_bytes if current is not None else None,
            answering=self.active is not None,
            client_is_slow=self.client_is_slow,
            reading=self.transport.is_reading(),
        )

    # -- writing -----------------------------------------------------------------------------------------------------

    def write_answer(
        self, head: bytes, body: bytes, request_id: bytes, keep_alive: bool, *, is_head: bool = False
    ) -> None:
        """`head` is the status line and header lines; length, date, id and the blank line are added. Where HEAD was
        asked, the body is measured and no more: a client would take it for the next answer."""
        sent = b"" if is_head else body
        self.transport.write(
            b"%bcontent-length: %d\r\n%b%bx-request-id: %b\r\n\r\n%b"
            % (head, len(body), self.gateway.date_line, self._connection_line(keep_alive), request_id, sent)
        )

    def write_head(self, head: bytes, request_id: bytes, keep_alive: bool) -> None:
        """As `write_answer`, for an answer whose framing `head` states."""
        self.transport.write(self.head(head, request_id, keep_alive))

    def head(self, head: bytes, request_id: bytes, keep_alive: bool) -> bytes:
        """What `write_head` writes."""
        end = (head, self.gateway.date_line, self._connection_line(keep_alive), request_id)
        return b"%b%b%bx-request-id: %b\r\n\r\n" % end

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Of the request whose head came last."""
        return self._headers

    def _connection_line(self, keep_alive: bool) -> bytes:
        if keep_alive:
            return b"" if self.speaks_1_1 else b"connection: keep-alive\r\n"
        return b"connection: close\r\n"

    # -- refusing ----------------------------------------------------------------------------------------------------

    def _count_header_bytes(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > routes.HEADER_BYTES_MAX:
            raise TooLarge(
                f"cannot take the request: its headers are over {routes.HEADER_BYTES_MAX} bytes", "send fewer headers"
            )

    def _refusal_by_headers(self, fields: dict[bytes, bytes]) -> Reply | None:
        host = fields.get(b"host")
        if len(fields) != len(self._headers) and sum(name == b"host" for name, _ in self._headers) > 1:
            # RFC 9112, 3.2. Whoever is asked next might believe the other one.
            several = InvalidValue("cannot answer a request with several Hosts", "send one Host header")
            return self.request(fields).refusal(several)
        if self.own_port is not None:
            return self._refusal_at_port(self.own_port, host, fields)
        if host in self.gateway.known_hosts:
            return None
        if host is None:
            return self.request(fields).refusal(_without_host()) if self.speaks_1_1 else None
        return None if self.gateway.check_host(host) else foreign_host(self.request(fields))

    def _refusal_at_port(self, port: int, host: bytes | None, fields: dict[bytes, bytes]) -> Reply | None:
        entry = self.gateway.ports.entry(port)
        if entry is None:
            self.is_leaving = True
            gone = NotFound(f"cannot answer at port {port}: nothing is there any more", "`modelyard get` lists what is")
            return self.request(fields).refusal(gone)
        if host is None:
            return self.request(fields).refusal(_without_host())
        return None if self.gateway.check_host_at_port(host, entry) else foreign_host(self.request(fields))

    def refuse_body(self, limit_bytes: int) -> None:
        """Breaks off a body without a stated length that has grown beyond its limit."""
        raise too_large(limit_bytes)

    def _maybe_skip_body(self, fields: dict[bytes, bytes]) -> None:
        """A refused request with a large or waiting body is answered before the body, then the connection closes."""
        length = fields.get(b"content-length", b"0")
        small = length.isdigit() and int(length) <= LINGER_BODY_BYTES
        if b"transfer-encoding" in fields or b"expect" in fields or not small:
            reply, self._current = self._current, None
            if reply is not None:
                self._answer_and_linger(reply)

    def _check_length(self, exchange: Exchange, fields: dict[bytes, bytes]) -> None:
        length = fields.get(b"content-length")
        if length is not None and isinstance(exchange, Prediction | Visit):
            limit = exchange.service.entry.max_body_bytes
            if int(length) > limit:
                raise too_large(limit)
        expects = fields.get(b"expect", b"").lower() == b"100-continue" and self.speaks_1_1
        if not expects or self.active not in (None, exchange):
            return
        if isinstance(exchange, Proxied) and exchange.is_held:
            exchange.continue_later()
        else:
            self.tell_to_continue()

    def tell_to_continue(self) -> None:
        """The client waits for it before it sends the body (RFC 9110, 10.1.1)."""
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse_and_linger(self, error: ModelyardError) -> None:
        exchange, self._current = self._current, None
        fields = dict(self._headers)
        if isinstance(exchange, Prediction):
            reply = Reply(self, *exchange.word(error), exchange.request_id)
            exchange.abort()
        else:
            header_limit = isinstance(error, TooLarge) and exchange is None
            reply = self.request(fields).refusal(error, status=431 if header_limit else None)
            if exchange is not None:
                exchange.abort()
                if self.active is exchange:
                    if isinstance(exchange, Proxied | Visit) and exchange.answer_begun:
                        self.transport.abort()
                        return
                    self.active = None
        self._answer_and_linger(reply)

    def _answer_and_linger(self, reply: Exchange) -> None:
        reply.keep_alive = False
        if self.active is not None:
            # Answers before this one are still due; the client must hear them first.
            self._waiting.append(reply)
            self.transport.pause_reading()
            return
        self.active = reply
        self.lingers = True
        reply.start()
        self.gateway.loop.call_later(LINGER_SECONDS, self.transport.close)


def _without_host() -> InvalidValue:
    return InvalidValue("cannot answer a request without Host", "send the Host header")
