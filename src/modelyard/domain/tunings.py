"""Tunings: a search for the hyperparameters that are best by one metric. SageMaker's words and statuses.

A tuning holds no search state of its own: its trials are runs, and what to try next follows from them alone. So one
that a restart interrupted goes on with what its trials say, and repeats none that has finished.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product
from math import isfinite, prod
from statistics import mean, median
from typing import Any, Literal

from modelyard.domain.runs import ENDED as RUN_ENDED
from modelyard.domain.runs import Run, RunEnd, RunSpec, RunStatus, run_spec_from
from modelyard.errors import Conflict

TRIALS_MAX = 1000
PARALLEL_TRIALS_MAX = 100
RANGES_MAX = 30
VALUES_MAX = 100
"""SageMaker's limits, or more."""

NAME_LENGTH_MAX = 50
"""Of a tuning; its number and a trial's are added to it."""

FAILURES_FIRST_MAX = 5
"""So many trials that fail before any succeeds end the tuning: something is wrong with all of them."""

INTERRUPTIONS_MAX = 5
"""How often a trial is started again that was interrupted, whatever its training says."""

EARLY_STOPPING_TRIALS_MIN = 3
"""Completed trials that there must be before one is stopped early."""

EARLY_STOPPING_VALUES_MIN = 3
"""Values of the metric that a trial must have given before it is stopped early."""

OBJECTIVE_HYPERPARAMETER = "_tuning_objective_metric"
"""By which SageMaker tells a training what it is tuned for."""

Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
Value = str | int | float


class TuningStatus(StrEnum):
    """SageMaker's HyperParameterTuningJobStatus."""

    IN_PROGRESS = "InProgress"  # trials run, or are about to
    COMPLETED = "Completed"  # all trials have ended, and at least one gave the metric
    FAILED = "Failed"  # no trial gave the metric, or the next could not be chosen
    STOPPING = "Stopping"  # a stop was asked for; trials are ending
    STOPPED = "Stopped"


ENDED = frozenset({TuningStatus.COMPLETED, TuningStatus.FAILED, TuningStatus.STOPPED})


@dataclass(frozen=True, slots=True)
class Range:
    """Where one hyperparameter is searched: from `low` to `high`, or among `values`."""

    name: str
    kind: Literal["continuous", "integer", "categorical"]
    low: float = 0.0
    high: float = 0.0
    values: list[str] = field(default_factory=list[str])
    scaling: Scaling = "Auto"

    @property
    def effective_scaling(self) -> Scaling:
        """`Auto` searches by magnitude what spans three of them."""
        if self.scaling != "Auto":
            return self.scaling
        return "Logarithmic" if self.low > 0 and self.high / self.low >= 1000 else "Linear"

    @property
    def points(self) -> list[Value]:
        """Every value, for a grid; of a continuous range there is none."""
        if self.kind == "categorical":
            return list(self.values)
        return list(range(int(self.low), int(self.high) + 1)) if self.kind == "integer" else []


@dataclass(frozen=True, slots=True)
class TuningSpec:
    name: str
    project: str
    training: RunSpec
    """What every trial runs, with what it is to try beside its own hyperparameters."""
    metric: str
    minimize: bool
    ranges: list[Range]
    strategy: Literal["Bayesian", "Random", "Grid"] = "Bayesian"
    max_trials: int = 20
    parallel_trials: int = 1
    early_stopping: bool = False
    """SageMaker's TrainingJobEarlyStoppingType Auto: the median rule."""
    target: float | None = None
    """SageMaker's TargetObjectiveMetricValue: a trial that reaches it ends the tuning."""
    max_runtime_seconds: float | None = None
    seed: int = 0
    model: str | None = None
    """Model to register the best trial's as a version of, or None."""

    @property
    def trials_max(self) -> int:
        """A grid has no more trials than points."""
        if self.strategy != "Grid":
            return self.max_trials
        return min(self.max_trials, prod(len(one.points) for one in self.ranges))


