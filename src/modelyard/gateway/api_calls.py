"""A request to an API gateway, from its headers to its answer.

What can be decided from the headers is decided before the body is read, in this order: a page's preflight, who may come
in at all, the stage, the route, how often, the key, the token, the parameters, an answer that is kept. Then it goes to
a function as an event, to an endpoint as it came, to a site's file, or to another server.

Refusals have API Gateway's words, `{"message": "Forbidden"}`, and the CORS headers of every other answer, so that a
page can read why.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from modelyard.domain.gateways import BODY_BYTES_MAX, Met, cors_headers, find_stage, path_at_site
from modelyard.domain.names import name_key
from modelyard.domain.payloads import HttpAnswer, HttpRequest, Routed, Unmappable, answer_of, event_of
from modelyard.errors import InvalidValue, ModelyardError, NotFound, NotReady, TooLarge
from modelyard.gateway.answers import SANDBOX, UNSAFE, is_page, status_line
from modelyard.gateway.apis import Api, Cached
from modelyard.gateway.functions import FUNCTION_ERROR, Invocation
from modelyard.gateway.hosts import HOST_PORT
from modelyard.gateway.outgoing import UrlCall
from modelyard.gateway.passing import cookie_of_this_host, foreign_cookies, is_forwarding, lines
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.request import Request
from modelyard.gateway.service import Service
from modelyard.gateway.sites import SEE_FOLDER, Answer, Served
from modelyard.gateway.tokens import bearer
from modelyard.protocol.table import FUNCTION

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection

_STATUSES = {
    "invalid_value": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "too_large": 413,
    "too_many_requests": 429,
    "queue_full": 503,
    "not_ready": 503,
    "deadline_passed": 503,
    "replica_died": 500,
}
_WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    503: "Service Unavailable",
}
"""What API Gateway says, by status; everything else is an Internal Server Error."""

_log = logging.getLogger("modelyard.gateway")
_JSON = b"content-type: application/json\r\n"
_NOT_KEPT = re.compile(rb"^cache-control:[^\r\n]*\b(?:no-store|private)\b", re.IGNORECASE | re.MULTILINE)
_NOT_ALLOWED = b'{"message":"Method Not Allowed"}'
_READING = frozenset({"GET", "HEAD"})
_FAULT = b'{"message":"Internal Server Error"}'
_TIMED_OUT = b"HTTP/1.1 504"
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "date", "x-request-id", "keep-alive"})
_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"x-amz-security-token"})


class Refused(NamedTuple):
    """An answer that is known before the body was read."""

    status: int
    head: bytes
    body: bytes


class ApiCall:
    """What is known of one request, and how its answer is dressed."""

    def __init__(self, api: Api, request: Request, path: bytes) -> None:
        """`path` is what of the request's is for the gateway."""
        self.api = api
        self.method = request.method.decode("latin-1")
        self.path = path.decode("latin-1") or "/"
        self.query = request.query.decode("latin-1")
        self.headers = _passed(request.headers, credential=api.policy.way != "public")
        self.at_own_origin = False
        """Whether it came to a host that is the gateway's own; else its pages share an origin with the console."""
        self.address = request.address
        self.request_id = request.id_text
        self.stage = ""
        self.path_below = ""
        """Of the path, what is below the stage."""
        self.met: Met | None = None
        self.key_name: str | None = None
        self.claims: dict[str, Any] | None = None
        self.authorize: Callable[[], Coroutine[Any, Any, dict[str, Any]]] | None = None
        """Proves the token, where that has to ask the issuer first."""
        self.cache_key: tuple[str, ...] | None = None
        self.cors = b""
        self.at = time.time()
        self._began_at = time.perf_counter()
        self._request = request

    @property
    def wants_page(self) -> bool:
        return self._request.wants_page

    def fields_behind(self) -> dict[bytes, bytes]:
        """Header fields by name. What CORS says of a page's origin is said here, where the gateway says anything."""
        fields = dict(self.headers)
        if self.api.config.cors is not None:
            fields.pop(b"origin", None)
        return fields

    # -- before the body ---------------------------------------------------------------------------------------------

    def take_cors(self, fields: dict[bytes, bytes]) -> Refused | None:
        """Notes the headers of every answer; a preflight is answered here."""
        cors, origin = self.api.config.cors, fields.get(b"origin")
        if cors is None or origin is None:
            return None
        preflight = self.method == "OPTIONS" and b"access-control-request-method" in fields
        self.cors = _lines(cors_headers(cors, origin.decode("latin-1"), preflight=preflight))
        return Refused(204, b"", b"") if preflight else None

    def find_route(self) -> Met:
        """Raises NotFound."""
        staged = find_stage(self.api.config.stages, self.path)
        met = self.api.find(self.method, staged.path) if staged is not None else None
        if staged is None or met is None:
            raise NotFound("Not Found")
        self.stage, self.path_below, self.met = staged.stage, staged.path, met
        return met

    def check_query(self, met: Met) -> None:
        """Raises InvalidValue where a parameter is missing that the route wants."""
        there = {one.partition("=")[0] for one in self.query.split("&")}
        missing = [name for name in met.route.query if name not in there]
        if missing:
            raise InvalidValue(f"Missing required request parameters: [{', '.join(missing)}]")

    def kept(self, met: Met, fields: dict[bytes, bytes]) -> Refused | None:
        """The answer that was given to the same question not long ago."""
        if not met.route.cache_seconds or self.method != "GET" or self._is_somebodys(met, fields):
            return None
        varied = [fields.get(name.lower().encode(), b"").decode("latin-1") for name in met.route.cache_headers]
        asker = self.key_name or "", str((self.claims or {}).get("sub", ""))
        # At the yard's own address a page is in a sandbox, at the gateway's own it is not: they are two answers.
        place = "own" if self.at_own_origin else ""
        self.cache_key = (place, self.path, "&".join(sorted(self.query.split("&"))), *asker, *varied)
        found = self.api.cache.get(self.cache_key, self.at)
        return Refused(found.status, found.head, found.body) if found is not None else None

    def _is_somebodys(self, met: Met, fields: dict[bytes, bytes]) -> bool:
        """Whether what is behind is shown a credential that says nothing here: its answer is for whoever has that
        (RFC 9111, 3.5)."""
        behind = b"authorization" in fields and self.api.policy.way == "public" and met.route.authorizer is None
        return behind and "authorization" not in map(str.lower, met.route.cache_headers)

    # -- what goes behind --------------------------------------------------------------------------------------------

    def event(self, body: bytes) -> bytes:
        """The event for a function, as JSON."""
        assert self.met is not None
        told = [*((name, value) for name, value in self.headers if not is_forwarding(name)), *self._forwarding()]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in told]
        host = next((value for name, value in headers if name == "host"), "")
        request = HttpRequest(
            self.method, self.path, self.query, headers, body, host, self.address, self.request_id, self.at
        )
        route = self.met.route
        variables = self.api.config.stages.get(self.stage) or {}
        scopes = route.scopes if self.claims is not None else None
        routed = Routed(
            self.api.name, self.stage, route.key, route.path, self.met.parameters, variables, self.claims, scopes,
            self.key_name,
        )  # fmt: skip
        return orjson.dumps(event_of(request, routed, route.payload))

    def _forwarding(self) -> list[tuple[bytes, bytes]]:
        """By which way it came, as API Gateway tells it; whatever the client says of that is not believed."""
        scheme = self._request.scheme
        port = HOST_PORT.search(self._request.host)
        return [
            (b"x-forwarded-for", self.address.encode() or b"local"),
            (b"x-forwarded-port", port[0][1:] if port is not None else b"443" if scheme == b"https" else b"80"),
            (b"x-forwarded-proto", scheme),
        ]

    # -- the answer --------------------------------------------------------------------------------------------------

    def result(self, body: bytes) -> Refused:
        """What a function's result means."""
        assert self.met is not None
        try:
            return self.dressed(answer_of(orjson.loads(body), self.met.route.payload))
        except (Unmappable, orjson.JSONDecodeError):
            return Refused(500, _JSON, _FAULT)

    def dressed(self, answer: HttpAnswer) -> Refused:
        """An answer from behind. What CORS says here, nothing behind can say otherwise."""
        dropped = _FRAMING if not self.cors else _FRAMING | _CORS_NAMES
        head = self.sandboxed(_lines([one for one in answer.headers if one[0] not in dropped]))
        body = b"" if self.method == "HEAD" or answer.status in (204, 304) else answer.body
        self.keep(answer.status, head, body)
        return Refused(answer.status, head, body)

    def sandboxed(self, head: bytes) -> bytes:
        """Header lines of an answer; of a page at the yard's own address, in its sandbox."""
        return head if self.at_own_origin or SANDBOX in head or not is_page(head) else head + SANDBOX

    def keep(self, status: int, head: bytes, body: bytes) -> None:
        """For those who ask the same soon; never what sets a cookie, which is one visitor's own, nor what says that it
        is not to be kept."""
        if self.cache_key is None or status != 200 or b"set-cookie:" in head or _NOT_KEPT.search(head):
            return
        seconds = self.met.route.cache_seconds if self.met is not None else 0.0
        self.api.cache.put(self.cache_key, Cached(status, head, body, time.time() + seconds))

    def refused(self, error: ModelyardError) -> Refused:
        self._note(error)
        status = _STATUSES.get(error.code, 500)
        own = status in (400, 429) or (status == 404 and error.message == "Not Found")
        message = error.message if own else _WORDS.get(status, "Internal Server Error")
        document = {"message": message}
        head = _JSON
        if status == 400 and error.hint:
            document["detail"] = error.hint
        if status == 401:
            head += b"www-authenticate: Bearer\r\n"
        if status in (429, 503):
            head += b"retry-after: 1\r\n"
        return Refused(status, head, json.dumps(document).encode())

    def _note(self, error: ModelyardError) -> None:
        """By the route, for paths are without number; by the gateway's own key, where one was shown."""
        asker = f"key {self.key_name} of {self.api.reference}" if self.key_name is not None else None
        route = f" {self.met.route.key}" if self.met is not None else ""
        self._request.note(error, principal=asker, place=f"{self.api.reference}{route}")

    def finish(self, status: int, size: int) -> None:
        """Writes the request down."""
        log = self.api.log
        if log is not None:
            log.note(
                requestId=self.request_id,
                requestTime=round(self.at, 3),
                ip=self.address,
                stage=self.stage,
                routeKey=self.met.route.key if self.met is not None else None,
                httpMethod=self.method,
                path=self.path[:1000],
                status=status,
                responseLength=size,
                latencyMs=round((time.perf_counter() - self._began_at) * 1000, 2),
                key=self.key_name,
                sub=(self.claims or {}).get("sub"),
            )


