"""What an endpoint did over a while, as the API answers it."""

from typing import TypedDict


class PointView(TypedDict):
    at: str
    """End of the step."""
    values: dict[str, float | None]


class VersionMetricsView(TypedDict):
    version: int
    values: dict[str, float | None]


class TrackerView(TypedDict):
    classes: dict[str, int]
    count: int
    mean: float | None
    minimum: float | None
    maximum: float | None


class MetricsView(TypedDict):
    name: str
    since: str
    until: str
    step_seconds: float
    values: dict[str, float | None]
    """Of the whole time, by the names of `domain.metrics.METRICS`; None where there is nothing to measure."""
    statuses: dict[str, int]
    versions: list[VersionMetricsView]
    """Newest first."""
    points: list[PointView]
    """Oldest first; a step without anything is not there."""
    tracker: TrackerView | None
