"""Where a request goes, from its raw, undecoded path."""

import re
from enum import Enum
from urllib.parse import unquote

from modelyard.domain.names import name_key
from modelyard.protocol import routes


class Lane(Enum):
    PREDICTION = "prediction"  # the fast lane, frames to a replica
    EVENTS = "events"  # the same; the answer in SageMaker's event stream
    TENSORS = "tensors"  # the same; both ways in the Open Inference Protocol
    FUNCTION = "function"  # the fast lane, an event to a function
    LAMBDA = "lambda"  # the same, as Lambda's own clients ask
    API = "api"  # an API gateway's routes
    TENSORS_STATE = "tensors state"  # what a client of that protocol asks before it infers
    HEALTH = "health"  # answered by the gateway itself
    READY = "ready"
    METRICS = "metrics"
    CONTROL = "control"  # everything else: the control process


_NAME = rb"([A-Za-z0-9-]{1,63})"
_INVOCATIONS = re.compile(rb"(/aws)?/endpoints/" + _NAME + rb"/invocations(-response-stream)?")
_API = re.compile(rb"/gateways/" + _NAME + rb"(/.*)?")
_FUNCTION = re.compile(rb"/functions/" + _NAME + rb"/?")
_LAMBDA = re.compile(rb"(/aws)?/2015-03-31/functions/([^/]{1,200})/invocations/?")
_INFER = re.compile(rb"/v2/models/" + _NAME + rb"(?:/versions/[^/]*)?/infer")
_TENSORS_STATE = re.compile(rb"/v2/?|/v2/health/(?:live|ready)|/v2/models/" + _NAME + rb"(?:/versions/[^/]*)?/ready")
_VERSION = re.compile(rb"/v2/models/[^/]+/versions/([^/]*)/")
_OPEN = re.compile(rb"(?:/aws)?/endpoints/([^/]*)/async-invocations(?:/.*)?|/v2/models/([^/]*)(?:/.*)?|/v2(?:/.*)?")
_SHORT = re.compile(rb"/" + _NAME + rb"(/[^/]+)?/?")
_BELOW = re.compile(rb"/endpoints/([A-Za-z0-9-]{1,63})(/(?!async-invocations(?:/|$)).*)")
_FUNCTIONS = ((b"/gateways/", _API, Lane.API), (b"/functions/", _FUNCTION, Lane.FUNCTION))
_OWN = {
    routes.HEALTH.encode(): Lane.HEALTH,
    routes.READY.encode(): Lane.READY,
    routes.METRICS.encode(): Lane.METRICS,
}


def below_endpoint(path: bytes) -> tuple[str, bytes] | None:
    """(`name_key` of the endpoint, the path below `/endpoints/NAME`): what a web application answers by itself."""
    match = _BELOW.fullmatch(path)
    return (name_key(match[1].decode()), match[2]) if match else None


def inference_version(path: bytes) -> str | None:
    """The version that a path of the Open Inference Protocol names."""
    match = _VERSION.match(path)
    return match[1].decode("latin-1") if match and match[1] else None


def open_as_predictions(path: bytes) -> str | None:
    """`name_key` of the endpoint whose callers control answers at this path; "" where it names none, None where the
    path is no caller's."""
    match = _OPEN.fullmatch(path)
    return name_key((match[1] or match[2] or b"").decode("latin-1")) if match else None


def short_name(path: bytes) -> tuple[str | None, bytes]:
    """(`name_key` of the endpoint that Cortex has at `/NAME`, what is below it); None where the path is taken."""
    match = _SHORT.fullmatch(path)
    if match is None or name_key(match[1].decode()) in routes.RESERVED_NAMES:
        return None, b""
    return name_key(match[1].decode()), match[2] or b""


def route(path: bytes) -> tuple[Lane, str, bool]:
    """(lane, `name_key` of the endpoint or "", whether it came under /aws)."""
    match = _INVOCATIONS.fullmatch(path)
    if match:
        lane = Lane.PREDICTION if match[3] is None else Lane.EVENTS
        return lane, name_key(match[2].decode()), match[1] is not None
    if path.startswith(b"/v2"):
        if match := _INFER.fullmatch(path):
            return Lane.TENSORS, name_key(match[1].decode()), False
        if match := _TENSORS_STATE.fullmatch(path):
            return Lane.TENSORS_STATE, name_key((match[1] or b"").decode()), False
    for prefix, pattern, lane in _FUNCTIONS:
        if path.startswith(prefix) and (match := pattern.fullmatch(path)):
            return lane, name_key(match[1].decode()), False
    if match := _LAMBDA.fullmatch(path):
        return Lane.LAMBDA, name_key(function_name(match[2])), match[1] is not None
    return _OWN.get(path, Lane.CONTROL), "", False


def below_gateway(path: bytes) -> bytes:
    """What of a path is for the gateway that it names."""
    match = _API.fullmatch(path)
    return (match[2] or b"/") if match is not None else b"/"


def function_name(written: bytes) -> str:
    """A function as Lambda's clients name it: NAME, ACCOUNT:function:NAME or an ARN, each with a qualifier or not."""
    parts = unquote(written.decode("latin-1")).split(":")
    if "function" in parts[:-1]:
        return parts[parts.index("function") + 1]
    return parts[0]
