"""Replicas by version: which of them count, how many may live at once, and which go when others are wanted."""

import math

from modelyard.domain.actions import Drain, Kill
from modelyard.domain.endpoints import Endpoint, EndpointSpec
from modelyard.domain.quantities import share_of
from modelyard.domain.replicas import ReplicaFact, ReplicaState
from modelyard.domain.strategies import Stage

APP_DELETION_SECONDS = 5.0
"""How long the pages of an app that is deleted keep what they have open."""

LOOK_AGAIN_SECONDS = 1.0
"""How soon to look again at what is on its way, even if nothing is heard of it."""


def staying_replicas(replicas: list[ReplicaFact]) -> list[ReplicaFact]:
    """Those that count: alive, not told to go, without a failure."""
    return [one for one in replicas if one.live and one.state is not ReplicaState.DRAINING and one.failure is None]


def serving_version(staying: list[ReplicaFact]) -> int | None:
    """The newest version that has a ready replica."""
    return max((one.version for one in staying if one.state is ReplicaState.READY), default=None)


def fleet_size(spec: EndpointSpec, stage: Stage) -> int:
    """How many replicas of the new version a stage wants."""
    return math.ceil(spec.replicas * stage.fleet_percent / 100 - 1e-9)


def live_max(spec: EndpointSpec) -> int:
    """Most replicas that may live at once. With neither surge nor unavailability nothing could ever move, so one more
    than wished is always allowed then."""
    surge = share_of(spec.max_surge, spec.replicas, up=True)
    unavailable = share_of(spec.max_unavailable, spec.replicas, up=False)
    return spec.replicas + (surge if surge or unavailable else 1)


def drain_limit(endpoint: Endpoint, version: int) -> float:
    """Seconds that a replica of this version may take to finish. An app that is deleted has no successor that its
    visitors could move to: what they have open, they have open until it is closed for them."""
    spec = (endpoint.version(version) or endpoint.wished).spec
    if endpoint.deleting and spec.app is not None:
        return min(spec.drain_seconds, APP_DELETION_SECONDS)
    return spec.drain_seconds


def due_kills(endpoint: Endpoint, replicas: list[ReplicaFact], now: float) -> tuple[list[Kill], float | None]:
    """Replicas that failed, and those that drain beyond their limit; and when the next of these will pass it."""
    kills: list[Kill] = []
    deadlines: list[float] = []
    for one in replicas:
        if not one.live:
            continue
        if one.state is ReplicaState.DRAINING:
            began_at = now if one.drain_began_at is None else one.drain_began_at
            deadline = began_at + drain_limit(endpoint, one.version)
            if now < deadline:
                deadlines.append(deadline)
                continue
        elif one.failure is None:
            continue
        kills.append(Kill(one.id))
    return kills, now + LOOK_AGAIN_SECONDS if kills else min(deadlines, default=None)


def removals_towards(
    spec: EndpointSpec, of_target: list[ReplicaFact], others: list[ReplicaFact], unavailable: int | None = None
) -> list[Kill | Drain]:
    """Replicas that may go now: those of other versions, and those above the wished number. What is still starting
    holds no request and goes at once; what is ready goes only where enough others are."""
    if unavailable is None:
        unavailable = share_of(spec.max_unavailable, spec.replicas, up=False)
    surplus_count = max(0, len(of_target) - spec.replicas)
    surplus = sorted(of_target, key=lambda one: one.state is ReplicaState.READY)[:surplus_count]
    ready = sum(one.state is ReplicaState.READY for one in (*of_target, *others))
    spare = max(0, ready - (spec.replicas - unavailable))
    leaving = [*others, *surplus]
    kills = [Kill(one.id) for one in leaving if one.state is ReplicaState.STARTING]
    drains = [Drain(one.id) for one in leaving if one.state is ReplicaState.READY]
    return [*kills, *drains[:spare]]


def swap_removals(
    spec: EndpointSpec,
    replicas: list[ReplicaFact],
    of_target: list[ReplicaFact],
    others: list[ReplicaFact],
    room: int,
) -> list[Kill | Drain]:
    """As `_removals`, with one replica at least gone before the next comes; and where what it left is not room enough,
    another."""
    unavailable = max(1, share_of(spec.max_unavailable, spec.replicas, up=False))
    removals = removals_towards(spec, of_target, others, unavailable)
    moving = any(one.live and one.state is not ReplicaState.READY for one in replicas)
    if not removals and others and not moving and room < 1 and len(of_target) < spec.replicas:
        return [Drain(others[0].id)]
    return removals


def surplus_of_fleets(sizes: dict[int, int], staying: list[ReplicaFact], *, keeps_others: bool) -> list[Kill | Drain]:
    """Replicas beyond their fleet's size, and those of versions that have none."""
    removals: list[Kill | Drain] = []
    for number in sorted({one.version for one in staying}):
        fleet = sorted(
            (one for one in staying if one.version == number), key=lambda one: one.state is ReplicaState.READY
        )
        if number not in sizes and keeps_others:
            continue
        removals += [
            Drain(one.id) if one.state is ReplicaState.READY else Kill(one.id)
            for one in fleet[: max(0, len(fleet) - sizes.get(number, 0))]
        ]
    return removals
