"""The lane of predictions: endpoints and functions, in every protocol that asks them. Who may ask, and which service
answers."""

from modelyard.errors import Conflict, InvalidValue, ModelyardError, NotFound, Unauthorized
from modelyard.gateway.answers import tensor_error
from modelyard.gateway.event_stream import EventStream
from modelyard.gateway.exchange import Exchange, Reply
from modelyard.gateway.functions import Invocation, Way, check_is_function, function_error, invocation_way
from modelyard.gateway.inference import Inference, model_state, server_state
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.proxy import Proxied
from modelyard.gateway.request import Request
from modelyard.gateway.router import Lane, inference_version
from modelyard.gateway.service import Service
from modelyard.gateway.split import TARGET_VARIANT
from modelyard.protocol import routes
from modelyard.protocol.table import APP, FUNCTION

KINDS: dict[Lane, type[Prediction]] = {Lane.PREDICTION: Prediction, Lane.EVENTS: EventStream}
"""What answers a prediction of each lane."""


def open_prediction(request: Request, name: str, kind: type[Prediction], *, signed: bool) -> Exchange:
    try:
        service = _answering(request, name)
    except ModelyardError as error:
        return request.refusal(error, signed=signed)
    if service.entry.kind == FUNCTION:
        kind, signed = Invocation, False
    made = kind(request.connection, service, request.headers, request.fields, request.query or None, signed)
    return directed(made, request.fields)


def directed(prediction: Prediction, fields: dict[bytes, bytes]) -> Exchange:
    """The prediction, on its way to who is to answer it."""
    service, connection = prediction.service, prediction.connection
    if service.split is None and TARGET_VARIANT not in fields:
        return prediction
    try:
        service.direct(prediction, fields)
        member = prediction.service.whole
        if member is not service and not connection.trusted:
            _check_member(prediction, member, fields)
    except ModelyardError as error:
        connection.request(fields).note(error)
        return Reply(connection, *prediction.word(error), prediction.request_id)
    return prediction


def _check_member(prediction: Prediction, member: Service, fields: dict[bytes, bytes]) -> None:
    """Whoever comes through a splitter must be let in, and answered at once, by the member all the same."""
    if member.entry.queued:
        raise queued_conflict(member.name)
    if not member.is_open:
        connection = prediction.connection
        access, project = connection.gateway.access, member.entry.project
        access.check(member.policy, fields, connection.address, project, member.reference)


def open_inference(request: Request, name: str) -> Exchange:
    """In the Open Inference Protocol."""
    version, fields = inference_version(request.path), request.fields
    try:
        if request.method != b"POST":
            raise InvalidValue(f"cannot {request.method.decode()} an inference", "use POST")
        service = _answering(request, name)
        if version is not None and service.entry.members:
            # What the protocol calls a version is here one of several that answer in the name's place.
            fields = {**fields, TARGET_VARIANT: version.encode("latin-1")}
        elif version is not None and version != str(service.entry.version):
            raise NotFound(
                f"cannot infer: version {version} of {service.name} does not serve",
                f"version {service.entry.version} does",
            )
        made = Inference(request.connection, service, request.headers, fields, request.query or None)
        return directed(made, fields)
    except ModelyardError as error:
        request.note(error)
        return request.reply(*tensor_error(error, request.id_text))


def tensors_state(request: Request, name: str) -> Reply:
    """What a client of the Open Inference Protocol asks before it infers."""
    gateway, path = request.gateway, request.path
    if not name:
        ready = not path.endswith(b"/ready") or gateway.has_table
        return request.reply(200 if ready else 503, *server_state(path, ready=ready))
    try:
        service = service_for(request, name)
    except ModelyardError as error:
        request.note(error)
        return request.reply(*tensor_error(error, request.id_text))
    ready = service.version_can_answer(inference_version(path))
    # The protocol says no by a status from 400 to 499.
    return request.reply(200 if ready else 400, *model_state(service.name, ready=ready))


def open_invocation(request: Request, name: str, *, by_lambda: bool) -> Exchange:
    """An event for a function: answered at once, queued, or only asked whether it could be."""
    connection, fields = request.connection, request.fields
    try:
        if request.method != b"POST":
            raise InvalidValue(f"cannot {request.method.decode()} a function", "POST an event")
        service = service_for(request, name)
        check_is_function(service)
        way = invocation_way(fields)
    except ModelyardError as error:
        request.note(error)
        return request.reply(*function_error(error, request.id_text, by_lambda=by_lambda))
    if way is Way.EVENT:
        url = f"{routes.ENDPOINTS}{service.name}{routes.ASYNC_INVOCATIONS}".encode()
        return Proxied(connection, request.method, url, request.headers, request.id)
    if way is Way.DRY_RUN:
        return request.reply(204, b"", b"")
    made = Invocation(connection, service, request.headers, fields, request.query or None, by_lambda)
    return directed(made, fields)


def open_web_app(request: Request, name: str, path: bytes) -> Exchange:
    """A request that only an endpoint which serves a web application answers; `path` is below the endpoint's."""
    service = request.gateway.service(name)
    if service is not None and service.is_web_app is False:
        if path == routes.INVOCATIONS.encode():
            error = InvalidValue(f"cannot {request.method.decode()} a prediction", "use POST")
            return request.refusal(error, status=405)
        missing = NotFound(
            f"cannot find {path.decode('latin-1')[:100]} of endpoint {service.name}: it serves no web application",
            f"predictions are posted to {routes.INVOCATIONS}",
        )
        return request.refusal(missing, signed=False)
    exchange = open_prediction(request, name, Prediction, signed=False)
    if isinstance(exchange, Prediction):
        exchange.method, exchange.path = request.method, path
    return exchange


# -- who may ask -------------------------------------------------------------------------------------------------------


def service_for(request: Request, name: str) -> Service:
    """Raises Unauthorized, Forbidden, NotFound."""
    gateway, trusted = request.gateway, request.connection.trusted
    service = gateway.service(name)
    if service is None:
        check_default(request)
        raise NotFound(f"cannot predict: there is no endpoint {name}", gateway.nearest_endpoint(name))
    if not service.is_open and not trusted:
        project = service.entry.project
        gateway.access.check(service.policy, request.fields, request.address, project, service.reference)
    if service.entry.kind == APP:
        hint = f"open http://{service.name.lower()}.localhost, at the yard's port"
        raise NotFound(f"cannot predict: {service.name} is an app", hint)
    return service


def _answering(request: Request, name: str) -> Service:
    """As `service_for`, for a prediction. Raises Conflict where predictions are queued."""
    service = service_for(request, name)
    if service.entry.queued and not request.connection.trusted:
        raise queued_conflict(service.name)
    return service


def check_caller(request: Request, name: str) -> None:
    """For what control answers in place of an endpoint, which says itself where there is none."""
    if request.gateway.service(name) is None:
        check_default(request)
        return
    service = service_for(request, name)
    for option in service.split.options if service.entry.members and service.split is not None else ():
        service_for(request, option.service.entry_key)


def check_default(request: Request) -> None:
    """What is not there is told only to those who could call something. Raises Unauthorized."""
    access = request.gateway.access
    if access.by_default.way != "public" and access.recognise(request.fields) is None:
        raise Unauthorized("cannot predict without a key", "send `Authorization: Bearer KEY`")


def queued_conflict(name: str) -> Conflict:
    """The refusal of a prediction where predictions are queued."""
    return Conflict(
        f"cannot predict at once: the invocations of {name} are queued",
        f"post to {routes.ENDPOINTS}{name}{routes.ASYNC_INVOCATIONS}, or `modelyard predict {name} --async`",
    )
