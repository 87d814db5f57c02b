"""Scaling from outside: what was decided, and what other settings would have made of a load."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

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
from modelyard.protocol.views_of_scaling import LoadView, ScalingView

TRACE_BYTES_MAX = 64 * 2**20


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
    if view.autoscaling is None:
        return Autoscaling(min_replicas=view.replicas, max_replicas=view.replicas)
    settings = autoscaling_from(asdict(view.autoscaling))
    if settings.target_in_flight is None and view.decisions:
        return replace(settings, target_in_flight=view.decisions[0].target_in_flight)
    return settings


def recorded_trace(name: str, loads: Sequence[LoadView], settings: Autoscaling) -> list[TraceStep]:
    """`settings` are those under which it was recorded. Raises NotFound where nothing was recorded."""
    if not loads:
        raise NotFound(
            f"cannot simulate the load of endpoint {name}: none was recorded",
            "predictions of an endpoint that scales are recorded; or give a trace as a file",
        )
    return trace_from_records([LoadRecord(**asdict(one)) for one in loads], settings.target_in_flight or 1.0)


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
