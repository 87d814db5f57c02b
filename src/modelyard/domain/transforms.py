"""Batch transforms: what was asked, what became of it, and what to do next.

A transform is worked on by one process at a time. One that ends without a record of how - killed, or gone with the
machine - is followed by the next, which goes on from what is on disk; so is one that ended because the yard went down.
"""

import posixpath
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from modelyard.domain.queueing import CPU_MILLIS_DEFAULT, QueuedJob
from modelyard.domain.runs import FAILURE_REASON_LENGTH_MAX, JobFact
from modelyard.errors import Conflict

JOB_WORD = "{job}"
"""Stands for the transform's id in its output."""

OF_ENDPOINT = "endpoint/"
"""Begins the name of what scores where that is an endpoint's version, and no model's."""

ATTEMPTS_MAX = 20
"""Processes of one transform that may be lost, one after the other."""


class TransformStatus(StrEnum):
    """SageMaker's TransformJobStatus."""

    IN_PROGRESS = "InProgress"  # accepted: waits for its turn, or is worked on
    COMPLETED = "Completed"  # every object has its output
    FAILED = "Failed"  # some object has none; the others have theirs
    STOPPING = "Stopping"  # a stop was asked for
    STOPPED = "Stopped"  # it ended because of that; finished objects stay


ENDED = frozenset({TransformStatus.COMPLETED, TransformStatus.FAILED, TransformStatus.STOPPED})

_MOVES: dict[TransformStatus, frozenset[TransformStatus]] = {
    TransformStatus.IN_PROGRESS: frozenset({TransformStatus.STOPPING, *ENDED}),
    TransformStatus.STOPPING: ENDED,
    **{status: frozenset[TransformStatus]() for status in ENDED},
}


@dataclass(frozen=True, slots=True)
class TransformSpec:
    """What was asked for. Paths are of the yard's machine."""

    name: str
    """What its id begins with."""
    project: str
    package: str
    """Digest of what scores."""
    input: str
    output: str
    """With `{job}` in it, until the transform has its id."""
    model: str | None = None
    """The model's version, `price:3`, or the endpoint's whose package it is, `endpoint/price:2`, or None."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Fields of `modelyard_worker.transform.plan.TransformPlan` that were given."""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """Variable -> name of the secret."""
    batch: str | None = None
    """The `kind: batch` that it was submitted to."""
    submitted: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of a job that was submitted in Cortex's words, what its code is told of that: its config, its batches."""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    cpu_millis: int | None = None
    """Cores to wait for; None is one. Numeric libraries get a thread per whole core, all there are where None."""
    memory_bytes: int | None = None
    """Memory to wait for, beyond which it is ended; None waits for none and has no limit."""
    priority: int = 0
    """Of the jobs that wait the highest starts first."""
    max_runtime_seconds: float | None = None
    """How long each of its processes may run; None is as long as the yard lets any."""
    scheduled_at: float | None = None
    """The time of its schedule that it was started for; None where somebody started it."""


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform and what became of it. Times are seconds since the epoch, None where it has not come to that."""

    id: str
    spec: TransformSpec
    status: TransformStatus
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    attempt: int = 0
    """How many processes were started for it."""
    failure_reason: str | None = None
    stop_requested: bool = False
    result: dict[str, Any] = field(default_factory=dict[str, Any])
    """What it said of itself at its end: objects, records, which objects failed and why."""
    waiting: str | None = None
    """Why it does not start yet; None where it does not wait, or was not looked at."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def job(self) -> str:
        """What the engine calls its present process; a run's id has no dot."""
        return job_of(self.id, self.attempt)

    @property
    def queued(self) -> QueuedJob:
        """Its place in the queue of jobs, which it keeps when it is interrupted. Its name there no run has."""
        spec = self.spec
        cpu_millis = CPU_MILLIS_DEFAULT if spec.cpu_millis is None else spec.cpu_millis
        return QueuedJob(
            f"transform/{self.id}",
            spec.priority,
            self.created_at,
            cpu_millis,
            spec.memory_bytes or 0,
            place=same_place(spec.output),
            begun=self.attempt > 0,
        )


def scorer_of(model: str) -> tuple[str, str]:
    """Name and version of what scores, of a model's `price:3` as of `endpoint/price:2`."""
    name, _, version = model.removeprefix(OF_ENDPOINT).partition(":")
    return name, version


def job_of(transform: str, attempt: int) -> str:
    return f"{transform}.{attempt}"


def same_place(output: str) -> str:
    """One spelling for all of a folder, or of a beginning of keys."""
    scheme, separator, rest = output.partition("://")
    return f"{scheme}://{rest.rstrip('/')}" if separator else posixpath.normpath(output)


def new_transform(transform: str, spec: TransformSpec, now: float) -> Transform:
    spec = replace(spec, output=spec.output.replace(JOB_WORD, transform))
    return Transform(transform, spec, TransformStatus.IN_PROGRESS, now)


def start_transform(transform: Transform, now: float) -> Transform:
    """With one more process than before. Raises Conflict where none is wanted any more."""
    if transform.ended or transform.stop_requested:
        raise Conflict(f"cannot start transform {transform.id}: it is {transform.status.value}")
    return replace(transform, attempt=transform.attempt + 1, started_at=transform.started_at or now, waiting=None)


def end_transform(
    transform: Transform, status: TransformStatus, now: float, reason: str | None, result: dict[str, Any]
) -> Transform:
    """Raises Conflict where the table of moves does not have that."""
    if status not in _MOVES[transform.status]:
        raise Conflict(f"cannot make transform {transform.id} {status.value}: it is {transform.status.value}")
    cut = reason[:FAILURE_REASON_LENGTH_MAX] if reason is not None else None
    return replace(transform, status=status, ended_at=now, failure_reason=cut, result=result)


def stop_transform(transform: Transform) -> Transform:
    """The transform after a stop was asked for; the same one where it is stopping already or has ended."""
    if transform.ended or transform.stop_requested:
        return transform
    return replace(transform, status=TransformStatus.STOPPING, stop_requested=True)


def transform_spec_from(document: dict[str, Any]) -> TransformSpec:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return TransformSpec(**{key: document[key] for key in TransformSpec.__dataclass_fields__ if key in document})


class TransformAction(StrEnum):
    START = "start"  # start a process, the first or the next
    STOP = "stop"  # ask the process to end
    COMPLETE = "complete"  # every object was scored
    FAIL = "fail"  # some was not, or nothing could begin
    GIVE_UP = "give_up"  # lost too often
    END_STOPPED = "end_stopped"
    WAIT = "wait"


def decide_transform(transform: Transform, fact: JobFact | None) -> TransformAction:
    """The next thing to do, from what is wished and what is seen of its present process. Never raises."""
    if transform.ended:
        return TransformAction.WAIT
    if fact is not None and fact.alive:
        return TransformAction.STOP if transform.stop_requested else TransformAction.WAIT
    if fact is not None and fact.exit_code == 0:
        return TransformAction.COMPLETE
    if transform.stop_requested:
        return TransformAction.END_STOPPED
    return TransformAction.START if fact is None else _after_end(transform, fact)


def _after_end(transform: Transform, fact: JobFact) -> TransformAction:
    if fact.exit_code is not None and fact.ended_by in ("exit", "memory", "max_runtime"):
        return TransformAction.FAIL
    # Nobody asked this transform to end: it was killed, or the yard went down.
    return TransformAction.GIVE_UP if transform.attempt >= ATTEMPTS_MAX else TransformAction.START