def tuning_spec_from(document: dict[str, Any]) -> TuningSpec:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    known: dict[str, Any] = {key: document[key] for key in TuningSpec.__dataclass_fields__ if key in document}
    known["training"] = run_spec_from(document["training"])
    known["ranges"] = [Range(**one) for one in document["ranges"]]
    return TuningSpec(**known)


@dataclass(frozen=True, slots=True)
class Tuning:
    """Times are seconds since the epoch."""

    id: str
    spec: TuningSpec
    status: TuningStatus
    created_at: float
    ended_at: float | None = None
    stop_requested: bool = False
    reason: str | None = None
    best_run: str | None = None
    """SageMaker's BestTrainingJob; set when the tuning has ended."""
    model_version: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def stop_tuning(tuning: Tuning) -> Tuning:
    """The tuning after a stop was asked for; the same one where it is stopping already or has ended."""
    if tuning.ended or tuning.stop_requested:
        return tuning
    return replace(tuning, status=TuningStatus.STOPPING, stop_requested=True)


def end_tuning(
    tuning: Tuning, status: TuningStatus, now: float, reason: str | None, best: str | None, version: int | None
) -> Tuning:
    """Raises Conflict where it has ended another way."""
    if tuning.ended and tuning.status is not status:
        raise Conflict(f"cannot make tuning {tuning.id} {status.value}: it is {tuning.status.value}")
    if tuning.ended:
        return tuning
    return replace(tuning, status=status, ended_at=now, reason=reason, best_run=best, model_version=version)


@dataclass(frozen=True, slots=True)
class Ending:
    status: TuningStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TuningDecision:
    ask: int = 0
    """How many further trials to choose and start."""
    stop: tuple[str, ...] = ()
    """Trials to stop because the tuning is over."""
    end: Ending | None = None


def decide_tuning(tuning: Tuning, trials: Sequence[Run], now: float) -> TuningDecision:
    """The next thing to do for a tuning that has not ended, from all trials that it has had."""
    going_on = [one for one in trials if not one.ended]
    over = _why_over(tuning, trials, now)
    if over is None:
        left = tuning.spec.trials_max - len(trials)
        return TuningDecision(ask=max(0, min(left, tuning.spec.parallel_trials - len(going_on))))
    if going_on:
        return TuningDecision(stop=tuple(one.id for one in going_on if not one.stop_requested) if over.stops else ())
    if over.status is not TuningStatus.STOPPED and best_trial(tuning.spec, trials) is None:
        return TuningDecision(end=Ending(TuningStatus.FAILED, over.reason or _no_metric(tuning.spec, trials)))
    return TuningDecision(end=Ending(over.status, over.reason))


@dataclass(frozen=True, slots=True)
class _Over:
    status: TuningStatus
    reason: str | None
    stops: bool


def _why_over(tuning: Tuning, trials: Sequence[Run], now: float) -> _Over | None:
    """Why no further trial is started; None where one may be."""
    spec = tuning.spec
    if tuning.stop_requested:
        return _Over(TuningStatus.STOPPED, None, stops=True)
    best = best_trial(spec, trials)
    if best is not None and spec.target is not None and not _worse(best.metrics[spec.metric], spec.target, spec):
        return _Over(TuningStatus.COMPLETED, f"{best.id} reached the target {spec.target:g}", stops=True)
    if spec.max_runtime_seconds is not None and now - tuning.created_at >= spec.max_runtime_seconds:
        return _Over(TuningStatus.COMPLETED, f"it ran for its maximum of {spec.max_runtime_seconds:g} s", stops=True)
    failed = [one for one in trials if one.status in (RunStatus.FAILED, RunStatus.LOST)]
    if best is None and len(failed) >= min(FAILURES_FIRST_MAX, spec.trials_max):
        why = f"the first {len(failed)} trials failed, {failed[-1].id} so: {failed[-1].failure_reason}"
        return _Over(TuningStatus.FAILED, why, stops=True)
    return _Over(TuningStatus.COMPLETED, None, stops=False) if len(trials) >= spec.trials_max else None