_CORS_NAMES = frozenset(f"access-control-{name}" for name in (
    "allow-origin", "allow-credentials", "allow-methods", "allow-headers", "max-age", "expose-headers",
))  # fmt: skip


def _passed(headers: Sequence[tuple[bytes, bytes]], *, credential: bool) -> list[tuple[bytes, bytes]]:
    """What is told of a request's headers behind the gateway: nothing that opens the yard itself. `credential` says
    that what the client showed was meant for the yard."""
    passed: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        if name == b"cookie":
            rest = foreign_cookies(value)
            passed += [(name, b"; ".join(rest))] if rest else []
        elif not (credential and name in _CREDENTIALS):
            passed.append((name, value))
    return passed


def _lines(headers: Sequence[tuple[str, str]]) -> bytes:
    """Header lines that nobody can break out of, without cookies that are the yard's."""
    clean: list[tuple[bytes, bytes]] = []
    for one, text in headers:
        name = one.translate(UNSAFE).strip().lower().encode("latin-1", "replace")
        value = text.translate(UNSAFE).encode("latin-1", "replace")
        given = value if name != b"set-cookie" else cookie_of_this_host(value)
        if name and given is not None:
            clean.append((name, given))
    return lines(clean)


# -- behind the gateway ------------------------------------------------------------------------------------------------


