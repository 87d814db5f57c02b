"""One client connection: HTTP/1.1 parsed by llhttp, answers in the order of the requests, limits on everything.

Requests of one connection are answered one after the other; what a client pipelines waits, and beyond PIPELINE_MAX the
connection is not read. Work that answers at once and work that must wait share one shape, `Exchange`.
"""

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import httptools

from modelyard.domain.access import Role, allows
from modelyard.domain.hosts import is_loopback
from modelyard.errors import Conflict, Forbidden, InvalidValue, ModelyardError, NotFound, TooLarge, Unauthorized
from modelyard.gateway.answers import plain_error, prediction_error, status_line, status_of, tensor_error
from modelyard.gateway.api_calls import ApiCall, Refused, open_call
from modelyard.gateway.entrance import (
    ENTER,
    ENTERED,
    LEAVE,
    Entered,
    check_origin,
    policy_of,
    way_to_login,
    who_is_there,
)
from modelyard.gateway.event_stream import EventStream
from modelyard.gateway.functions import Invocation, Way, check_is_function, function_error, invocation_way
from modelyard.gateway.hosts import name_of
from modelyard.gateway.inference import Inference, model_state, server_state
from modelyard.gateway.metrics import Scrape
from modelyard.gateway.pages import HEAD, error_page
from modelyard.gateway.passing import cookie, request_headers
from modelyard.gateway.patience import Sight
from modelyard.gateway.prediction import Prediction, too_large
from modelyard.gateway.proxy import Proxied
from modelyard.gateway.router import (
    Lane,
    below_endpoint,
    below_gateway,
    inference_version,
    open_as_predictions,
    route,
    short_name,
)
from modelyard.gateway.service import Service
from modelyard.gateway.shown import Shown
from modelyard.gateway.sites import Served, check_method, missing, preflight
from modelyard.gateway.split import TARGET_VARIANT
from modelyard.gateway.terms import read_terms
from modelyard.gateway.visit import Asked, Visit
from modelyard.protocol import routes
from modelyard.protocol.table import APP, FUNCTION, HostEntry

if TYPE_CHECKING:
    from modelyard.gateway.server import Gateway

HOST_PORT = re.compile(rb":\d+$")
HTTPS_PORT = 443

PIPELINE_MAX = 16
LINGER_SECONDS = 2.0
"""After a refusal that came before the body: how long the client may go on sending before the connection is closed."""

LINGER_BODY_BYTES = 64 * 2**10
"""Bodies up to this are read to their end after a refusal, and the connection lives on."""

_KINDS: dict[Lane, type[Prediction]] = {Lane.PREDICTION: Prediction, Lane.EVENTS: EventStream}
_SAFE_ID = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")


class Exchange(Protocol):
    """A request and its answer."""

    keep_alive: bool

    @property
    def body_bytes(self) -> int:
        """How much of the request's body has come."""
        ...

    def on_body(self, chunk: bytes) -> None: ...
    def on_complete(self) -> None: ...
    def start(self) -> None: ...
    def abort(self) -> None: ...
    def can_write(self) -> None: ...


class Reply:
    """An exchange whose answer is known: a refusal, a health check."""

    def __init__(self, connection: "HttpConnection", status: int, head: bytes, body: bytes, request_id: bytes) -> None:
        self.keep_alive = True
        self.body_bytes = 0
        self._connection = connection
        self._answer = (status_line(status) + head, body, request_id)

    def on_body(self, chunk: bytes) -> None:
        # A body that nobody wants is not kept.
        self.body_bytes += len(chunk)

    def on_complete(self) -> None:
        """Nothing depends on it."""

    def start(self) -> None:
        head, body, request_id = self._answer
        self._connection.write_answer(head, body, request_id, self.keep_alive)
        self._connection.finished(self)

    def abort(self) -> None:
        """Nothing is under way."""

    def can_write(self) -> None:
        """Nothing waits for the client."""


