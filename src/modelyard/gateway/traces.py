"""Traces of predictions, where the yard was told to export them (W3C Trace Context, OpenTelemetry's words).

Off, nothing here is imported and a request does nothing for it. On, a request does two things: on its way to the
replica it gets a `traceparent`, and when its answer begins, what was measured of it anyway is put into a list that
another thread turns into spans (`trace_export`). A prediction's ids follow from its own number, so nothing is
remembered between the two.

    POST /endpoints/NAME    from the request's last byte to the answer's first
      queue                 until its call began: in the gateway's queue and in the replica's
      predict               the call; parent of whatever spans the predictor makes
"""

import hashlib
import re
import secrets
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from modelyard.gateway.prediction import Prediction

TRACEPARENT = b"traceparent"

ENDED_MAX = 20_000
"""Requests that wait for the exporter; beyond it the oldest are dropped and counted."""

_FORMAT = re.compile(rb"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1


class Parent(NamedTuple):
    """What a caller says of the trace that its request belongs to."""

    trace_id: str
    span_id: str
    sampled: bool


class Trace(NamedTuple):
    """Ids in hex, as they travel."""

    trace_id: str
    span_id: str
    call_id: str
    """Of the span `predict`."""
    parent_id: str | None
    sampled: bool

    @property
    def traceparent(self) -> str:
        """What the predictor gets."""
        return f"00-{self.trace_id}-{self.call_id}-{int(self.sampled):02x}"


class Ended(NamedTuple):
    """One request whose answer has begun."""

    trace: Trace
    endpoint: str
    version: int | None
    replica: str | None
    request_id: str
    status: int
    began_at: float
    """Wall clock, as the others are seconds."""
    seconds: float
    queued_seconds: float | None
    """None where it never came to a call."""
    called_seconds: float | None


class Tracer:
    """One per gateway. `sample_share` of the requests whose callers do not say whether they are sampled are."""

    def __init__(self, sample_share: float = 1.0) -> None:
        self.ended: deque[Ended] = deque(maxlen=ENDED_MAX)
        self.dropped = 0
        self._sample_below = int(sample_share * 2**56)
        self._key = secrets.token_bytes(16)

    def trace_of(self, prediction: "Prediction") -> Trace:
        """The same each time it is asked of one prediction."""
        made = hashlib.blake2b(prediction.request_id, digest_size=32, key=self._key).hexdigest()
        parent = parent_of(prediction.headers)
        if parent is not None:
            return Trace(parent.trace_id, made[32:48], made[48:], parent.span_id, parent.sampled)
        # The last 7 bytes are random as W3C Trace Context 2 has it, so others who sample by them choose alike.
        return Trace(made[:32], made[32:48], made[48:], None, int(made[18:32], 16) < self._sample_below)

    def take(self, prediction: "Prediction", status: int) -> None:
        """Called when an answer's first byte leaves."""
        trace = self.trace_of(prediction)
        if not trace.sampled:
            return
        if len(self.ended) == ENDED_MAX:
            self.dropped += 1
        seconds = time.monotonic() - prediction.started_at if prediction.started_at else 0.0
        target = prediction.target
        queued, called = prediction.service.parts_of(prediction)
        self.ended.append(
            Ended(
                trace,
                prediction.service.name,
                target.address.version if target is not None else prediction.service.entry.version,
                target.address.id if target is not None else None,
                prediction.request_id.decode("latin-1"),
                status,
                time.time() - seconds,
                seconds,
                queued,
                called,
            )
        )

    def take_ended(self) -> tuple[list[Ended], int]:
        """What has ended since the last call, and how many were dropped. May be called by another thread."""
        found: list[Ended] = []
        while self.ended:
            found.append(self.ended.popleft())
        dropped, self.dropped = self.dropped, 0
        return found, dropped


def parent_of(headers: Sequence[tuple[bytes, bytes]]) -> Parent | None:
    """None where the caller names no trace, or names it in a way that cannot be read."""
    said = next((value for name, value in headers if name == TRACEPARENT), None)
    match = _FORMAT.fullmatch(said.strip()) if said is not None else None
    if match is None or not match[1].strip(b"0") or not match[2].strip(b"0"):
        return None
    return Parent(match[1].decode(), match[2].decode(), bool(int(match[3], 16) & _SAMPLED))
