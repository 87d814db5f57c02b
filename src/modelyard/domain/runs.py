"""Training runs: what was asked, what became of it, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from modelyard.domain.queueing import CPU_MILLIS_DEFAULT, QueuedJob
from modelyard.errors import Conflict

FAILURE_REASON_LENGTH_MAX = 1024
"""SageMaker's limit for FailureReason (sagemaker.md 7.1)."""

RETRIES_MAX = 30
"""SageMaker's limit for MaximumRetryAttempts."""

RETRY_PAUSE_SECONDS_MAX = 60.0
"""Longest pause before a retry: 1 s before the first, then twice as long each time."""


class RunStatus(StrEnum):
    """SageMaker's TrainingJobStatus; `Lost` is ours."""

    IN_PROGRESS = "InProgress"  # accepted; the secondary status says how far
    COMPLETED = "Completed"  # exit 0, model registered where one was asked for
    FAILED = "Failed"  # non-zero exit, no model, or it could not be started
    STOPPING = "Stopping"  # a stop was asked for; the process may still be there
    STOPPED = "Stopped"  # it ended because of the stop or of the maximum run time
    LOST = "Lost"  # the process is gone and left no exit record (killed, or the machine went down)


class RunStep(StrEnum):
    """SageMaker's SecondaryStatus, as far as one machine has the steps."""

    PENDING = "Pending"  # acknowledged, on disk, not begun
    DOWNLOADING = "Downloading"  # inputs are laid out
    TRAINING = "Training"  # the user's process runs
    UPLOADING = "Uploading"  # outputs are stored, the model is registered
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    COMPLETED = "Completed"
    FAILED = "Failed"
    LOST = "Lost"
    RESTARTING = "Restarting"  # it ended and is to be tried again; waits its turn


class RunEnd(StrEnum):
    """Ways to end other than well, as far as they decide whether a run is tried again."""

    INTERRUPTED = "interrupted"  # killed from outside: its processes, the yard or the machine went down
    FAILED = "failed"  # it ended with an error, or took more memory than it may
    MAX_RUNTIME = "max_runtime"  # it ran longer than it may


ENDED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.STOPPED, RunStatus.LOST})

_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.IN_PROGRESS: frozenset(
        {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.STOPPING, RunStatus.STOPPED, RunStatus.LOST}
    ),
    RunStatus.STOPPING: frozenset({RunStatus.STOPPED, RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.LOST}),
    **{status: frozenset[RunStatus]() for status in ENDED},
}


