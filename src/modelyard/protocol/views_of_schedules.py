"""Schedules as the interface answers them; see `protocol.views`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScheduleView:
    kind: str
    """Of the resource whose schedule it is."""
    name: str
    project: str
    cron: str
    time_zone: str
    missed: str
    overlap: str
    next_at: str | None
    last_planned_at: str | None
    """The last time that something was started for."""
    last_started_at: str | None
    last_started: str | None
    """Id of the run, the transform, the invocation; null where it could not be started."""
    sentence: str | None
    """What was decided last."""


@dataclass(frozen=True, slots=True)
class SchedulesView:
    schedules: list[ScheduleView]