class _Call(Prediction):
    """A request that goes on behind the gateway once it is known who asks; what is refused, is so in its words."""

    __slots__ = ()

    call: ApiCall
    _authorizing: asyncio.Task[None]

    @property
    def is_head(self) -> bool:
        return self.call.method == "HEAD"

    def start(self) -> None:
        self.started_at = time.monotonic()
        if self.call.authorize is None:
            self._go()
        else:
            self._authorizing = self.connection.gateway.loop.create_task(authorized(self.call, self._go, self.fail))

    def _go(self) -> None:
        if self.done:
            return
        try:
            assert self.call.met is not None
            self._check_body(self.call.met)
        except ModelyardError as error:
            self.fail(error)
            return
        super().start()

    def _check_body(self, met: Met) -> None:
        """Makes of the body what is asked behind. Raises ModelyardError where the route does not take it."""
        raise NotImplementedError

    def word(self, error: ModelyardError, predictor_status: int | None = None) -> tuple[int, bytes, bytes]:
        status, head, body = self.call.refused(error)
        return status, head + self.call.cors, body

    def _finish(self, status: int, head: bytes, body: bytes) -> None:
        super()._finish(status, head, body)
        self.call.finish(status, len(body))


class FunctionCall(_Call, Invocation):
    """A request that a function answers."""

    __slots__ = ("_authorizing", "call")

    def __init__(self, connection: "HttpConnection", service: Service, call: ApiCall) -> None:
        # The event has everything; what a client's headers would ask of the function itself is not theirs to ask.
        super().__init__(connection, service, [], {}, None, signed=False)
        self.content_type = b"application/json"
        self.given_id = call.request_id.encode("latin-1")
        self.call = call

    def on_body(self, chunk: bytes) -> None:
        if self._size + len(chunk) > BODY_BYTES_MAX:
            raise TooLarge("Request Entity Too Large")
        self._size += len(chunk)
        self.connection.gateway.held_bytes += len(chunk)
        self._parts.append(chunk)

    def on_complete(self) -> None:
        """The body waits in parts until it is known who asks."""

    def _check_body(self, met: Met) -> None:
        body = b"".join(self._parts)
        self._parts = []
        self.call.api.check_body(met, body)
        self.body = self.call.event(body)
        if len(self.body) > self.service.entry.max_body_bytes:
            raise TooLarge("Request Entity Too Large")

    def _answer_whole(self, status: int, head: bytes, body: bytes) -> None:
        call = self.call
        if FUNCTION_ERROR in head:
            late = head.startswith(_TIMED_OUT)
            found = call.refused(NotReady("")) if late else Refused(500, _JSON, _FAULT)
        else:
            found = call.result(body)
        self._finish(found.status, status_line(found.status) + found.head + call.cors, found.body)


