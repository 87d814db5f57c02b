"""What is measured of an endpoint: counts that only grow, how they are read over a while, and how they are kept.

`Figures` counts the answers of one version. They are cumulative, so a report that is lost costs nothing, and whoever
wants a period takes the difference of two. A `MetricRecord` is such a difference; records are added up to see longer
periods, and old ones to keep fewer (`RESOLUTIONS`).

A request's time has three parts: `queue` (it waits, in the gateway or in a replica), `model` (the call that holds it
runs), `overhead` (the rest). A call that holds several requests lasts for each of them.
"""

import math
import operator
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.domain.names import nearest
from modelyard.errors import InvalidValue

SECONDS_BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Upper bounds of the buckets that times are counted in; beyond the last there is one more."""

CALL_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128)
"""The same for requests in one call of the model."""

CLASSES_MAX = 100
"""Predicted classes of one version that are counted by name."""

OTHER_CLASSES = "(other)"
"""All classes beyond them together."""

RESOLUTIONS = ((5, 3 * 3600), (60, 3 * 86400), (3600, 90 * 86400))
"""(seconds that a record covers, seconds that it is kept): what is older is added up to the next, and goes at last."""

_SECONDS_BUCKETS = len(SECONDS_BOUNDS) + 1
_CALL_BUCKETS = len(CALL_BOUNDS) + 1


class Histogram:
    """Values counted by bucket, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self, buckets: int = _SECONDS_BUCKETS) -> None:
        self.counts = [0] * buckets
        self.total = 0.0

    def add(self, other: "Histogram", sign: int = 1) -> None:
        self.total += sign * other.total
        self.counts = list(map(operator.add if sign == 1 else operator.sub, self.counts, other.counts))

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        count = self.count
        return self.total / count if count else None

    def quantile(self, share: float, bounds: Sequence[float] = SECONDS_BOUNDS) -> float | None:
        """The value below which this share lies, taken evenly within its bucket as Prometheus does; None where nothing
        was counted. What lies beyond the last bound is said to be that bound."""
        rank = share * self.count
        if not rank:
            return None
        below, lower = 0, 0.0
        for bound, count in zip(bounds, self.counts, strict=False):
            if count and below + count >= rank:
                return lower + (bound - lower) * (rank - below) / count
            below, lower = below + count, bound
        return bounds[-1]


class Tracked:
    """What a tracker saw in predictions (Cortex's `tracker`): how often each class, or how large values are."""

    __slots__ = ("classes", "count", "maximum", "minimum", "total")

    def __init__(self) -> None:
        self.classes: dict[str, int] = {}
        self.count = 0
        """Measured predictions."""
        self.total = 0.0
        self.minimum = 0.0
        self.maximum = 0.0

    def track(self, value: str | float) -> None:
        """A class is counted, a number measured."""
        if isinstance(value, str):
            self._count_class(value, 1)
            return
        self._widen(value, value)
        self.total += value
        self.count += 1

    def add(self, other: "Tracked", sign: int = 1) -> None:
        """A difference keeps the extremes of both: when they came about was not counted."""
        for label, count in other.classes.items():
            self._count_class(label, sign * count)
        if other.count:
            self._widen(other.minimum, other.maximum)
        self.total += sign * other.total
        self.count += sign * other.count

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def _count_class(self, label: str, count: int) -> None:
        if label not in self.classes and len(self.classes) >= CLASSES_MAX:
            label = OTHER_CLASSES
        self.classes[label] = self.classes.get(label, 0) + count

    def _widen(self, minimum: float, maximum: float) -> None:
        self.minimum = min(self.minimum, minimum) if self.count else minimum
        self.maximum = max(self.maximum, maximum) if self.count else maximum


