"""A small world for rollouts: replicas that start, become ready, hang, die and drain, driven by the decisions.

Time stands until `step` moves it. What a start comes to is decided by `outcomes`, which a test hands in.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from modelyard.domain.actions import (
    Decision,
    Drain,
    Kill,
    MarkFailed,
    MarkReady,
    MarkRolledBack,
    Proceed,
    Remove,
    Start,
)
from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointVersion, VersionState
from modelyard.domain.quantities import share_of
from modelyard.domain.replicas import FailureKind, ReplicaFact, ReplicaState
from modelyard.domain.rollouts import decide_rollout
from modelyard.domain.strategies import StrategyType
from modelyard.domain.verdicts import Evidence

READY = ReplicaState.READY
START_SECONDS = 2.0
DRAIN_SECONDS = 3.0

Outcome = Callable[[int, bool], FailureKind | None]
"""What a start of (version, fresh) comes to: ready (None) or a failure."""


def always_ready(_version: int, _fresh: bool) -> FailureKind | None:
    return None


def version(number: int, state: VersionState = VersionState.NEW, **spec: object) -> EndpointVersion:
    return EndpointVersion(number, replace(EndpointSpec(f"package-{number}"), **spec), 0.0, state)


def endpoint(*versions: EndpointVersion) -> Endpoint:
    return Endpoint("price", "shop", versions)


def extra(spec: EndpointSpec) -> int:
    """How many replicas more than wished may live at once."""
    surge = share_of(spec.max_surge, spec.replicas, up=True)
    return surge if surge or share_of(spec.max_unavailable, spec.replicas, up=False) else 1


@dataclass
class World:
    endpoint: Endpoint
    outcomes: Outcome = always_ready
    room: int = 100
    now: float = 1000.0
    facts: dict[str, ReplicaFact] = field(default_factory=dict)
    removed: bool = False
    decision: Decision | None = None
    evidence: Evidence = field(default_factory=Evidence)
    _ids: itertools.count = field(default_factory=itertools.count)
    _fates: dict[str, FailureKind | None] = field(default_factory=dict)

    def add(self, number: int, count: int, state: ReplicaState = READY, **known: object) -> list[str]:
        """Replicas that are there already."""
        made = []
        for _ in range(count):
            name = f"r{next(self._ids):04d}"
            ready_at = self.now if state is READY else None
            self.facts[name] = replace(ReplicaFact(name, number, state, self.now, ready_at), **known)
            self._fates[name] = None
            made.append(name)
        return made

    def step(self, seconds: float = 1.0) -> Decision:
        """Lets time pass, and a decision be made and carried out."""
        self.now += seconds
        for name, fact in self.facts.items():
            self.facts[name] = self._grown(fact)
        return self.decide()

    def decide(self) -> Decision:
        ready_before, staying_before = len(self.ready), len(self.staying)
        decision = decide_rollout(self.endpoint, self.facts.values(), self.now, self.room, self.evidence)
        for action in decision.actions:
            self._carry_out(action)
        self.decision = decision
        self._check_laws(decision, ready_before, staying_before)
        return decision

    def run(self, steps: int, seconds: float = 1.0) -> Decision:
        for _ in range(steps - 1):
            self.step(seconds)
        return self.step(seconds)

    def die(self, name: str, failure: FailureKind = FailureKind.DIED) -> None:
        self._end(name, failure)

    def reboot(self) -> None:
        """Every process is gone, and with it what was known of it."""
        self.facts.clear()

    def deploy(self, **spec: Any) -> None:
        wished = self.endpoint.wished
        following = version(wished.number + 1, **spec)
        self.endpoint = replace(self.endpoint, versions=(*self.endpoint.versions, following))

    @property
    def staying(self) -> list[ReplicaFact]:
        return [
            one
            for one in self.facts.values()
            if one.live and one.state is not ReplicaState.DRAINING and one.failure is None
        ]

    @property
    def ready(self) -> list[ReplicaFact]:
        return [one for one in self.staying if one.state is READY]

    @property
    def live(self) -> list[ReplicaFact]:
        return [one for one in self.facts.values() if one.live]

    def _grown(self, fact: ReplicaFact) -> ReplicaFact:
        if fact.state is ReplicaState.STARTING and fact.failure is None:
            if self.now < fact.started_at + START_SECONDS:
                return fact
            fate = self._fates[fact.id]
            if fate is None:
                return replace(fact, state=READY, ready_at=self.now)
            if fate in (FailureKind.HUNG_AFTER_FORK, FailureKind.PROBE):
                return replace(fact, failure=fate, reason="no answer to the probe")
            return replace(fact, state=ReplicaState.ENDED, ended_at=self.now, failure=fate, reason="it raised")
        drained = fact.drain_began_at is not None and self.now >= fact.drain_began_at + DRAIN_SECONDS
        if fact.state is ReplicaState.DRAINING and drained:
            return replace(fact, state=ReplicaState.ENDED, ended_at=self.now)
        return fact

    def _carry_out(self, action: object) -> None:
        match action:
            case Start(number, fresh):
                (name,) = self.add(number, 1, ReplicaState.STARTING, forked=not fresh)
                self._fates[name] = self.outcomes(number, fresh)
            case Drain(name):
                self.facts[name] = replace(self.facts[name], state=ReplicaState.DRAINING, drain_began_at=self.now)
            case Kill(name):
                self._end(name, self.facts[name].failure)
            case MarkReady(number):
                self._mark(number, VersionState.READY, None)
            case MarkFailed(number, reason, out_of_memory):
                self._mark(number, VersionState.FAILED, reason, out_of_memory=out_of_memory)
            case MarkRolledBack(number, reason):
                self._mark(number, VersionState.ROLLED_BACK, reason)
            case Proceed(number, progress):
                self._put(number, progress=progress)
            case Remove():
                assert not self.live, "an endpoint was forgotten while something of it lived"
                self.removed = True
            case _:
                raise AssertionError(action)

    def _end(self, name: str, failure: FailureKind | None) -> None:
        self.facts[name] = replace(
            self.facts[name], state=ReplicaState.ENDED, ended_at=self.now, failure=failure, reason="it was killed"
        )

    def _mark(self, number: int, state: VersionState, reason: str | None, *, out_of_memory: bool = False) -> None:
        self._put(number, state=state, reason=reason, out_of_memory=out_of_memory)

    def _put(self, number: int, **values: Any) -> None:
        put = [replace(one, **values) if one.number == number else one for one in self.endpoint.versions]
        self.endpoint = replace(self.endpoint, versions=tuple(put))

    def _check_laws(self, decision: Decision, ready_before: int, staying_before: int) -> None:
        if self.endpoint.deleting:
            assert not any(isinstance(action, Start) for action in decision.actions)
            return
        if self.endpoint.is_staged or self.endpoint.strategy.type is StrategyType.SWAP:
            # These have laws of their own.
            return
        wished = self.endpoint.wished
        target = self.endpoint.fallback if wished.given_up else wished
        if target is None:
            assert len(self.ready) == ready_before, "a replica that served was sent away with nothing to replace it"
            assert len(self.staying) <= staying_before
            return
        spec = target.spec
        assert len(self.staying) <= max(staying_before, spec.replicas + extra(spec)), "too many live at once"
        floor = spec.replicas - share_of(spec.max_unavailable, spec.replicas, up=False)
        assert len(self.ready) >= min(ready_before, floor), "too few were left ready"