class EndpointCall(_Call):
    """A request that an endpoint answers, body as it came."""

    __slots__ = ("_authorizing", "added_head", "call")

    def __init__(self, connection: "HttpConnection", service: Service, call: ApiCall) -> None:
        super().__init__(
            connection, service, list(call.headers), dict(call.headers), call.query.encode() or None, False
        )
        self.given_id = call.request_id.encode("latin-1")
        self.call = call
        self.added_head = call.cors

    def _check_body(self, met: Met) -> None:
        if not self.is_kept:
            self.call.api.check_body(met, self.body)
        elif met.route.body is not None:
            raise TooLarge("Request Entity Too Large")

    def _answer_whole(self, status: int, head: bytes, body: bytes) -> None:
        head = self.call.sandboxed(head)
        self.call.keep(status, head.partition(b"\r\n")[2], body)
        self._finish(status, head + self.call.cors, body)


class SiteCall(Served):
    """A request that a site's file answers."""

    def __init__(self, connection: "HttpConnection", call: ApiCall, met: Met) -> None:
        """Raises NotFound, NotReady, StoreFailed."""
        answer = _at_site(connection, call, met)
        super().__init__(connection, answer, call.request_id.encode("latin-1"), is_head=call.method == "HEAD")
        self.call = call
        self._authorizing: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self.call.authorize is None:
            self._go()
        else:
            proving = authorized(self.call, self._go, self._refuse)
            self._authorizing = self._connection.gateway.loop.create_task(proving)

    def abort(self) -> None:
        if self._authorizing is not None:
            self._authorizing.cancel()
        super().abort()

    def _go(self) -> None:
        self.call.finish(self._answer.status, self._answer.length)
        super().start()

    def _refuse(self, error: ModelyardError) -> None:
        status, head, body = self.call.refused(error)
        self._connection.write_answer(
            status_line(status) + head + self.call.cors, body, self._request_id, self.keep_alive, is_head=self._is_head
        )
        self.call.finish(status, len(body))
        self._connection.finished(self)


