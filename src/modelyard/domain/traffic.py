"""Traffic over time: at which step a staged rollout is, what share of the requests its new version has, and what next.

The step is on disk (`Progress`) before anything follows from it, so that whoever comes after a killed controller goes
on where it was. People steer by a wish of their own beside it (`Steering`): to hold, to go on, to skip.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modelyard.domain.strategies import Stage, UpdateStrategy, stages_of


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a version's rollout has come. Times are wall clock."""

    step: int = 0
    """Which of its stages, from 0."""
    percent: float = 0.0
    """Share of the requests that the new version has: that of the stage that began last."""
    began_at: float | None = None
    """When that stage's share took effect; None while its replicas are not there yet."""
    held_since: float | None = None
    """When it was told to hold; None while it goes on."""
    held_seconds: float = 0.0
    """For how long it was held before, in this stage."""


@dataclass(frozen=True, slots=True)
class Steering:
    """What people wish for a version's rollout."""

    paused: bool = False
    promoted_to: int = 0
    """The stage that it is to go on to without waiting; beyond the last, the end."""


@dataclass(frozen=True, slots=True)
class Course:
    """What a staged rollout comes to at one moment."""

    progress: Progress
    """To be written down first where it is not what was read."""
    stage: Stage
    mirrors: bool
    """Whether copies of requests go to the new version now."""
    done: bool
    """The last stage is over."""
    next_at: float | None
    """When the stage will be over; None where only people or replicas can say."""


def decide_course(
    strategy: UpdateStrategy, progress: Progress, steering: Steering, ready: Callable[[Stage], bool], now: float
) -> Course:
    """One step of traffic. `ready` says whether the replicas that a stage wants are there.

    A stage begins when its replicas are ready and ends when it has stood long enough or was promoted; until the next
    one begins, the share stays as it was.
    """
    stages = stages_of(strategy)
    progress = replace(progress, step=min(progress.step, len(stages) - 1))
    if steering.promoted_to > progress.step:
        progress = _moved(progress, min(steering.promoted_to, len(stages) - 1))
    progress = _held(progress, now) if steering.paused else _resumed(progress, now)
    if progress.began_at is None and ready(stages[progress.step]):
        held_since = now if steering.paused else None
        progress = replace(progress, began_at=now, held_since=held_since, percent=stages[progress.step].percent)
    stage = stages[progress.step]
    ends_at = _ends_at(stage, progress)
    at_once = steering.promoted_to > progress.step
    over = progress.began_at is not None and (at_once or (ends_at is not None and now >= ends_at))
    if over and progress.step < len(stages) - 1:
        return _course(stages, _moved(progress, progress.step + 1), done=False, next_at=None)
    return _course(stages, progress, done=over, next_at=ends_at)


def elapsed_seconds(progress: Progress, now: float) -> float:
    """For how long the present stage has stood, what it was held not counted."""
    if progress.began_at is None:
        return 0.0
    until = now if progress.held_since is None else progress.held_since
    return max(0.0, until - progress.began_at - progress.held_seconds)


def _course(stages: tuple[Stage, ...], progress: Progress, *, done: bool, next_at: float | None) -> Course:
    stage = stages[progress.step]
    mirrors = stage.mirrors and progress.began_at is not None
    return Course(progress, stage, mirrors, done, next_at)


def _moved(progress: Progress, step: int) -> Progress:
    return replace(progress, step=step, began_at=None, held_since=None, held_seconds=0.0)


def _held(progress: Progress, now: float) -> Progress:
    if progress.held_since is not None or progress.began_at is None:
        return progress
    return replace(progress, held_since=now)


def _resumed(progress: Progress, now: float) -> Progress:
    if progress.held_since is None:
        return progress
    held_seconds = progress.held_seconds + max(0.0, now - progress.held_since)
    return replace(progress, held_since=None, held_seconds=held_seconds)


def _ends_at(stage: Stage, progress: Progress) -> float | None:
    if progress.began_at is None or progress.held_since is not None or stage.seconds is None:
        return None
    return progress.began_at + progress.held_seconds + stage.seconds


def course_sentence(strategy: UpdateStrategy, progress: Progress, steering: Steering, now: float) -> str:
    """`canary 10 % for 2 of 5 minutes`, `shadow until it is promoted`, `blue_green 100 % when its replicas are ready`.

    Time is told in whole minutes or tenths, so that the sentence does not change with every look.
    """
    stages = stages_of(strategy)
    stage = stages[min(progress.step, len(stages) - 1)]
    what = strategy.type.value if stage.mirrors else f"{strategy.type.value} {stage.percent:g} %"
    if progress.began_at is None:
        return f"{what} when its replicas are ready"
    if stage.seconds is None:
        when = "until it is promoted"
    elif stage.seconds == 0:
        when = "at once"
    else:
        when = f"for {_told(elapsed_seconds(progress, now), stage.seconds)}"
    return f"{what} {when}, paused" if steering.paused else f"{what} {when}"


def _told(elapsed: float, whole: float) -> str:
    """`2 of 5 minutes`, `20 of 30 seconds`."""
    minutes = whole >= 120 and whole % 60 == 0
    unit, word = (60.0, "minute") if minutes else (1.0, "second")
    grain = unit if minutes else max(1.0, whole / 10)
    passed = min(whole, elapsed // grain * grain) / unit
    total = whole / unit
    return f"{passed:.0f} of {total:g} {word if total == 1 else f'{word}s'}"


def progress_from(document: dict[str, Any]) -> Progress:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Progress(**{key: document[key] for key in Progress.__dataclass_fields__ if key in document})


def steering_from(document: dict[str, Any]) -> Steering:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Steering(**{key: document[key] for key in Steering.__dataclass_fields__ if key in document})
