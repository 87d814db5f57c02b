"""What is counted of the yard's processes: read when somebody asks, and never otherwise. What the kernel counts is in
/proc, and which models a replica of many has loaded in that replica's folder."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from modelyard_worker.records import MODEL_COUNTS, Identity, is_alive, read_json

from modelyard.engines.families import family, portion_bytes
from modelyard.engines.ports import ReplicaSight
from modelyard.protocol.metrics import Label, ModelMetrics, ProcessMetrics
from modelyard.settings import Home

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def platform_metrics(home: Home) -> list[ProcessMetrics]:
    """Supervisor, gateways, control, controller and whatever else the supervisor keeps alive."""
    yard = read_json(str(home.yard)) or {}
    listed = (read_json(str(home.processes)) or {}).get("processes", [])
    named = [("supervisor", yard), *((str(one.get("name")), one) for one in listed)]
    found: list[ProcessMetrics] = []
    for name, record in named:
        try:
            identity = Identity(str(record["boot"]), int(record["pid"]), int(record["start"]))
        except (KeyError, TypeError, ValueError):
            continue
        if is_alive(identity):
            found += _process_metrics(identity.pid, (("process", name),))
    return found


def replica_metrics(sights: Iterable[ReplicaSight]) -> list[ProcessMetrics]:
    found: list[ProcessMetrics] = []
    for sight in sorted(sights, key=lambda one: one.id):
        if sight.alive and sight.pid is not None:
            found += _family_metrics(sight.pid, _labels(sight))
    return found


def _family_metrics(pid: int, labels: tuple[Label, ...]) -> list[ProcessMetrics]:
    """A replica's, with what it started: an app's program does the work."""
    found = _process_metrics(pid, labels)
    for one in family(pid)[1:]:
        for mine, its in zip(found, _process_metrics(one, labels), strict=False):
            found = [
                replace(
                    mine,
                    cpu_seconds=mine.cpu_seconds + its.cpu_seconds,
                    memory_bytes=mine.memory_bytes + portion_bytes(one),
                    open_files=mine.open_files + its.open_files,
                )
            ]
    return found


def model_metrics(home: Home, sights: Iterable[ReplicaSight]) -> list[ModelMetrics]:
    """Of living replicas that serve many models and have loaded any."""
    found: list[ModelMetrics] = []
    for sight in sorted(sights, key=lambda one: one.id):
        counts = read_json(str(home.engine / "replicas" / sight.id / MODEL_COUNTS)) if sight.alive else None
        if counts is not None:
            numbers = (int(counts.get(name) or 0) for name in ("loads", "evictions", "loaded", "held_bytes"))
            found.append(ModelMetrics(_labels(sight), *numbers))
    return found


def _labels(sight: ReplicaSight) -> tuple[Label, ...]:
    return ("endpoint", sight.endpoint), ("version", str(sight.version)), ("replica", sight.id)


def _process_metrics(pid: int, labels: tuple[Label, ...]) -> list[ProcessMetrics]:
    """One, or none where the process has just gone."""
    place = Path("/proc") / str(pid)
    try:
        fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
        _, resident, shared, *_ = (place / "statm").read_bytes().split()
        open_files = len(os.listdir(place / "fd"))  # noqa: PTH208 (names alone; a path for each is waste)
    except (OSError, ValueError):
        return []
    cpu_seconds = (int(fields[11]) + int(fields[12])) / _TICKS
    private_bytes = max(0, int(resident) - int(shared)) * _PAGE_BYTES
    return [ProcessMetrics(labels, cpu_seconds, private_bytes, open_files)]
