"""Tunings as the interface answers them; see `protocol.views`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrialView:
    run: str
    status: str
    value: float | None
    """Of the metric; null where it gave none."""
    hyperparameters: dict[str, str]
    """Those that are tuned."""


@dataclass(frozen=True, slots=True)
class TuningView:
    id: str
    name: str
    project: str
    status: str
    """A value of `domain.tunings.TuningStatus`."""
    reason: str | None
    created_at: str
    ended_at: str | None
    metric: str
    minimize: bool
    strategy: str
    max_trials: int
    parallel_trials: int
    counts: dict[str, int]
    """SageMaker's TrainingJobStatusCounters: completed, in_progress, stopped, failed."""
    best: TrialView | None
    trials: list[TrialView]
    """In the order in which they began; empty in a list of tunings."""
    model: str | None
    model_version: int | None


@dataclass(frozen=True, slots=True)
class TuningsView:
    tunings: list[TuningView]
