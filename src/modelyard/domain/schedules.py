"""Schedules: what is started when the clock says so. Any kind of resource may have one, in its document's `schedule`,
and so may a function, which is an endpoint.

A schedule names times by a cron expression in a time zone. Of the times that have come since it was last looked at only
the newest counts: it is started for once, or not at all where the yard was down at it and `missed` says so. A time that
comes while what was started before still goes on is left out, unless `overlap` allows it. Whatever is left out is told
in an event, and what was decided last stands in the schedule's state.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from modelyard.domain.deployments import ENDPOINT
from modelyard.domain.endpoints import Endpoint
from modelyard.domain.resources import Resource, ResourceName, ResourceVersion

FIELD = "schedule"
"""Of a resource's document."""

LATE_SECONDS_MAX = 60.0
"""A time that came longer ago than this was missed: the yard was down, or too busy to look."""

MISSED_COUNTED_MAX = 1000
"""Most missed times that are counted."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When, as it was asked for."""

    cron: str
    time_zone: str = "UTC"
    """A name of the IANA's: Europe/Berlin."""
    missed: Literal["once", "skip"] = "once"
    """After times were missed: start once for all of them, or wait for the next."""
    overlap: Literal["skip", "allow"] = "skip"
    """While what was started before goes on: leave a time out, or start beside it."""

    @property
    def document(self) -> dict[str, Any]:
        return asdict(self)


def timing_from(document: Mapping[str, Any]) -> Timing:
    """The inverse of `Timing.document`, tolerant of keys that a later version added."""
    return Timing(**{key: document[key] for key in Timing.__dataclass_fields__ if key in document})


def timing_of(spec: Mapping[str, Any]) -> Timing | None:
    """The timing in a resource's document; None where it has none."""
    found = spec.get(FIELD)
    return timing_from(found) if found else None


def scheduled_function(endpoint: Endpoint) -> Resource | None:
    """A function that has a schedule, as a schedule's resource; None for every other endpoint. What counts is what
    the version says whose settings count."""
    version = endpoint.governing
    function = version.spec.function
    if endpoint.deleting or function is None or function.schedule is None:
        return None
    document = ResourceVersion(version.number, {FIELD: function.schedule}, version.created_at)
    return Resource(ResourceName(ENDPOINT, endpoint.name), endpoint.project, (document,))


class Times(Protocol):
    """The times that a timing names, as seconds since the epoch."""

    def after(self, moment: float) -> float | None:
        """The first after a moment; None where there will be none."""
        ...

    def until(self, moment: float) -> float | None:
        """The last that is not after a moment."""
        ...


@dataclass(frozen=True, slots=True)
class Schedule:
    """How far a resource's schedule was followed."""

    kind: str
    name: str
    timing: dict[str, Any] = field(default_factory=dict[str, Any])
    """As it was when it was last looked at: another one begins anew."""
    looked_at: float = 0.0
    """Times up to here are settled."""
    planned_at: float | None = None
    """The last time that something is, or was, started for."""
    started_at: float | None = None
    """When that was done; None while it is being done."""
    started: str | None = None
    """Id of what was started; None where that could not be."""
    sentence: str | None = None
    """What was decided last."""

    @property
    def under_way(self) -> bool:
        """Whether it was decided to start something, and not yet done."""
        return self.planned_at is not None and self.started_at is None


@dataclass(frozen=True, slots=True)
class Due:
    """What follows from the times that have come."""

    planned_at: float | None = None
    """The time to start for; None where nothing is to be started."""
    sentence: str | None = None
    """What to tell; None where there is nothing to."""


def decide_schedule(timing: Timing, looked_at: float, now: float, times: Times, going_on: str | None) -> Due:
    """What to do about the times after `looked_at` up to `now`. `going_on` is what was started before, while it has not
    ended. Starts at most once, and for a time that has come since."""
    first = times.after(looked_at)
    if first is None or first > now:
        return Due()
    newest = times.until(now) or first
    late = now - newest > LATE_SECONDS_MAX
    missed = _missed_words(_count(times, first, newest) + late)
    if going_on is not None and timing.overlap == "skip":
        return Due(None, f"left out: {going_on} still goes on")
    if late and timing.missed == "skip":
        return Due(None, f"{missed}; the next is waited for")
    return Due(newest, f"{missed}; started once for them" if missed and late else (missed or None))


def _count(times: Times, first: float, newest: float) -> int:
    """Times from `first` until before `newest`."""
    count, at = 0, first
    while at < newest and count < MISSED_COUNTED_MAX:
        count += 1
        following = times.after(at)
        if following is None:
            break
        at = following
    return count


def _missed_words(count: int) -> str:
    if not count:
        return ""
    return f"missed {count}{' or more' if count >= MISSED_COUNTED_MAX else ''} time{'' if count == 1 else 's'}"
