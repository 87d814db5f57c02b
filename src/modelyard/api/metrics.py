"""Metrics: what an endpoint did over a while, in steps, by version, and what its tracker saw."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.api.moments import moment
from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.metrics import METRICS, RESOLUTIONS, MetricPoint, MetricRecord, Span, Steps
from modelyard.domain.quantities import duration_seconds
from modelyard.errors import InvalidValue

POINTS_MAX = 2000
"""Most steps of one answer."""

POINTS_DEFAULT = 60

DIGITS = 6
"""After the point: microseconds."""


@dataclass(frozen=True, slots=True)
class PointView:
    at: str
    """End of the step."""
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class VersionMetricsView:
    version: int
    """0 where none served."""
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class TrackerView:
    """What a tracker saw in the predictions of the time."""

    classes: dict[str, int]
    count: int
    """Measured values."""
    mean: float | None
    minimum: float | None
    """The extremes since the version came: when they were is not kept."""
    maximum: float | None


@dataclass(frozen=True, slots=True)
class MetricsView:
    name: str
    since: str
    until: str
    step_seconds: float
    values: dict[str, float | None]
    """Of the whole time, by the names of `domain.metrics.METRICS`; null where there is nothing to measure."""
    statuses: dict[str, int]
    """Answers by status."""
    versions: list[VersionMetricsView]
    """Newest first."""
    points: list[PointView]
    """Oldest first; a step without anything is not there."""
    tracker: TrackerView | None


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "metrics")

    @router.get("/endpoints/{name}/metrics")
    def show_metrics(
        name: str,
        since: Annotated[str, Query(max_length=64)] = "1h",
        step: Annotated[str | None, Query(max_length=32)] = None,
        version: Annotated[int | None, Query(ge=0)] = None,
    ) -> MetricsView:
        """What an endpoint did since then (`2h`, or a time), in steps (`1m`)."""
        endpoint = yard.store.endpoints.get(name)
        now = yard.clock.now()
        begin = moment(since, now)
        seconds = _step_seconds(step, now - begin)
        records = yard.store.metrics.select(endpoint.name, begin, now, version)
        return _view(endpoint.name, begin, now, seconds, records)

    return router


def _step_seconds(step: str | None, whole_seconds: float) -> float:
    """As asked, or such that there are some dozens. Raises InvalidValue where it is too fine."""
    finest = float(RESOLUTIONS[0][0])
    if step is None:
        fitting = (5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
        return float(next((one for one in fitting if whole_seconds / one <= POINTS_DEFAULT), fitting[-1]))
    seconds = duration_seconds(step)
    if seconds < finest or whole_seconds / seconds > POINTS_MAX:
        least = max(finest, math.ceil(whole_seconds / POINTS_MAX))
        raise InvalidValue(f"cannot show steps of {step}: they are too fine", f"ask for {least:g}s or more")
    return seconds


def _view(name: str, since: float, until: float, step_seconds: float, records: Iterable[MetricRecord]) -> MetricsView:
    seconds = max(until - since, 1.0)
    whole, versions, steps = Span(), defaultdict[int, Span](Span), Steps(step_seconds)
    for record in records:
        for span in (whole, versions[record.version], steps):
            span.add(record)
    tracked = whole.figures.tracked
    return MetricsView(
        name=name,
        since=iso(since),
        until=iso(until),
        step_seconds=step_seconds,
        values=_values(whole.point(until, seconds)),
        statuses={str(status): count for status, count in sorted(whole.figures.answers.items())},
        versions=[
            VersionMetricsView(number, _values(one.point(until, seconds)))
            for number, one in sorted(versions.items(), reverse=True)
        ],
        points=[PointView(iso(one.at), _values(one)) for one in steps.points()],
        tracker=TrackerView(
            classes=dict(sorted(tracked.classes.items(), key=lambda item: -item[1])),
            count=tracked.count,
            mean=_rounded(tracked.mean),
            minimum=_rounded(tracked.minimum) if tracked.count else None,
            maximum=_rounded(tracked.maximum) if tracked.count else None,
        )
        if tracked.classes or tracked.count
        else None,
    )


def _values(point: MetricPoint) -> dict[str, float | None]:
    return {name: _rounded(metric.read(point)) for name, metric in METRICS.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
