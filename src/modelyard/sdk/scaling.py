"""Scaling from outside: what was decided, and what other settings would have made of a load."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from modelyard.domain.autoscaling import Autoscaling, autoscaling_from, check_autoscaling
from modelyard.domain.traces import (
    CAPACITY_DEFAULT,
    START_SECONDS,
    LoadRecord,
    Simulation,
    TraceStep,
    simulate,
    trace_from_csv,
    trace_from_records,
)
from modelyard.errors import InvalidValue, NotFound

TRACE_BYTES_MAX = 64 * 2**20


class DecisionView(TypedDict):
    """Every term of one decision; None where it did not come to the term (see `domain.autoscaling.Recommendation`)."""

    at: str
    rule: str
    current: int
    requested: int
    sentence: str
    target_in_flight: float
    min_replicas: int
    max_replicas: int | None
    capacity: int
    average_in_flight: float | None
    needed: float | None
    tolerated: int | None
    stepped: int | None
    in_use: int | None
    lasting_in_flight: float | None
    peak_in_flight: float | None
    burst: int | None
    recommended: int | None
    stabilized_floor: int | None
    stabilized_ceiling: int | None
    idle_seconds: float | None


class ScalingView(TypedDict):
    name: str
    replicas: int
    """What is asked for now."""
    autoscaling: dict[str, Any] | None
    """Fields of `domain.autoscaling.Autoscaling`; None where the number of replicas is fixed."""
    decisions: list[DecisionView]
    """Newest first."""


class LoadView(TypedDict):
    at: float
    seconds: float
    in_flight: float
    queued: float
    arrivals: int
    replicas: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same load under the present settings and under changed ones."""

    settings: Autoscaling
    present: Simulation
    changes: dict[str, str]
    """As they were written; empty where nothing was to be changed."""
    changed: Simulation | None


def present_settings(view: ScalingView) -> Autoscaling:
    """How an endpoint scales, with the target that was last derived for it where none is set."""
    if view["autoscaling"] is None:
        return Autoscaling(min_replicas=view["replicas"], max_replicas=view["replicas"])
    settings = autoscaling_from(view["autoscaling"])
    if settings.target_in_flight is None and view["decisions"]:
        return replace(settings, target_in_flight=view["decisions"][0]["target_in_flight"])
    return settings


def recorded_trace(name: str, loads: Sequence[LoadView], settings: Autoscaling) -> list[TraceStep]:
    """`settings` are those under which it was recorded. Raises NotFound where nothing was recorded."""
    if not loads:
        raise NotFound(
            f"cannot simulate the load of endpoint {name}: none was recorded",
            "predictions of an endpoint that scales are recorded; or give a trace as a file",
        )
    return trace_from_records([LoadRecord(**one) for one in loads], settings.target_in_flight or 1.0)


def read_trace(path: Path) -> list[TraceStep]:
    """A trace from a CSV file. Raises NotFound, InvalidValue."""
    try:
        if path.stat().st_size > TRACE_BYTES_MAX:
            raise InvalidValue(f"cannot read {path}: it has more than {TRACE_BYTES_MAX} bytes", "give a shorter trace")
        return trace_from_csv(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}", "name a CSV file") from error
    except UnicodeDecodeError as error:
        raise InvalidValue(f"cannot read {path}: it is not text", "name a CSV file") from error


def compare(
    settings: Autoscaling,
    changes: Mapping[str, str],
    trace: Sequence[TraceStep],
    *,
    start_seconds: float = START_SECONDS,
) -> Comparison:
    """Replays a load under `settings`, and with `changes` (fields of a yard file's `autoscaling`, as they are written
    there) made to them. Raises InvalidValue."""
    changed = None
    if changes:
        from modelyard.manifest.autoscaling import scaling_changes  # noqa: PLC0415 (the schema is slow to import)

        others = replace(settings, **scaling_changes(changes))
        check_autoscaling(others)
        changed = _replayed(others, trace, start_seconds)
    return Comparison(settings, _replayed(settings, trace, start_seconds), dict(changes), changed)


def _replayed(settings: Autoscaling, trace: Sequence[TraceStep], start_seconds: float) -> Simulation:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    capacity = cores if settings.max_replicas is None else CAPACITY_DEFAULT
    return simulate(settings, trace, start_seconds=start_seconds, capacity=capacity)
