"""From the head of a request to the exchange that answers it. The fast lane of an open endpoint is found by the
connection itself, without coming here."""

from modelyard.domain.access import Role, allows
from modelyard.errors import InvalidValue, ModelyardError, NotFound, Unauthorized
from modelyard.gateway.api_calls import ApiCall, Refused, open_call
from modelyard.gateway.exchange import Exchange, Reply
from modelyard.gateway.hosts import HOST_PORT
from modelyard.gateway.lane_of_origins import open_at_origin
from modelyard.gateway.lane_of_predictions import (
    KINDS,
    check_caller,
    check_default,
    open_inference,
    open_invocation,
    open_prediction,
    open_web_app,
    tensors_state,
)
from modelyard.gateway.metrics import Scrape
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.proxy import Proxied
from modelyard.gateway.request import Request
from modelyard.gateway.router import Lane, below_endpoint, below_gateway, open_as_predictions, route, short_name
from modelyard.protocol import routes
from modelyard.protocol.table import HostEntry

HTTPS_PORT = 443


def open_exchange(request: Request, origin: HostEntry | None) -> Exchange:
    """What answers; `origin` is whose host was asked, None for the yard's own."""
    if request.connection.must_encrypt:
        return _to_encrypted(request)
    if origin is None:
        return _at_yard(request)
    if origin.prefix is not None:
        return _at_yard(request.below(origin.prefix))
    return open_at_origin(request, origin)


def _at_yard(request: Request) -> Exchange:
    lane, name, under_aws = route(request.path)
    if request.method != b"POST" and below_endpoint(request.path) is not None:
        lane = Lane.CONTROL
    match lane:
        case Lane.PREDICTION | Lane.EVENTS:
            return open_prediction(request, name, KINDS[lane], signed=under_aws or request.is_signed)
        case Lane.FUNCTION | Lane.LAMBDA:
            return open_invocation(request, name, by_lambda=lane is Lane.LAMBDA)
        case Lane.API:
            return _api_call(request, name)
        case Lane.TENSORS:
            return open_inference(request, name)
        case Lane.CONTROL:
            return _for_control(request)
        case _:
            return _by_itself(request, lane, name)


def _to_encrypted(request: Request) -> Reply:
    """Sends the client to the encrypted port, at an app's own to the same: same host, path and query (RFC 9110,
    15.4.9)."""
    tls = request.gateway.tls
    host = HOST_PORT.sub(b"", request.fields.get(b"host", b"localhost"))
    number = request.connection.own_port or (tls.place.port if tls is not None else HTTPS_PORT)
    port = b"" if number == HTTPS_PORT else b":%d" % number
    target = request.url if request.url.startswith(b"/") else b"/"
    return request.reply(308, b"location: https://%b%b%b\r\n" % (host, port, target), b"")


def _for_control(request: Request, path: bytes | None = None) -> Exchange:
    """Asked there at `path`, where that is not the request's own."""
    path = request.path if path is None else path
    below_its_endpoint = below_endpoint(path)
    if below_its_endpoint is not None:
        return open_web_app(request, *below_its_endpoint)
    short, below = short_name(path)
    service = request.gateway.service(short) if short is not None else None
    if service is not None and service.entry.queued:
        # Cortex's AsyncAPI: what was posted to /NAME is found at /NAME/ID.
        return _for_control(request, f"{routes.ENDPOINTS}{service.name}{routes.ASYNC_INVOCATIONS}".encode() + below)
    if service is not None and request.method == b"POST" and not below:
        return open_prediction(request, service.name.lower(), Prediction, signed=request.is_signed)
    callers = open_as_predictions(path)
    if callers is not None:
        try:
            check_caller(request, callers)
        except ModelyardError as error:
            return request.refusal(error, signed=request.is_signed)
    if request.method == b"CONNECT":
        return request.refusal(InvalidValue("cannot CONNECT: this is no proxy"), status=405)
    url = b"%b?%b" % (path, request.query) if request.query else path
    return Proxied(request.connection, request.method, url, request.headers, request.id)


def _api_call(request: Request, name: str) -> Exchange:
    """A request to an API gateway."""
    api = request.gateway.apis.find(name)
    if api is None:
        try:
            check_default(request)
        except ModelyardError as error:
            return request.refusal(error)
        return request.refusal(NotFound(f"cannot answer: there is no gateway {name}"))
    path = below_gateway(request.path)
    call = ApiCall(api, request, path)
    try:
        found = open_call(request.connection, call, request.fields)
    except ModelyardError as error:
        found = call.refused(error)
    if not isinstance(found, Refused):
        return found
    call.finish(found.status, len(found.body))
    return request.reply(found.status, found.head + call.cors, found.body)


def _by_itself(request: Request, lane: Lane, name: str) -> Exchange:
    """What this process knows the answer to."""
    if request.method not in (b"GET", b"HEAD"):
        return request.refusal(InvalidValue(f"cannot {request.method.decode()} this path", "use GET"), status=405)
    if lane is Lane.TENSORS_STATE:
        return tensors_state(request, name)
    if lane is Lane.METRICS:
        principal = request.gateway.access.recognise(request.fields)
        if principal is None or principal.scopes is not None or not allows(principal, Role.VIEWER):
            return request.refusal(Unauthorized("cannot show metrics without a viewer's key", "send it"))
        return Scrape(request.connection, request.id, is_head=request.method == b"HEAD")
    ready = lane is Lane.HEALTH or request.gateway.has_table
    body = b'{"status":"ok"}' if ready else b'{"status":"no table yet"}'
    return request.reply(200 if ready else 503, b"content-type: application/json\r\n", body)
