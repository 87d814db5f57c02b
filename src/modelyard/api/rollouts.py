"""Rollouts: how a version may take over, how far one has come, and what people make of it on its way."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.outcomes import OutcomeView, outcome_view
from modelyard.api.permissions import asked_by, guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.deployments import Change
from modelyard.domain.endpoints import BY_LENGTH_MAX, Endpoint, EndpointStatus
from modelyard.domain.names import name_key, nearest
from modelyard.domain.strategies import (
    STEP_PERCENT_MIN,
    STEPS_MAX,
    Guard,
    StrategyType,
    UpdateStrategy,
    check_strategy,
    stages_of,
)
from modelyard.domain.traffic import elapsed_seconds
from modelyard.errors import NotFound
from modelyard.protocol.views_of_endpoints import RolloutView

ALARM = "alarm"
SECONDS_MAX = 7 * 86400.0
ALARMS_MAX = 10
REQUESTS_MAX = 1_000_000

_GUARD = Guard()
_DEFAULT = UpdateStrategy()

Percent = Annotated[float, Field(ge=0, le=100)]
Period = Annotated[float, Field(ge=0, le=SECONDS_MAX)]


class GuardWish(BaseModel):
    """Fields of `domain.strategies.Guard`; what is left out has its default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    error_rate: Annotated[float, Field(ge=0, le=1)] = _GUARD.error_rate
    latency_factor: Annotated[float | None, Field(gt=1)] = _GUARD.latency_factor
    min_requests: Annotated[int, Field(ge=1, le=REQUESTS_MAX)] = _GUARD.min_requests
    alarms: Annotated[list[str], Field(max_length=ALARMS_MAX)] = []


class StrategyWish(BaseModel):
    """Fields of `domain.strategies.UpdateStrategy`; what is left out has its default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["rolling", "canary", "linear", "blue_green", "shadow", "swap"] = "rolling"
    steps: Annotated[list[Percent], Field(min_length=1, max_length=STEPS_MAX)] = list(_DEFAULT.steps)
    step_percent: Annotated[float, Field(ge=STEP_PERCENT_MIN, le=100)] = _DEFAULT.step_percent
    bake_seconds: Period | None = None
    termination_wait_seconds: Period | None = None
    sample_percent: Percent = _DEFAULT.sample_percent
    compare: bool = _DEFAULT.compare
    tolerance: Annotated[float, Field(ge=0, le=1)] = _DEFAULT.tolerance
    guard: GuardWish | None = None

    def strategy(self) -> UpdateStrategy:
        """Raises InvalidValue where the steps do not go up."""
        fields = self.model_dump(exclude={"type", "steps", "guard"})
        guard = None
        if self.guard is not None:
            guard = Guard(**self.guard.model_dump(exclude={"alarms"}), alarms=tuple(self.guard.alarms))
        strategy = UpdateStrategy(StrategyType(self.type), tuple(self.steps), guard=guard, **fields)
        check_strategy(strategy)
        return strategy


def check_guard(yard: Yard, endpoint: str, wish: StrategyWish | None, deployed: frozenset[tuple[str, str]]) -> None:
    """Raises NotFound where the guard names an alarm that is neither there nor among what is `deployed` with it, as
    (kind, key): it would guard nothing."""
    named = wish.guard.alarms if wish is not None and wish.guard is not None else []
    missing = [one for one in named if (ALARM, name_key(one)) not in deployed]
    there = {name_key(one.name.name): one.name.name for one in yard.store.resources.select(ALARM)} if missing else {}
    for one in missing:
        if name_key(one) not in there:
            close = nearest(one, there.values())
            raise NotFound(
                f"cannot deploy endpoint {endpoint}: its auto_rollback names alarm {one!r}, which is not there",
                f"did you mean {close}?" if close else "write it as `kind: alarm` in the same file",
            )


class Steer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int | None, Field(ge=1)] = None
    """What the caller takes for the version on its way."""
    by: Annotated[str | None, Field(max_length=BY_LENGTH_MAX)] = None


class Promote(Steer):
    step: bool = False
    """Only to the next step."""


def rollout_view(endpoint: Endpoint, now: float) -> RolloutView | None:
    """None where no version is on its way in steps."""
    old, new = endpoint.fallback, endpoint.wished
    if not endpoint.is_staged or old is None:
        return None
    stages = stages_of(endpoint.strategy)
    progress = new.progress
    step = min(progress.step, len(stages) - 1)
    elapsed = elapsed_seconds(progress, now)
    return RolloutView(
        version=new.number,
        old_version=old.number,
        type=endpoint.strategy.type.value,
        step=step + 1,
        steps=len(stages),
        percent=progress.percent,
        step_percent=stages[step].percent,
        step_seconds=stages[step].seconds,
        elapsed_seconds=round(elapsed, 1),
        seconds_left=_left([one.seconds for one in stages[step:]], elapsed),
        paused=new.steering.paused,
        began_at=None if progress.began_at is None else iso(progress.began_at),
    )


def _left(seconds: list[float | None], elapsed: float) -> float | None:
    known = [one for one in seconds if one is not None]
    return round(max(0.0, sum(known) - elapsed), 1) if len(known) == len(seconds) else None


def shadow_view(endpoint: Endpoint, seen: EndpointStatus | None) -> dict[str, Any] | None:
    """What comparing the wished version's answers came to, where it is or was a shadow."""
    shadow = seen.shadow if seen is not None else None
    return shadow if shadow is not None and shadow.get("version") == endpoint.wished.number else None


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "rollouts")

    def steer(name: str, change: Change, asked: Steer, *, step: bool = False) -> OutcomeView:
        outcome = yard.store.endpoints.steer(name, change, asked.version, step=step)
        if outcome.change is not Change.UP_TO_DATE:
            who = asked_by(asked.by)
            by = f", by {who}" if who else ""
            yard.store.events.add(outcome.kind, outcome.name, f"{outcome.sentence}{by}", yard.clock.now())
            yard.poke()
        return outcome_view(outcome)

    @router.post("/endpoints/{name}/pause")
    def pause(name: str, asked: Steer) -> OutcomeView:
        """Holds the present step of a rollout. Done once for one `version`."""
        return steer(name, Change.PAUSING, asked)

    @router.post("/endpoints/{name}/resume")
    def resume(name: str, asked: Steer) -> OutcomeView:
        """Lets a rollout go on. Done once for one `version`."""
        return steer(name, Change.RESUMING, asked)

    @router.post("/endpoints/{name}/promote")
    def promote(name: str, asked: Promote) -> OutcomeView:
        """Puts the version that is on its way in whole, or with `step` on to its next step, without waiting."""
        return steer(name, Change.PROMOTING, asked, step=asked.step)

    return router