def _no_metric(spec: TuningSpec, trials: Sequence[Run]) -> str:
    seen = sorted({name for one in trials for name in one.metrics})
    return f"no trial completed with the metric {spec.metric}; they logged {', '.join(seen) or 'none'}"


def best_trial(spec: TuningSpec, trials: Iterable[Run]) -> Run | None:
    """Of those that completed with a value; the earliest of equals."""
    given = [one for one in trials if one.status is RunStatus.COMPLETED and isfinite(_objective(spec, one))]
    if not given:
        return None
    return min(given, key=lambda one: _objective(spec, one) if spec.minimize else -_objective(spec, one))


def _objective(spec: TuningSpec, run: Run) -> float:
    return run.metrics.get(spec.metric, float("nan"))


def _worse(value: float, other: float, spec: TuningSpec) -> bool:
    return value > other if spec.minimize else value < other


def decide_early_stops(spec: TuningSpec, trials: Sequence[Run], curves: Mapping[str, Sequence[float]]) -> list[str]:
    """Ids of the trials to stop by SageMaker's rule: whose last value is worse than the median of what the completed
    trials had on average up to the same step. `curves` are values of the metric by trial, in order."""
    done = [curves[one.id] for one in trials if one.status is RunStatus.COMPLETED and curves.get(one.id)]
    if not spec.early_stopping or len(done) < EARLY_STOPPING_TRIALS_MIN:
        return []
    stops: list[str] = []
    for trial in trials:
        curve = curves.get(trial.id, ())
        if trial.status is not RunStatus.IN_PROGRESS or len(curve) < EARLY_STOPPING_VALUES_MIN:
            continue
        if _worse(curve[-1], median(mean(one[: len(curve)]) for one in done), spec):
            stops.append(trial.id)
    return stops


def trial_spec(tuning: Tuning, chosen: Mapping[str, Value]) -> RunSpec:
    """What the run of a trial is asked for. Only the best one's model is registered, by the tuning."""
    spec = tuning.spec
    training = spec.training
    asked = {name: value if isinstance(value, str) else f"{value:.10g}" for name, value in chosen.items()}
    again = training.retry_count > 0
    return replace(
        training,
        training=tuning.id,
        hyperparameters={**training.hyperparameters, **asked, OBJECTIVE_HYPERPARAMETER: spec.metric},
        model=None,
        tuning=tuning.id,
        retry_count=training.retry_count if again else INTERRUPTIONS_MAX,
        retry_on=training.retry_on if again else [RunEnd.INTERRUPTED.value],
    )


def tried(spec: TuningSpec, trials: Iterable[Run]) -> list[dict[str, Any]]:
    """What a sampler is told of the trials: `parameters`, `value` (None where it gave none), `state`: `complete`,
    `pruned` (stopped in the middle, with what it had come to), `failed`, `running`."""
    told: list[dict[str, Any]] = []
    for one in trials:
        given = {wanted.name: _read(wanted, one.spec.hyperparameters.get(wanted.name)) for wanted in spec.ranges}
        if None in given.values():
            continue
        value = _objective(spec, one)
        state = _state(one.status) if isfinite(value) or one.status not in RUN_ENDED else "failed"
        told.append({"parameters": given, "value": value if state in ("complete", "pruned") else None, "state": state})
    return told


def _state(status: RunStatus) -> str:
    if status not in RUN_ENDED:
        return "running"
    return {RunStatus.COMPLETED: "complete", RunStatus.STOPPED: "pruned"}.get(status, "failed")


def _read(wanted: Range, text: str | None) -> Value | None:
    if text is None or wanted.kind == "categorical":
        return text
    return int(float(text)) if wanted.kind == "integer" else float(text)


def grid_points(spec: TuningSpec, begin: int, count: int) -> list[dict[str, Value]]:
    """Points of the grid in their order, from the one numbered `begin`."""
    names = [one.name for one in spec.ranges]
    points = list(product(*(one.points for one in spec.ranges)))[begin : begin + count]
    return [dict(zip(names, point, strict=True)) for point in points]
