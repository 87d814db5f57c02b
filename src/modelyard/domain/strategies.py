"""Update strategies: in which steps an endpoint's new version takes over, and what calls it back.

`rolling` and `swap` replace replicas; the others keep the old version's replicas beside the new one's until the last
step is over, so that there is something to go back to at once. These are staged: a list of `Stage`, each with the share
of the requests that the new version answers and how long it must stand (`bake`) before the next.
"""

import itertools
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from modelyard.errors import InvalidValue


class StrategyType(StrEnum):
    ROLLING = "rolling"  # replica by replica
    CANARY = "canary"  # a small share of the requests first, then more
    LINEAR = "linear"  # the same share more at every step
    BLUE_GREEN = "blue_green"  # a whole new fleet, one switch, the old one kept for a while
    SHADOW = "shadow"  # copies of requests first, whose answers nobody gets
    SWAP = "swap"  # an old replica goes before a new one comes, where both do not fit


STAGED = frozenset({StrategyType.CANARY, StrategyType.LINEAR, StrategyType.BLUE_GREEN, StrategyType.SHADOW})
"""Strategies with steps that can be watched, held and gone back from."""

STEPS_MAX = 20
STEP_PERCENT_MIN = 5.0

CANARY_BAKE_SECONDS = 300.0
LINEAR_BAKE_SECONDS = 60.0
BLUE_GREEN_WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Guard:
    """What calls a new version back while it is watched."""

    error_rate: float = 0.05
    """So much more of its answers may be errors than of the old version's, 0 to 1; 1 is never passed."""
    latency_factor: float | None = None
    """So many times the old version's latency (the 90th percentile) it may take; None does not look."""
    min_requests: int = 20
    """Answers of a version before anything is made of them."""
    alarms: tuple[str, ...] = ()
    """Names of alarms of which none may fire."""


@dataclass(frozen=True, slots=True)
class UpdateStrategy:
    """How a version takes over from the one before. What does not belong to the type is not looked at."""

    type: StrategyType = StrategyType.ROLLING
    steps: tuple[float, ...] = (10.0,)
    """Percent of the requests, ascending, of a canary; 100 follows by itself."""
    step_percent: float = 10.0
    """What each step of `linear` adds."""
    bake_seconds: float | None = None
    """How long each step stands; None is the type's own time, and for a shadow until it is promoted."""
    termination_wait_seconds: float | None = None
    """How long, after that, the old version's replicas stay after the last step; None is the type's own time."""
    sample_percent: float = 100.0
    """Share of the requests that a shadow gets copies of."""
    compare: bool = True
    """Whether a shadow's answers are compared with those that were given."""
    tolerance: float = 1e-6
    """Relative difference of two numbers that still counts as equal."""
    guard: Guard | None = None
    """None is `Guard()` for what is staged, and no guard else."""

    @property
    def is_staged(self) -> bool:
        return self.type in STAGED

    @property
    def watch(self) -> Guard | None:
        """The guard that holds."""
        return self.guard or (Guard() if self.is_staged else None)


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a staged rollout."""

    percent: float
    """Share of the requests that the new version answers."""
    fleet_percent: float
    """Share of its replicas that must be there."""
    seconds: float | None
    """How long it stands; None until it is promoted."""
    mirrors: bool = False
    """Whether the new version gets copies of the requests."""


def stages_of(strategy: UpdateStrategy) -> tuple[Stage, ...]:
    """The steps of a staged strategy; the last has all requests. Empty where there are none."""
    given, wait = strategy.bake_seconds, strategy.termination_wait_seconds or 0.0
    match strategy.type:
        case StrategyType.CANARY:
            bake = CANARY_BAKE_SECONDS if given is None else given
            return (*(Stage(one, one, bake) for one in strategy.steps), Stage(100.0, 100.0, bake + wait))
        case StrategyType.LINEAR:
            bake = LINEAR_BAKE_SECONDS if given is None else given
            return (
                *(Stage(one, one, bake) for one in _linear(strategy.step_percent)),
                Stage(100.0, 100.0, bake + wait),
            )
        case StrategyType.BLUE_GREEN:
            if strategy.termination_wait_seconds is None and given is None:
                wait = BLUE_GREEN_WAIT_SECONDS
            return (Stage(100.0, 100.0, (given or 0.0) + wait),)
        case StrategyType.SHADOW:
            return (Stage(0.0, 100.0, given, mirrors=True), Stage(100.0, 100.0, wait))
        case _:
            return ()


def _linear(step_percent: float) -> list[float]:
    shares: list[float] = []
    while (len(shares) + 1) * step_percent < 100.0:
        shares.append((len(shares) + 1) * step_percent)
    return shares


def check_strategy(strategy: UpdateStrategy) -> None:
    """Raises InvalidValue for steps that do not go up to below 100, and for a step that is too small."""
    shares = strategy.steps
    ascending = all(before < after for before, after in itertools.pairwise(shares))
    if not shares or len(shares) > STEPS_MAX or not ascending or not (shares[0] > 0 and shares[-1] < 100):
        raise InvalidValue(
            f"cannot update in steps of {', '.join(f'{one:g}' for one in shares) or 'nothing'} percent",
            f"write 1 to {STEPS_MAX} shares that go up, each more than 0 and less than 100",
        )
    if not STEP_PERCENT_MIN <= strategy.step_percent <= 100:
        raise InvalidValue(
            f"cannot update in steps of {strategy.step_percent:g} percent",
            f"write a step from {STEP_PERCENT_MIN:g} to 100",
        )


def strategy_from(document: dict[str, Any]) -> UpdateStrategy:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields = {key: document[key] for key in UpdateStrategy.__dataclass_fields__ if key in document}
    if "type" in fields:
        fields["type"] = StrategyType(fields["type"])
    if "steps" in fields:
        fields["steps"] = tuple(fields["steps"])
    if fields.get("guard") is not None:
        fields["guard"] = _guard_from(fields["guard"])
    return UpdateStrategy(**fields)


def _guard_from(document: dict[str, Any]) -> Guard:
    fields = {key: document[key] for key in Guard.__dataclass_fields__ if key in document}
    if "alarms" in fields:
        fields["alarms"] = tuple(fields["alarms"])
    return Guard(**fields)
