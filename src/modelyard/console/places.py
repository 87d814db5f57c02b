"""Where the page of a thing is, by its kind."""

from types import MappingProxyType
from urllib.parse import quote

PLACES = MappingProxyType(
    {
        "endpoint": "/endpoints",
        "app": "/apps",
        "function": "/functions",
        "site": "/sites",
        "gateway": "/gateways",
        "alarm": "/alarms",
        "run": "/runs",
        "model": "/models",
        "tuning": "/jobs/tunings",
        "transform": "/jobs/transforms",
    }
)
"""Below `/console`; every other kind is a resource."""


def place_of(kind: str, name: str) -> str:
    return f"{PLACES.get(kind) or '/resources/' + quote(kind, safe='')}/{quote(name, safe='')}"
