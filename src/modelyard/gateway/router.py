"""Where a request goes, from its raw, undecoded path."""

import re
from enum import Enum

from modelyard.domain.names import name_key
from modelyard.protocol import routes


class Lane(Enum):
    PREDICTION = "prediction"  # the fast lane, frames to a replica
    HEALTH = "health"  # answered by the gateway itself
    READY = "ready"
    METRICS = "metrics"
    CONTROL = "control"  # everything else: the control process


_INVOCATIONS = re.compile(rb"(/aws)?/endpoints/([A-Za-z0-9-]{1,63})/invocations")
_BELOW = re.compile(rb"/endpoints/([A-Za-z0-9-]{1,63})(/(?!async-invocations(?:/|$)).*)")
_OWN = {
    routes.HEALTH.encode(): Lane.HEALTH,
    routes.READY.encode(): Lane.READY,
    routes.METRICS.encode(): Lane.METRICS,
}


def below_endpoint(path: bytes) -> tuple[str, bytes] | None:
    """(`name_key` of the endpoint, the path below `/endpoints/NAME`): what a web application answers by itself."""
    match = _BELOW.fullmatch(path)
    return (name_key(match[1].decode()), match[2]) if match else None


def route(path: bytes) -> tuple[Lane, str, bool]:
    """(lane, `name_key` of the endpoint or "", whether it came under /aws)."""
    match = _INVOCATIONS.fullmatch(path)
    if match:
        return Lane.PREDICTION, name_key(match[2].decode()), match[1] is not None
    return _OWN.get(path, Lane.CONTROL), "", False