def _at_site(connection: "HttpConnection", call: ApiCall, met: Met) -> Answer:
    """The file, dressed as every answer of the gateway. Raises NotFound, NotReady, StoreFailed."""
    gateway, route = connection.gateway, met.route
    manifest = gateway.origins.site(str(route.target.site))
    if manifest is None:
        raise NotReady(f"cannot answer: there is no {route.target}")
    path = path_at_site(route, call.path_below)
    if path is None:
        return _to_folder(call)
    private = route.needs_key or route.authorizer is not None or call.api.policy.way != "public"
    site, fields = gateway.sites.site(manifest, private=private), call.fields_behind()
    try:
        answer = site.answer(
            path.encode("latin-1"), fields, wants_page=call.wants_page, contents=gateway.sites.contents
        )
    except NotFound:
        raise NotFound("Not Found") from None
    if answer.status == SEE_FOLDER:
        return _to_folder(call)
    return answer._replace(head=call.sandboxed(answer.head) + call.cors)


def _to_folder(call: ApiCall) -> Answer:
    """To the same place with a slash at its end, from which the links of its page are meant."""
    last = call.path.rpartition("/")[2].encode("latin-1")
    return Answer(SEE_FOLDER, b"location: ./%b/\r\ncontent-length: 0\r\n" % last + call.cors, b"")


async def authorized(call: ApiCall, go: Callable[[], None], fail: Callable[[ModelyardError], None]) -> None:
    """Goes on once the token is proved."""
    assert call.authorize is not None
    try:
        call.claims = await call.authorize()
    except ModelyardError as error:
        fail(error)
        return
    except Exception:  # noqa: BLE001 (the line below says why)
        # Whoever asked is answered, whatever an issuer said.
        _log.exception("gateway %s: a token could not be proved", call.api.name)
        fail(NotReady("cannot prove the token"))
        return
    go()


# -- opening -----------------------------------------------------------------------------------------------------------


def open_call(
    connection: "HttpConnection", call: ApiCall, fields: dict[bytes, bytes]
) -> FunctionCall | EndpointCall | SiteCall | UrlCall | Refused:
    """What answers it. Raises ModelyardError where it is refused; nothing of its body was read."""
    api = call.api
    call.at_own_origin = connection.origin_of(fields.get(b"host")) is not None
    answered = call.take_cors(fields)
    if answered is not None:
        return answered
    if api.policy.way != "public" or api.policy.addresses:
        connection.gateway.access.check(api.policy, fields, call.address, api.project, api.reference)
    met = call.find_route()
    route = met.route
    api.spend(None, call.at)
    if route.needs_key:
        key = api.check_key(fields)
        call.key_name = key.name
        api.spend(key, call.at)
    if route.authorizer is not None:
        _prove(connection, call, met, fields)
    call.check_query(met)
    answered = call.kept(met, fields) if call.authorize is None else None
    if answered is not None:
        return answered
    if route.target.site is not None:
        return SiteCall(connection, call, met) if call.method in _READING else Refused(405, _JSON, _NOT_ALLOWED)
    if route.target.url is not None:
        return UrlCall(connection, call, met)
    return _to_service(connection, call, met)


def _prove(connection: "HttpConnection", call: ApiCall, met: Met, fields: dict[bytes, bytes]) -> None:
    """Raises Unauthorized. Where the issuer has to be asked for its keys first, that is left for later."""
    route = met.route
    authorizer = call.api.config.authorizers[str(route.authorizer)]
    token = bearer(fields.get(authorizer.source.lower().encode()))
    issuers = connection.gateway.issuers
    if issuers.knows(authorizer, token):
        call.claims = issuers.claims(authorizer, token, route.scopes)
    else:
        call.authorize = lambda: issuers.ask(authorizer, token, route.scopes)


def _to_service(connection: "HttpConnection", call: ApiCall, met: Met) -> FunctionCall | EndpointCall:
    target = met.route.target
    service = connection.gateway.service(name_key(target.function or target.endpoint or ""))
    if service is None or (target.function is not None) != (service.entry.kind == FUNCTION):
        raise NotReady(f"cannot answer: there is no {target}")
    if service.entry.queued:
        raise NotReady(f"cannot answer: the invocations of {service.name} are queued")
    made = FunctionCall(connection, service, call) if target.function else EndpointCall(connection, service, call)
    made.follow(service.choose(None))
    return made
