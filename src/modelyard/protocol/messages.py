"""Messages on the controller's socket: JSON, one a line, UTF-8, both ways.

To the controller:

    {"type": "poke"}                                     something was committed; look now. No answer.
    {"type": "gateway", "id": "..."}                     a gateway is here and wants the table; deltas follow
    {"type": "dispatcher"}                               a dispatcher is here and wants the same; its loads are what is
                                                         queued and not sent yet
    {"type": "stuck", "replica": "...", "seconds": 75.0} one call in this replica is past its limit plus grace
    {"type": "load", "endpoints": {"price": {...}}}      what each of these endpoints holds now, by `name_key`; one that
                                                         is not named is as it was. At once where a request waits for an
                                                         endpoint without replicas: it wakes it.
    {"type": "metrics", "metrics": {...}, "scrape"?: 7}  what a gateway counted since it started (`protocol.metrics`);
                                                         with `scrape`, a question for everything as text
    {"type": "shadows", "endpoints": {"price": {...}}}   what comparing a shadow's answers has come to since it came

    {"type": "used", "keys": {"DIGEST": 1700000000.0}}   these keys were shown, at that time at last
    {"type": "refused", "refusals": [{...}]}             who was not let in, for the audit log, so often

From the controller, to gateways:

    {"type": "snapshot", "table": {...}}
    {"type": "delta", "delta": {...}}
    {"type": "credentials", "credentials": {...}}        all that are known (`protocol.credentials`), at each change
    {"type": "metrics", "scrape": 7, "text": "...", "last": true}    parts of an answer to a scrape, in order
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.domain.audit import Refusal
from modelyard.domain.shadows import Comparison, comparison_document, comparison_from

LINE_BYTES_MAX = 16 * 2**20


def encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Raises ValueError where the line is not a JSON object."""
    message: Any = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("cannot read a message that is not a JSON object")
    return message  # pyright: ignore[reportUnknownVariableType]


@dataclass(frozen=True, slots=True)
class Load:
    """One endpoint as one gateway sees it."""

    in_flight: int
    """Requests inside replicas."""
    queued: int
    """Requests that wait in the gateway."""
    arrivals: int
    """Requests since the last report."""
    least: int
    """The fewest that were seen, inside and waiting, since the last report."""
    most: int
    max_in_flight: int | None = None
    """Most requests that one replica takes; None while none is connected."""
    batches: bool = False
    """Whether one call of its model can hold several."""


def load_message(loads: dict[str, Load]) -> dict[str, Any]:
    return {"type": "load", "endpoints": {key: asdict(load) for key, load in loads.items()}}


def loads_from(message: dict[str, Any]) -> dict[str, Load]:
    """The inverse of `load_message`, tolerant of keys that a later version added. Raises KeyError or TypeError where
    it is none."""
    return {
        key: Load(**{field: one[field] for field in Load.__dataclass_fields__ if field in one})
        for key, one in message["endpoints"].items()
    }


def refused_message(refusals: Sequence[Refusal]) -> dict[str, Any]:
    return {"type": "refused", "refusals": [asdict(one) for one in refusals]}


def refusals_from(message: dict[str, Any]) -> list[Refusal]:
    """The inverse of `refused_message`, tolerant of keys that a later version added. Raises KeyError or TypeError where
    it is none."""
    return [
        Refusal(**{field: one[field] for field in Refusal.__dataclass_fields__ if field in one})
        for one in message["refusals"]
    ]


def shadows_message(shadows: Mapping[str, Comparison]) -> dict[str, Any]:
    return {"type": "shadows", "endpoints": {key: comparison_document(one) for key, one in shadows.items()}}


def shadows_from(message: dict[str, Any]) -> dict[str, Comparison]:
    """The inverse of `shadows_message`. Raises KeyError or TypeError where it is none."""
    return {str(key): comparison_from(one) for key, one in message["endpoints"].items()}