class HttpConnection(asyncio.Protocol):
    __slots__ = (
        "_begun_at",
        "_current",
        "_header_bytes",
        "_headers",
        "_parser",
        "_url",
        "_waiting",
        "active",
        "client_is_slow",
        "gateway",
        "idle_since",
        "is_encrypted",
        "last_heard",
        "lingers",
        "must_encrypt",
        "speaks_1_1",
        "transport",
        "trusted",
    )

    transport: asyncio.Transport

    def __init__(self, gateway: "Gateway", *, is_encrypted: bool = False, trusted: bool = False) -> None:
        """`trusted` where only the yard's own processes can connect."""
        self.gateway = gateway
        self.trusted = trusted
        self.is_encrypted = is_encrypted
        self.must_encrypt = False
        """Whether its requests are sent to the encrypted port."""
        self.active: Exchange | None = None
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

    # -- the transport's callbacks -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream transport, as the listener makes them
        elsewhere = bool(self.address) and not is_loopback(self.address)
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
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # RFC 9110 7.8: a server may ignore the wish to upgrade; llhttp stops all the same.
            self._parser = httptools.HttpRequestParser(self)
            rest = data[upgrade.args[0] :]
            visit = self.active
            if isinstance(visit, Visit) and visit.asked.upgrade is not None:
                visit.early(rest)
            elif rest and not self.lingers:
                self.data_received(rest)
        except httptools.HttpParserCallbackError as failed:
            cause = failed.__context__
            if not isinstance(cause, ModelyardError):
                raise
            self._refuse_and_linger(cause)
        except httptools.HttpParserError as error:
            self._refuse_and_linger(InvalidValue(f"cannot read the request: {error}", "send HTTP/1.1"))

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
        headers = self._headers
        fields = dict(headers)
        gateway = self.gateway
        self.speaks_1_1 = self._parser.get_http_version() == "1.1"
        refused = self._refusal_by_headers(fields)
        origin = gateway.origin_of(fields.get(b"host")) if refused is None else None
        ours = refused is None and origin is None and not self.must_encrypt
        service = gateway.services_by_path.get(self._url) if ours else None
        at_once = service is not None and service.is_open and not service.entry.queued
        if service is not None and at_once and self._parser.get_method() == b"POST":
            prediction = Prediction(self, service, headers, fields, None, _is_signed(fields))
            exchange: Exchange = prediction
            if service.split is not None or TARGET_VARIANT in fields:
                exchange = self._directed(prediction, fields)
        elif refused is not None:
            exchange = self._refusal(refused[0], fields, status=refused[1])
        elif self.must_encrypt:
            exchange = self._to_encrypted(fields)
        elif origin is not None:
            exchange = self._at_origin(origin, fields)
        else:
            exchange = self._exchange_for(fields)
        self._current = exchange
        given_id = fields.get(b"x-request-id")
        if given_id is not None and isinstance(exchange, Prediction) and _is_safe_id(given_id):
            exchange.given_id = given_id
        if self.trusted and isinstance(exchange, Prediction):
            terms = read_terms(fields)
            if terms is not None:
                exchange.accept_terms(terms)
        if isinstance(exchange, Reply):
            self._maybe_skip_body(fields)
        elif b"content-length" in fields or b"expect" in fields:
            self._check_length(exchange, fields)

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
            return
        if self._waiting:
            following = self._waiting.popleft()
            self.active = following
            self.gateway.loop.call_soon(self._start_following, following)
            if len(self._waiting) < PIPELINE_MAX:
                self.transport.resume_reading()
        elif self.gateway.draining:
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

    @property
    def address(self) -> str:
        """The client's, without its port; empty where there is none."""
        peer: Any = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

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

    def write_answer(self, head: bytes, body: bytes, request_id: bytes, keep_alive: bool) -> None:
        """`head` is the status line and header lines; length, date, id and the blank line are added."""
        self.transport.write(
            b"%bcontent-length: %d\r\n%b%bx-request-id: %b\r\n\r\n%b"
            % (head, len(body), self.gateway.date_line, self._connection_line(keep_alive), request_id, body)
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

    def _refusal_by_headers(self, fields: dict[bytes, bytes]) -> tuple[ModelyardError, int] | None:
        host = fields.get(b"host")
        if len(fields) != len(self._headers) and sum(name == b"host" for name, _ in self._headers) > 1:
            # RFC 9112, 3.2. Whoever is asked next might believe the other one.
            return InvalidValue("cannot answer a request with several Hosts", "send one Host header"), 400
        if host in self.gateway.known_hosts:
            return None
        if host is None:
            missing = InvalidValue("cannot answer a request without Host", "send the Host header"), 400
            return missing if self.speaks_1_1 else None
        return None if self.gateway.check_host(host) else self._foreign(host)

    def _foreign(self, host: bytes) -> tuple[ModelyardError, int]:
        label = self.gateway.origins.label_of(host)
        if label is not None:
            hint = "`modelyard get` lists what there is"
            return NotFound(f"cannot show {label[:80]}: there is no app and no site of that name", hint), 404
        shown = host[:100].decode("latin-1")
        return Forbidden(
            f"cannot answer for host {shown!r}: it is not a name of this yard", "use the address that `up` printed"
        ), 403

    def _exchange_for(self, fields: dict[bytes, bytes]) -> Exchange:
        path, _, query = self._url.partition(b"?")
        lane, name, under_aws = route(path)
        method = self._parser.get_method()
        below = below_endpoint(path)
        if below is not None and (lane is Lane.CONTROL or method != b"POST"):
            return self._to_web_app(*below, method, fields, query)
        match lane:
            case Lane.PREDICTION | Lane.EVENTS:
                return self._prediction(name, fields, query, _KINDS[lane], signed=under_aws or _is_signed(fields))
            case Lane.FUNCTION | Lane.LAMBDA | Lane.API:
                return self._to_function(lane, name, path, method, query, fields)
            case Lane.TENSORS:
                return self._inference(name, inference_version(path), method, fields, query)
            case Lane.CONTROL:
                return self._for_control(path, method, fields, query)
            case _:
                return self._by_itself(lane, name, path, method, fields)

    def _by_itself(self, lane: Lane, name: str, path: bytes, method: bytes, fields: dict[bytes, bytes]) -> Exchange:
        if method not in (b"GET", b"HEAD"):
            return self._refusal(InvalidValue(f"cannot {method.decode()} this path", "use GET"), fields, status=405)
        return self._own_answer(lane, name, path, fields)

    # -- apps, sites and gateways at an origin of their own ----------------------------------------------------------

    def _at_origin(self, entry: HostEntry, fields: dict[bytes, bytes]) -> Exchange:
        path, _, query = self._url.partition(b"?")
        host = fields[b"host"]
        if entry.prefix is not None:
            self._url = entry.prefix.encode() + self._url
            return self._exchange_for(fields)
        if path in (ENTER, ENTERED, LEAVE):
            return self._entrance(path, host, query, self._id_for(fields))
        wants_page = self._wants_page(fields)
        try:
            shown = self._let_in(entry, fields, host)
        except ModelyardError as error:
            if not wants_page:
                return self._refusal(error, fields)
            return self._to_login(host, fields) if isinstance(error, Unauthorized) else self._page(error, fields)
        if entry.site is not None:
            return self._at_site(entry, entry.site, path, fields, wants_page=wants_page)
        return self._visit(entry, shown, fields, wants_page=wants_page)

    def _at_site(
        self, entry: HostEntry, manifest: str, path: bytes, fields: dict[bytes, bytes], *, wants_page: bool
    ) -> Exchange:
        method, request_id, sites = self._parser.get_method(), self._id_for(fields), self.gateway.sites
        private = policy_of(entry, self.gateway.access.by_default).way != "public"
        try:
            check_method(method)
            site = sites.site(manifest, private=private)
            if method == b"OPTIONS":
                answer = preflight(site, fields)
            else:
                answer = site.answer(path, fields, wants_page=wants_page, contents=sites.contents)
        except NotFound as error:
            answer = missing(error, request_id)
        except ModelyardError as error:
            return self._refusal(error, fields, status=405 if isinstance(error, InvalidValue) else None)
        return Served(self, answer, request_id, is_head=method == b"HEAD")

    def _entrance(self, path: bytes, host: bytes, query: bytes, request_id: bytes) -> Exchange:
        if path == ENTERED:
            return Entered(self, host, query, request_id)
        return Proxied(self, self._parser.get_method(), self._url, self._headers, request_id)

    def _wants_page(self, fields: dict[bytes, bytes]) -> bool:
        """Whether a browser navigates here; what a page of it fetches, it wants no page for."""
        if self._parser.get_method() not in (b"GET", b"HEAD") or self._parser.should_upgrade():
            return False
        if fields.get(b"sec-fetch-mode", b"navigate") != b"navigate":
            return False
        return b"text/html" in fields.get(b"accept", b"")

    def _let_in(self, entry: HostEntry, fields: dict[bytes, bytes], host: bytes) -> Shown:
        """Raises Unauthorized, Forbidden."""
        access = self.gateway.access
        policy = policy_of(entry, access.by_default)
        shown = access.check(policy, fields, self.address, entry.project, entry.reference, name_of(host) or "")
        method, upgrade = self._parser.get_method(), self._parser.should_upgrade()
        check_origin(shown, method, fields, self._scheme, upgrade=upgrade)
        return shown

    @property
    def _scheme(self) -> bytes:
        return b"https" if self.is_encrypted else b"http"

    def _to_login(self, host: bytes, fields: dict[bytes, bytes]) -> Reply:
        yard = self.gateway.login_host(host)
        _, head = way_to_login(yard, self._scheme, name_of(host) or "", self._url)
        return Reply(self, 303, head, b"", self._id_for(fields))

    def _page(self, error: ModelyardError, fields: dict[bytes, bytes]) -> Reply:
        request_id = self._id_for(fields)
        body = error_page(error, request_id.decode("latin-1"))
        return Reply(self, status_of(error), HEAD, body, request_id)

    def _visit(self, entry: HostEntry, shown: Shown, fields: dict[bytes, bytes], *, wants_page: bool) -> Exchange:
        service = self.gateway.service(entry.endpoint) if entry.endpoint is not None else None
        method = self._parser.get_method()
        if service is None or method == b"CONNECT":
            missing = NotFound(f"cannot show {entry.name}: it has just been deleted")
            return self._page(missing, fields) if wants_page else self._refusal(missing, fields)
        gateway = self.gateway
        tokens = gateway.identity.tokens_for(shown, entry.reference, gateway.access.expires_at(shown.digest))
        headers = request_headers(self._headers, credential=shown.by_key)
        headers += [
            (b"x-forwarded-for", self.address.encode() or b"local"),
            (b"x-forwarded-proto", self._scheme),
            (b"x-forwarded-host", fields[b"host"]),
            *who_is_there(shown, tokens),
        ]
        replica = cookie(fields.get(b"cookie"), routes.REPLICA_COOKIE.encode())
        asked = Asked(
            method=method,
            url=self._url,
            headers=headers,
            length=fields.get(b"content-length"),
            chunked=b"transfer-encoding" in fields,
            upgrade=fields.get(b"upgrade") if self._parser.should_upgrade() else None,
            replica=replica.decode("latin-1") if replica is not None else None,
            wants_page=wants_page,
        )
        return Visit(self, service, asked, self._id_for(fields))

    def refuse_body(self, limit_bytes: int) -> None:
        """Breaks off a body without a stated length that has grown beyond its limit."""
        raise too_large(limit_bytes)

    def _to_encrypted(self, fields: dict[bytes, bytes]) -> Reply:
        """Sends the client to the encrypted port: same host, path and query (RFC 9110, 15.4.9)."""
        tls = self.gateway.tls
        host = HOST_PORT.sub(b"", fields.get(b"host", b"localhost"))
        port = b"" if tls is None or tls.place.port == HTTPS_PORT else b":%d" % tls.place.port
        target = self._url if self._url.startswith(b"/") else b"/"
        return Reply(self, 308, b"location: https://%b%b%b\r\n" % (host, port, target), b"", self._id_for(fields))

    def _for_control(self, path: bytes, method: bytes, fields: dict[bytes, bytes], query: bytes) -> Exchange:
        short, below = short_name(path)
        service = self.gateway.service(short) if short is not None else None
        if service is not None and service.entry.queued:
            # Cortex's AsyncAPI: what was posted to /NAME is found at /NAME/ID.
            url = f"{routes.ENDPOINTS}{service.name}{routes.ASYNC_INVOCATIONS}".encode() + below
            return self._for_control(url, method, fields, query)
        if service is not None and method == b"POST" and not below:
            return self._prediction(service.name.lower(), fields, query, Prediction, _is_signed(fields))
        callers = open_as_predictions(path)
        if callers is not None:
            try:
                self._check_caller(callers, fields)
            except ModelyardError as error:
                return self._refusal(error, fields, signed=_is_signed(fields))
        if method == b"CONNECT":
            return self._refusal(InvalidValue("cannot CONNECT: this is no proxy"), fields, status=405)
        url = b"%b?%b" % (path, query) if query else path
        return Proxied(self, method, url, self._headers, self._id_for(fields))

    def _prediction(
        self, name: str, fields: dict[bytes, bytes], query: bytes, kind: type[Prediction], signed: bool
    ) -> Exchange:
        try:
            service = self._answering(name, fields)
        except ModelyardError as error:
            return self._refusal(error, fields, signed=signed)
        if service.entry.kind == FUNCTION:
            kind, signed = Invocation, False
        return self._directed(kind(self, service, self._headers, fields, query or None, signed), fields)

    def _to_function(
        self, lane: Lane, name: str, path: bytes, method: bytes, query: bytes, fields: dict[bytes, bytes]
    ) -> Exchange:
        if lane is Lane.API:
            return self._api_call(name, below_gateway(path), method, query, fields)
        return self._invocation(name, lane is Lane.LAMBDA, method, fields, query)

    def _api_call(self, name: str, path: bytes, method: bytes, query: bytes, fields: dict[bytes, bytes]) -> Exchange:
        """A request to an API gateway."""
        api = self.gateway.apis.find(name)
        request_id = self._id_for(fields)
        if api is None:
            try:
                self._check_default(fields)
            except ModelyardError as error:
                return self._refusal(error, fields)
            return self._refusal(NotFound(f"cannot answer: there is no gateway {name}"), fields)
        call = ApiCall(api, method, path, query, self._headers, self.address, request_id.decode("latin-1"))
        try:
            found = open_call(self, call, fields)
        except ModelyardError as error:
            found = call.refused(error)
        if not isinstance(found, Refused):
            return found
        call.finish(found.status, len(found.body))
        return Reply(self, found.status, found.head + call.cors, found.body, request_id)

    def _invocation(
        self, name: str, by_lambda: bool, method: bytes, fields: dict[bytes, bytes], query: bytes
    ) -> Exchange:
        """An event for a function: answered at once, queued, or only asked whether it could be."""
        request_id = self._id_for(fields)
        try:
            if method != b"POST":
                raise InvalidValue(f"cannot {method.decode()} a function", "POST an event")
            service = self._service_for(name, fields)
            check_is_function(service)
            way = invocation_way(fields)
        except ModelyardError as error:
            return Reply(self, *function_error(error, request_id.decode("latin-1"), by_lambda=by_lambda), request_id)
        if way is Way.EVENT:
            url = f"{routes.ENDPOINTS}{service.name}{routes.ASYNC_INVOCATIONS}".encode()
            return Proxied(self, method, url, self._headers, request_id)
        if way is Way.DRY_RUN:
            return Reply(self, 204, b"", b"", request_id)
        invocation = Invocation(self, service, self._headers, fields, query or None, by_lambda)
        return self._directed(invocation, fields)

    def _directed(self, prediction: Prediction, fields: dict[bytes, bytes]) -> Exchange:
        """The prediction, on its way to who is to answer it."""
        service = prediction.service
        if service.split is None and TARGET_VARIANT not in fields:
            return prediction
        try:
            service.direct(prediction, fields)
            member = prediction.service.whole
            if member is not service and not self.trusted:
                self._check_member(member, fields)
        except ModelyardError as error:
            return Reply(self, *prediction.word(error), prediction.request_id)
        return prediction

    def _check_member(self, member: Service, fields: dict[bytes, bytes]) -> None:
        """Whoever comes through a splitter must be let in, and answered at once, by the member all the same."""
        if member.entry.queued:
            raise queued_conflict(member.name)
        if not member.is_open:
            project = member.entry.project
            self.gateway.access.check(member.policy, fields, self.address, project, member.reference)

    def _inference(
        self, name: str, version: str | None, method: bytes, fields: dict[bytes, bytes], query: bytes
    ) -> Exchange:
        try:
            if method != b"POST":
                raise InvalidValue(f"cannot {method.decode()} an inference", "use POST")
            service = self._answering(name, fields)
            if version is not None and service.entry.members:
                # What the protocol calls a version is here one of several that answer in the name's place.
                fields = {**fields, TARGET_VARIANT: version.encode("latin-1")}
            elif version is not None and version != str(service.entry.version):
                raise NotFound(
                    f"cannot infer: version {version} of {service.name} does not serve",
                    f"version {service.entry.version} does",
                )
            return self._directed(Inference(self, service, self._headers, fields, query or None), fields)
        except ModelyardError as error:
            request_id = self._id_for(fields)
            return Reply(self, *tensor_error(error, request_id.decode("latin-1")), request_id)

    def _answering(self, name: str, fields: dict[bytes, bytes]) -> Service:
        """As `_service_for`, for a prediction. Raises Conflict where predictions are queued."""
        service = self._service_for(name, fields)
        if service.entry.queued and not self.trusted:
            raise queued_conflict(service.name)
        return service

    def _service_for(self, name: str, fields: dict[bytes, bytes]) -> Service:
        """Raises Unauthorized, Forbidden, NotFound."""
        service = self.gateway.service(name)
        if service is None:
            self._check_default(fields)
            hint = self.gateway.nearest_endpoint(name)
            raise NotFound(f"cannot predict: there is no endpoint {name}", hint)
        if not service.is_open and not self.trusted:
            project = service.entry.project
            self.gateway.access.check(service.policy, fields, self.address, project, service.reference)
        if service.entry.kind == APP:
            hint = f"open http://{service.name.lower()}.localhost, at the yard's port"
            raise NotFound(f"cannot predict: {service.name} is an app", hint)
        return service

    def _check_caller(self, name: str, fields: dict[bytes, bytes]) -> None:
        """For what control answers in place of an endpoint, which says itself where there is none."""
        if self.gateway.service(name) is None:
            self._check_default(fields)
            return
        service = self._service_for(name, fields)
        for option in service.split.options if service.entry.members and service.split is not None else ():
            self._service_for(option.service.entry_key, fields)

    def _check_default(self, fields: dict[bytes, bytes]) -> None:
        """What is not there is told only to those who could call something. Raises Unauthorized."""
        access = self.gateway.access
        if access.by_default.way != "public" and access.recognise(fields) is None:
            raise Unauthorized("cannot predict without a key", "send `Authorization: Bearer KEY`")

    def _tensors_state(self, name: str, path: bytes, fields: dict[bytes, bytes]) -> Reply:
        """What a client of the Open Inference Protocol asks before it infers."""
        gateway = self.gateway
        request_id = self._id_for(fields)
        if not name:
            ready = not path.endswith(b"/ready") or gateway.has_table
            return Reply(self, 200 if ready else 503, *server_state(path, ready=ready), request_id)
        try:
            service = self._service_for(name, fields)
        except ModelyardError as error:
            return Reply(self, *tensor_error(error, request_id.decode("latin-1")), request_id)
        ready = service.version_can_answer(inference_version(path))
        # The protocol says no by a status from 400 to 499.
        return Reply(self, 200 if ready else 400, *model_state(service.name, ready=ready), request_id)

    def _to_web_app(self, name: str, path: bytes, method: bytes, fields: dict[bytes, bytes], query: bytes) -> Exchange:
        """A request that only an endpoint which serves a web application answers."""
        service = self.gateway.service(name)
        if service is not None and service.is_web_app is False:
            if path == routes.INVOCATIONS.encode():
                error = InvalidValue(f"cannot {method.decode()} a prediction", "use POST")
                return self._refusal(error, fields, status=405)
            missing = NotFound(
                f"cannot find {path.decode('latin-1')[:100]} of endpoint {service.name}: it serves no web application",
                f"predictions are posted to {routes.INVOCATIONS}",
            )
            return self._refusal(missing, fields, signed=False)
        exchange = self._prediction(name, fields, query, Prediction, signed=False)
        if isinstance(exchange, Prediction):
            exchange.method, exchange.path = method, path
        return exchange

    def _own_answer(self, lane: Lane, name: str, path: bytes, fields: dict[bytes, bytes]) -> Exchange:
        gateway = self.gateway
        if lane is Lane.TENSORS_STATE:
            return self._tensors_state(name, path, fields)
        if lane is Lane.METRICS:
            principal = gateway.access.recognise(fields)
            if principal is None or principal.scopes is not None or not allows(principal, Role.VIEWER):
                unauthorized = Unauthorized("cannot show metrics without a viewer's key", "send it")
                return self._refusal(unauthorized, fields)
            return Scrape(self, self._id_for(fields))
        ready = lane is Lane.HEALTH or gateway.has_table
        body = b'{"status":"ok"}' if ready else b'{"status":"no table yet"}'
        return Reply(self, 200 if ready else 503, b"content-type: application/json\r\n", body, self._id_for(fields))

    def _refusal(
        self,
        error: ModelyardError,
        fields: dict[bytes, bytes],
        *,
        status: int | None = None,
        signed: bool | None = None,
    ) -> Reply:
        request_id = self._id_for(fields)
        text = request_id.decode("latin-1")
        if signed is None:
            answer = plain_error(error, text, status)
        else:
            answer = prediction_error(error, text, signed=signed, predictor_status=status)
        return Reply(self, *answer, request_id)

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
        if fields.get(b"expect", b"").lower() == b"100-continue" and self.speaks_1_1 and self.active is None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse_and_linger(self, error: ModelyardError) -> None:
        exchange, self._current = self._current, None
        fields = dict(self._headers)
        if isinstance(exchange, Prediction):
            reply = Reply(self, *exchange.word(error), exchange.request_id)
            exchange.abort()
        else:
            header_limit = isinstance(error, TooLarge) and exchange is None
            reply = self._refusal(error, fields, status=431 if header_limit else None)
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

    def _id_for(self, fields: dict[bytes, bytes]) -> bytes:
        given = fields.get(b"x-request-id")
        if given is not None and _is_safe_id(given):
            return given
        return b"%b%016x" % (self.gateway.id_prefix, self.gateway.next_stream())


def queued_conflict(name: str) -> Conflict:
    """The refusal of a prediction where predictions are queued."""
    return Conflict(
        f"cannot predict at once: the invocations of {name} are queued",
        f"post to {routes.ENDPOINTS}{name}{routes.ASYNC_INVOCATIONS}",
    )


def _is_signed(fields: dict[bytes, bytes]) -> bool:
    return fields.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256")


def _is_safe_id(value: bytes) -> bool:
    return 0 < len(value) <= routes.REQUEST_ID_LENGTH_MAX and _SAFE_ID.issuperset(value)