def check_move(run: str, present: RunStatus, wanted: RunStatus) -> None:
    """Refuses a move that the table does not have, with the present status in the message."""
    if wanted is not present and wanted not in _MOVES[present]:
        raise Conflict(f"cannot make run {run} {wanted.value}: it is {present.value}")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """What was asked for. Everything that the run reads is named by digest, so it cannot change under it."""

    training: str
    """Name of the training resource."""
    project: str
    algorithm: str | None
    """A built-in algorithm's name, or None where `entry` is given."""
    entry: str | None
    """Script inside the code tree, or None."""
    code: str | None
    """Digest of the code tree, or None for a built-in."""
    inputs: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> digest of its tree."""
    sources: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> where its input was taken from, as it was named, where that was no plain path."""
    parents: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> model version (`price:2`) that it holds."""
    content_types: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> content type, where one was given."""
    hyperparameters: dict[str, str] = field(default_factory=dict[str, str])
    """Values as text, as SageMaker has them."""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """Variable -> name of the secret whose value it has when the run starts."""
    model: str | None = None
    """Model to register a version of on success, or None."""
    max_runtime_seconds: float = 86400.0
    """SageMaker's default is one day."""
    stop_grace_seconds: float = 120.0
    """Between SIGTERM and SIGKILL; SageMaker's is 120 s."""
    git_commit: str | None = None
    python_path: str | None = None
    """Folder inside the code tree that imports begin at, beside the entry's own."""
    cpu_millis: int | None = None
    """Cores to wait for; None is one. Numeric libraries get a thread per whole core, all there are where None."""
    memory_bytes: int | None = None
    """Memory to wait for, beyond which the run is ended; None waits for none and has no limit."""
    priority: int = 0
    """Of those that wait the highest starts first."""
    retry_count: int = 0
    """How often it is tried again."""
    retry_on: list[str] = field(default_factory=lambda: [RunEnd.INTERRUPTED.value, RunEnd.FAILED.value])
    """Values of `RunEnd` after which it is."""
    tuning: str | None = None
    """Id of the tuning that this is a trial of."""
    scheduled_at: float | None = None
    """The time of its schedule that it was started for; None where somebody started it."""
    log_metrics: dict[str, str] = field(default_factory=dict[str, str])
    """Metrics that are found in what it prints: name -> regular expression (`modelyard_worker.log_metrics`)."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run and what became of it. Times are seconds since the epoch, None where it has not come to that."""

    id: str
    spec: RunSpec
    status: RunStatus
    step: RunStep
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    steps: tuple[tuple[str, float], ...] = ()
    """Each step with the time it began, SageMaker's SecondaryStatusTransitions."""
    exit_code: int | None = None
    failure_reason: str | None = None
    stop_requested: bool = False
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    model_version: int | None = None
    attempt: int = 1
    """Counts the times it was started."""
    waiting: str | None = None
    """Why it does not start yet; None where it does not wait, or was not looked at."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def due_at(self) -> float:
        """When it may start at the earliest: a retry pauses before it goes back into the queue."""
        if self.step is not RunStep.RESTARTING:
            return self.created_at
        return self.steps[-1][1] + min(RETRY_PAUSE_SECONDS_MAX, 2.0 ** (self.attempt - 2))

    @property
    def queued(self) -> QueuedJob:
        """Its place in the queue, which a retry keeps."""
        spec = self.spec
        cpu_millis = CPU_MILLIS_DEFAULT if spec.cpu_millis is None else spec.cpu_millis
        return QueuedJob(self.id, spec.priority, self.created_at, cpu_millis, spec.memory_bytes or 0)


def new_run(run: str, spec: RunSpec, now: float) -> Run:
    """A run that was just acknowledged."""
    step = RunStep.PENDING
    return Run(run, spec, RunStatus.IN_PROGRESS, step, now, steps=((step.value, now),))


def move_run(
    run: Run,
    status: RunStatus,
    step: RunStep,
    now: float,
    *,
    exit_code: int | None = None,
    failure_reason: str | None = None,
    metrics: Mapping[str, float] | None = None,
    model_version: int | None = None,
) -> Run:
    """The run after a move, each time stamped once: `started_at` at the first TRAINING, `ended_at` at the end. What is
    None stays as it is; metrics are merged. RESTARTING counts the attempt up. Raises Conflict where the table has no
    such move."""
    check_move(run.id, run.status, status)
    begun = run.started_at is None and step is RunStep.TRAINING
    ended = run.ended_at is None and status in ENDED
    again = step is RunStep.RESTARTING and run.step is not RunStep.RESTARTING
    reason = run.failure_reason if failure_reason is None else failure_reason[:FAILURE_REASON_LENGTH_MAX]
    return replace(
        run,
        attempt=run.attempt + again,
        waiting=run.waiting if step is run.step else None,
        status=status,
        step=step,
        steps=run.steps if step is run.step else (*run.steps, (step.value, now)),
        started_at=now if begun else run.started_at,
        ended_at=now if ended else run.ended_at,
        exit_code=run.exit_code if exit_code is None else exit_code,
        failure_reason=reason,
        metrics={**run.metrics, **(metrics or {})},
        model_version=run.model_version if model_version is None else model_version,
    )


def stop_run(run: Run, now: float) -> Run:
    """The run after a stop was asked for; the same one where it is stopping already or has ended."""
    if run.ended or run.stop_requested:
        return run
    return replace(move_run(run, RunStatus.STOPPING, RunStep.STOPPING, now), stop_requested=True)


def run_spec_from(document: dict[str, Any]) -> RunSpec:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return RunSpec(**{key: document[key] for key in RunSpec.__dataclass_fields__ if key in document})


@dataclass(frozen=True, slots=True)
class JobFact:
    """What the engine sees of a run's process."""

    alive: bool
    exit_code: int | None = None
    """From the exit record; None where there is none."""
    ended_by: str | None = None
    """`exit`, `stop`, `max_runtime` or `memory`, from the exit record."""
    failure: str | None = None
    """Text of the failure file, or the wrapper's own reason."""
    ended_at: float | None = None
    metrics: dict[str, float] = field(default_factory=dict[str, float])
    attempt: int = 1
    """Which attempt of the run this is the process of."""


class RunAction(StrEnum):
    START = "start"  # lay out inputs and start the process
    STOP = "stop"  # ask the process to end
    UPLOAD = "upload"  # exit 0: store outputs, register the model, complete
    FAIL = "fail"  # ended with an error
    END_STOPPED = "end_stopped"  # ended because of a stop or of the maximum run time
    LOSE = "lose"  # gone without a record
    RETRY = "retry"  # ended in a way after which it is to be tried again
    WAIT = "wait"  # nothing to do now


def decide_run(run: Run, fact: JobFact | None) -> RunAction:
    """The next thing to do for a run, from what is wished and what is seen. Never raises; ended runs wait."""
    if run.ended:
        return RunAction.WAIT
    if fact is not None and fact.attempt < run.attempt:
        fact = None
    if fact is None:
        return _without_process(run)
    if fact.alive:
        return RunAction.STOP if run.stop_requested else RunAction.WAIT
    return _after_end(run, fact)


def _after_end(run: Run, fact: JobFact) -> RunAction:
    if fact.exit_code is None:
        return _again_or(RunAction.LOSE, run, RunEnd.INTERRUPTED)
    if fact.ended_by == "stop":
        return _again_or(RunAction.END_STOPPED, run, RunEnd.INTERRUPTED)
    if fact.ended_by == "max_runtime":
        return _again_or(RunAction.END_STOPPED, run, RunEnd.MAX_RUNTIME)
    return RunAction.UPLOAD if fact.exit_code == 0 else _again_or(RunAction.FAIL, run, RunEnd.FAILED)


def _again_or(otherwise: RunAction, run: Run, end: RunEnd) -> RunAction:
    wanted = not run.stop_requested and end.value in run.spec.retry_on
    return RunAction.RETRY if wanted and run.attempt <= run.spec.retry_count else otherwise


def _without_process(run: Run) -> RunAction:
    if run.stop_requested:
        return RunAction.END_STOPPED
    if run.step in (RunStep.PENDING, RunStep.DOWNLOADING, RunStep.RESTARTING):
        return RunAction.START
    return _again_or(RunAction.LOSE, run, RunEnd.INTERRUPTED)
