"""Which waiting jobs start now: of any kind, by priority, by age, and by what fits beside those that run.

The first in line starts as soon as it fits. While it does not, smaller jobs behind it may overtake; once it has waited
OVERTAKE_SECONDS nobody does any more, so that a stream of small jobs cannot keep a large one out for ever.

Jobs that write to one place run one after the other, an interrupted one to its end before the next begins: whatever is
there afterwards is one job's work.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

OVERTAKE_SECONDS = 300.0
"""How long after it was submitted a job that does not fit may be overtaken by those behind it."""

PRIORITY_MIN, PRIORITY_MAX = -100, 100

CPU_MILLIS_DEFAULT = 1000
"""What a job takes of the cores where it does not say: one."""


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job of any kind, as far as its place in the queue depends on it."""

    id: str
    priority: int = 0
    """Higher goes first."""
    submitted_at: float = 0.0
    cpu_millis: int = CPU_MILLIS_DEFAULT
    memory_bytes: int = 0
    """0 reserves none."""
    place: str = ""
    """What only one job at a time may write to; empty is nothing."""
    begun: bool = False
    """It was started before and interrupted, so that what is in its place is half its own."""


@dataclass(frozen=True, slots=True)
class Room:
    """What all jobs may take together."""

    cpu_millis: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Starts:
    start: tuple[str, ...] = ()
    """Ids, in the order in which to start."""
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    """Id -> why it waits, for each that does not start."""


def decide_starts(queued: Iterable[QueuedJob], running: Iterable[QueuedJob], room: Room, now: float) -> Starts:
    """Of the jobs that wait those to start beside the ones that run. Never starts more than there is room for, nor two
    that write to one place."""
    queued, taken = list(queued), list(running)
    # What could not start on an idle machine must not keep out what can.
    begun = [one for one in _in_order(queued) if one.begun and _lack(one, (), room) is None]
    holders = {one.place: one.id for one in reversed(begun)}
    holders |= {one.place: one.id for one in taken}
    start: list[str] = []
    waiting: dict[str, str] = {}
    first: QueuedJob | None = None
    for job in _in_order(queued):
        holder = holders.get(job.place, job.id) if job.place else job.id
        if holder != job.id:
            waiting[job.id] = f"{holder} goes on, and writes to {job.place} too"
            continue
        if first is not None and now - first.submitted_at >= OVERTAKE_SECONDS:
            waiting[job.id] = f"{first.id} is before it, and has waited long enough not to be overtaken"
            continue
        lack = _lack(job, taken, room)
        if lack is None:
            taken.append(job)
            start.append(job.id)
            holders[job.place] = job.id
            continue
        waiting[job.id] = lack
        if first is None and _lack(job, (), room) is None:
            first = job
    return Starts(tuple(start), waiting)


def _in_order(jobs: Iterable[QueuedJob]) -> list[QueuedJob]:
    return sorted(jobs, key=lambda one: (-one.priority, one.submitted_at, one.id))


def _lack(job: QueuedJob, taken: Iterable[QueuedJob], room: Room) -> str | None:
    """Why it does not fit beside the others; None where it does."""
    others = list(taken)
    amounts = (
        (job.cpu_millis, sum(one.cpu_millis for one in others), room.cpu_millis, _cores),
        (job.memory_bytes, sum(one.memory_bytes for one in others), room.memory_bytes, _mebibytes),
    )
    for wanted, _, whole, text in amounts:
        if wanted > whole:
            return f"needs {text(wanted)}, and jobs have {text(whole)} here"
    for wanted, used, whole, text in amounts:
        if wanted and wanted > whole - used:
            return f"needs {text(wanted)}: {text(used)} of {text(whole)} are taken"
    return None


def _cores(millis: int) -> str:
    return f"{millis / 1000:g} cores" if millis != 1000 else "1 core"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
