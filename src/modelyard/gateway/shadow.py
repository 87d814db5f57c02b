"""Copies of requests for a version that nobody gets answers from, and the comparison of what it would have answered.

A copy is sent after the request itself and never in its way: it waits in the shadow's own queue, is dropped where that
is full, and its failure is counted and told to nobody. The two answers come in any order; the one that comes first is
kept until the other is there.
"""

from typing import TYPE_CHECKING

from modelyard_worker import frames
from modelyard_worker.frames import Frame

from modelyard.domain.shadows import SAMPLES_MAX, Comparison, Difference, answers_agree, sample_text
from modelyard.errors import ModelyardError, QueueFull
from modelyard.gateway.answers import status_of
from modelyard.gateway.prediction import Prediction

if TYPE_CHECKING:
    from modelyard.gateway.service import Service


class Shadow:
    """Where copies go, and what came of them."""

    def __init__(
        self, service: "Service", percent: float = 100.0, *, compare: bool = True, tolerance: float = 0.0
    ) -> None:
        self.service = service
        self.percent = percent
        self.compare = compare
        self.tolerance = tolerance
        self.comparison = Comparison(service.entry.version or 0)
        self._due = 0.0

    def follow(self, percent: float, *, compare: bool, tolerance: float) -> None:
        self.percent, self.compare, self.tolerance = percent, compare, tolerance

    def copy(self, original: Prediction) -> "Copy | None":
        """The copy to send once the request itself is on its way; None where `percent` wants none, or none can be."""
        self._due += self.percent
        if self._due < 100:
            return None
        self._due -= 100
        if original.is_kept or original.path is not None or not self.service.ready_here:
            self.comparison.dropped += 1
            return None
        self.comparison.copied += 1
        return Copy(original, self)

    def settle(self, copy: "Copy") -> None:
        """Both answers are there."""
        given, answered = copy.given, copy.answered
        if given is None or answered is None or not self.compare:
            return
        comparison = self.comparison
        comparison.compared += 1
        if given[0] == answered[0] and answers_agree(given[1], answered[1], self.tolerance):
            return
        comparison.different += 1
        if len(comparison.samples) < SAMPLES_MAX:
            told = copy.request_id.decode("latin-1")
            texts = (sample_text(one) for one in (copy.original_body, given[1], answered[1]))
            comparison.samples.append(Difference(told, *texts))


class Copy(Prediction):
    """A request as the shadow gets it."""

    is_copy = True

    __slots__ = ("answered", "given", "origin", "original_body")

    def __init__(self, original: Prediction, origin: Shadow) -> None:
        super().__init__(original.connection, origin.service, original.headers, {}, original.query, original.signed)
        self.content_type, self.accept = original.content_type, original.accept
        self.given_id = original.request_id
        self.body = self.original_body = original.body
        self.origin = origin
        self.given: tuple[int, bytes] | None = None
        """The client's answer, (status, body)."""
        self.answered: tuple[int, bytes] | None = None

    @property
    def held_bytes(self) -> int:
        """Counted against the shadow's queue alone; the body is the original's."""
        return len(self.original_body)

    def hear(self, status: int, body: bytes) -> None:
        """What the client got."""
        self.given = (status, body)
        if self.answered is not None:
            self.origin.settle(self)

    def answer(self, frame: Frame, version: int) -> None:
        if self.done:
            return
        packed = self._take_times(frame)
        meta = frames.unpack_meta(packed)
        status = int(meta.get("status") or (500 if frame.flags & frames.ERROR else 200))
        self._end(status, frame.payload)

    def begin(self, frame: Frame, version: int) -> None:
        if not self.done and not self.begun:
            self.begun = True
            self.service.count(self, int(frames.unpack_meta(frame.meta).get("status", 200)))
            self._take(frame.payload)

    def go_on(self, payload: bytes, *, ended: bool) -> None:
        if not self.done:
            self._take(payload)
            if ended:
                self._release()

    def can_write(self) -> None:
        """Nobody reads what it answers."""

    def fail(self, error: ModelyardError, predictor_status: int | None = None) -> None:
        if self.done:
            return
        if isinstance(error, QueueFull):
            self.origin.comparison.dropped += 1
            self._release()
            return
        self._end(predictor_status or status_of(error), b"")

    def break_off(self) -> None:
        if not self.done:
            self.origin.comparison.failed += 1
            self._release()

    def _take(self, payload: bytes) -> None:
        if payload and self.target is not None:
            self.target.credit(self.stream, len(payload))

    def _end(self, status: int, body: bytes) -> None:
        self.service.count(self, status)
        self._release()
        if status >= 500:
            self.origin.comparison.failed += 1
            return
        self.answered = (status, body)
        if self.given is not None:
            self.origin.settle(self)