class Figures:
    """Everything that is counted of one version of an endpoint."""

    __slots__ = ("answers", "calls", "captured", "dropped", "model", "overhead", "queue", "retries", "total", "tracked")

    def __init__(self) -> None:
        self.answers: dict[int, int] = {}
        """By status."""
        self.total = Histogram()
        """From the last byte of a request to the first of its answer."""
        self.queue = Histogram()
        self.model = Histogram()
        self.overhead = Histogram()
        self.calls = Histogram(_CALL_BUCKETS)
        """Requests in one call of the model."""
        self.retries = 0
        self.captured = 0
        self.dropped = 0
        """Requests that were to be captured, and for which there was no room."""
        self.tracked = Tracked()

    def count(self, status: int, seconds: float) -> None:
        """An answer without a call of the model that is known of."""
        self.answers[status] = self.answers.get(status, 0) + 1
        self.total.counts[bisect_left(SECONDS_BOUNDS, seconds)] += 1
        self.total.total += seconds

    def count_call(self, status: int, seconds: float, queued: float, called: float, size: int) -> None:
        """An answer and its parts. `size` is how many requests the call held; 0 where another of them said so."""
        answers, bounds = self.answers, SECONDS_BOUNDS
        answers[status] = answers.get(status, 0) + 1
        rest = seconds - queued - called
        rest = max(rest, 0.0)
        total, queue, model, overhead = self.total, self.queue, self.model, self.overhead
        total.counts[bisect_left(bounds, seconds)] += 1
        total.total += seconds
        queue.counts[bisect_left(bounds, queued)] += 1
        queue.total += queued
        model.counts[bisect_left(bounds, called)] += 1
        model.total += called
        overhead.counts[bisect_left(bounds, rest)] += 1
        overhead.total += rest
        if size:
            self.calls.counts[bisect_left(CALL_BOUNDS, size)] += 1
            self.calls.total += size

    def add(self, other: "Figures", sign: int = 1) -> None:
        for status, count in other.answers.items():
            self.answers[status] = self.answers.get(status, 0) + sign * count
        self.total.add(other.total, sign)
        self.queue.add(other.queue, sign)
        self.model.add(other.model, sign)
        self.overhead.add(other.overhead, sign)
        self.calls.add(other.calls, sign)
        self.retries += sign * other.retries
        self.captured += sign * other.captured
        self.dropped += sign * other.dropped
        self.tracked.add(other.tracked, sign)

    def since(self, earlier: "Figures | None") -> "Figures":
        """What came after `earlier`."""
        found = Figures()
        found.add(self)
        if earlier is not None:
            found.add(earlier, -1)
            found.answers = {status: count for status, count in found.answers.items() if count}
            found.tracked.classes = {label: count for label, count in found.tracked.classes.items() if count}
        return found

    @property
    def requests(self) -> int:
        return sum(self.answers.values())

    def answered(self, hundreds: int) -> int:
        """Answers with a status of these hundreds: 5 is 500 to 599."""
        return sum(count for status, count in self.answers.items() if status // 100 == hundreds)

    @property
    def empty(self) -> bool:
        return not (self.answers or self.retries or self.captured or self.dropped)


def total_of(many: Iterable[Figures]) -> Figures:
    found = Figures()
    for one in many:
        found.add(one)
    return found


def figures_document(one: Figures) -> dict[str, Any]:
    """As JSON; what is empty is left out."""
    document: dict[str, Any] = {}
    if one.answers:
        document["answers"] = {str(status): count for status, count in one.answers.items()}
    for name in _HISTOGRAMS:
        histogram: Histogram = getattr(one, name)
        if any(histogram.counts):
            document[name] = [round(histogram.total, 9), *histogram.counts]
    for name in _COUNTS:
        if getattr(one, name):
            document[name] = getattr(one, name)
    tracked = one.tracked
    if tracked.classes:
        document["classes"] = tracked.classes
    if tracked.count:
        document["values"] = [tracked.count, tracked.total, tracked.minimum, tracked.maximum]
    return document


def figures_from(document: Mapping[str, Any]) -> Figures:
    """The inverse of `figures_document`, tolerant of keys that a later version added. Raises KeyError, TypeError or
    ValueError where it is none."""
    one = Figures()
    one.answers = {int(status): int(count) for status, count in document.get("answers", {}).items()}
    for name in _HISTOGRAMS:
        if name in document:
            histogram: Histogram = getattr(one, name)
            total, *counts = document[name]
            if len(counts) != len(histogram.counts):
                raise ValueError(f"cannot read {name}: it has {len(counts)} buckets")
            histogram.total, histogram.counts = float(total), [int(count) for count in counts]
    for name in _COUNTS:
        setattr(one, name, int(document.get(name, 0)))
    one.tracked.classes = {str(label): int(count) for label, count in document.get("classes", {}).items()}
    if "values" in document:
        one.tracked.count, one.tracked.total, one.tracked.minimum, one.tracked.maximum = document["values"]
    return one


_HISTOGRAMS = ("total", "queue", "model", "overhead", "calls")
_COUNTS = ("retries", "captured", "dropped")


# -- over time -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """What one version did for a while."""

    at: float
    """End, wall clock, seconds since the epoch."""
    seconds: float
    version: int
    figures: Figures = field(compare=False)
    in_flight: float = 0.0
    """Requests inside replicas, on average; of the endpoint, as `queued` and `replicas`."""
    queued: float = 0.0
    replicas: float = 0.0
    """Ready ones, on average."""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """An endpoint over one step: all its versions, or the one that was asked for."""

    at: float
    """End of the step."""
    seconds: float
    figures: Figures = field(compare=False)
    in_flight: float = 0.0
    queued: float = 0.0
    replicas: float = 0.0


class Span:
    """Records added up as they come, so that none of them has to be held."""

    __slots__ = ("_covered", "_in_flight", "_moments", "_queued", "_replicas", "figures")

    def __init__(self) -> None:
        self.figures = Figures()
        self._moments: set[float] = set()
        self._covered = self._in_flight = self._queued = self._replicas = 0.0

    def add(self, record: MetricRecord) -> None:
        self.figures.add(record.figures)
        # Versions of one endpoint share its gauges, so each moment counts once.
        if record.at in self._moments:
            return
        self._moments.add(record.at)
        self._covered += record.seconds
        self._in_flight += record.in_flight * record.seconds
        self._queued += record.queued * record.seconds
        self._replicas += record.replicas * record.seconds

    def point(self, at: float, seconds: float) -> MetricPoint:
        """What was added, as the step of this length that ends at `at`; gauges are averages over the times that
        something was going on."""
        covered = self._covered or 1.0
        gauges = (self._in_flight / covered, self._queued / covered, self._replicas / covered)
        return MetricPoint(at, seconds, self.figures, *gauges)


class Steps:
    """Records added up to steps as they come. Steps end at whole multiples of their length; one without records is
    not there: nothing was asked."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spans: dict[int, Span] = {}

    def add(self, record: MetricRecord) -> None:
        self._spans.setdefault(math.ceil(record.at / self._seconds - 1e-9), Span()).add(record)

    def points(self) -> list[MetricPoint]:
        """Oldest first."""
        return [one.point(number * self._seconds, self._seconds) for number, one in sorted(self._spans.items())]


def points_of(records: Iterable[MetricRecord], step_seconds: float) -> list[MetricPoint]:
    steps = Steps(step_seconds)
    for record in records:
        steps.add(record)
    return steps.points()


def condensed(records: Iterable[MetricRecord], step_seconds: float) -> list[MetricRecord]:
    """Records of one endpoint as fewer, each of them over a step of this length, for each version."""
    by_version: dict[int, list[MetricRecord]] = {}
    for record in records:
        by_version.setdefault(record.version, []).append(record)
    return [
        MetricRecord(one.at, one.seconds, version, one.figures, one.in_flight, one.queued, one.replicas)
        for version, members in sorted(by_version.items())
        for one in points_of(members, step_seconds)
    ]


# -- by name ---------------------------------------------------------------------------------------------------------

QUANTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that can be asked of a point."""

    meaning: str
    read: Callable[[MetricPoint], float | None]
    """None where there is nothing to measure."""
    zero_when_silent: bool = False
    """Whether nothing at all means 0, as for a count, and not that there is nothing to measure."""


def _times(subject: str, part: str, meaning: str) -> dict[str, Metric]:
    def histogram(point: MetricPoint) -> Histogram:
        return getattr(point.figures, part)

    def quantile(percent: int) -> Metric:
        text = f"{meaning}, within which {percent} % of requests stay"
        return Metric(text, lambda point: histogram(point).quantile(percent / 100))

    mean = Metric(f"{meaning}, on average", lambda point: histogram(point).mean)
    return {f"{subject}_mean": mean, **{f"{subject}_p{percent}": quantile(percent) for percent in QUANTILES}}


def _error_rate(point: MetricPoint) -> float | None:
    requests = point.figures.requests
    return point.figures.answered(5) / requests if requests else None


METRICS: dict[str, Metric] = {
    "requests": Metric("answers", lambda point: point.figures.requests, zero_when_silent=True),
    "requests_per_second": Metric(
        "answers each second", lambda point: point.figures.requests / point.seconds, zero_when_silent=True
    ),
    "errors_4xx": Metric(
        "answers with a status from 400 to 499", lambda point: point.figures.answered(4), zero_when_silent=True
    ),
    "errors_5xx": Metric(
        "answers with a status from 500 to 599", lambda point: point.figures.answered(5), zero_when_silent=True
    ),
    "error_rate": Metric("share of answers with a status from 500 to 599, 0 to 1", _error_rate),
    **_times("latency", "total", "seconds from request to answer"),
    **_times("queue", "queue", "seconds that a request waits"),
    **_times("model", "model", "seconds of the call that holds a request"),
    **_times("overhead", "overhead", "seconds of a request that are neither queue nor model"),
    "batch_mean": Metric("requests in one call of the model, on average", lambda point: point.figures.calls.mean),
    "in_flight": Metric("requests inside replicas, on average", lambda point: point.in_flight, zero_when_silent=True),
    "queued": Metric("requests that wait in the gateway, on average", lambda p: p.queued, zero_when_silent=True),
    "replicas": Metric("replicas that take requests, on average", lambda point: point.replicas),
    "retries": Metric(
        "requests that were sent again after a replica's death",
        lambda point: point.figures.retries,
        zero_when_silent=True,
    ),
    "predicted_mean": Metric("mean of the values that a tracker saw", lambda point: point.figures.tracked.mean),
}
"""By name."""


def metric_named(name: str) -> Metric:
    """Raises InvalidValue for what is no metric."""
    found = METRICS.get(name)
    if found is None:
        near = nearest(name, METRICS)
        raise InvalidValue(
            f"cannot measure {name!r}: there is no such metric",
            f"did you mean {near}?" if near else f"there are {', '.join(METRICS)}",
        )
    return found
