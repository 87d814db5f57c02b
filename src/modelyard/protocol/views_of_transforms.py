"""Batch transforms as the interface answers them; see `protocol.views`."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TransformProgressView:
    objects: int
    objects_done: int
    objects_failed: int
    records: int
    bytes: int
    bytes_total: int | None
    """None where a server does not say how much there is."""
    records_per_second: float | None
    """Since the present process began to score."""
    seconds_left: float | None
    tries_failed: int
    """Requests to the model that failed, those that were tried again included."""
    seconds_per_request: float | None
    """Which an answered one took."""


@dataclass(frozen=True, slots=True)
class FailedObjectView:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TransformView:
    id: str
    project: str
    status: str
    """A value of `domain.transforms.TransformStatus`."""
    model: str | None
    package: str
    input: str
    output: str
    options: dict[str, Any]
    created_at: str
    started_at: str | None
    ended_at: str | None
    attempts: int
    """Processes that were started for it; more than one where it was interrupted."""
    failure_reason: str | None
    failed: list[FailedObjectView]
    """Objects that have no output, the first hundred."""
    stop_requested: bool
    progress: TransformProgressView | None
    """None before it has begun."""
    priority: int
    waiting: str | None
    """Why it does not start yet; null where it does not wait."""


@dataclass(frozen=True, slots=True)
class TransformsView:
    transforms: list[TransformView]
