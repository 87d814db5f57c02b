"""How an endpoint gets from the replicas it has to the replicas it should have.

One pure function, called at every pass: it looks at the wish, at every replica that the engine knows (those that ended
included, as far as they are remembered), and at the time, and returns what to do. It holds nothing between calls, so a
controller that was killed goes on where it was.

The rules, after Kubernetes' rolling update:

* at most `replicas + max_surge` replicas live at once, draining ones not counted;
* at least `replicas - max_unavailable` are ready, as long as there were so many; so an old replica is drained only
  when enough new ones are ready;
* a version that has never been ready and fails `START_ATTEMPTS` times is failed: its replicas go, and the newest
  version that was ready before serves on (or is started again, after a reboot);
* a replica that dies after having been ready is replaced, with a wait that doubles with each failure in a row;
* a forked replica that hangs at its probe makes every later start of that version a fresh process.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from modelyard.domain.endpoints import Endpoint, EndpointState, EndpointVersion, VersionState
from modelyard.domain.quantities import share_of
from modelyard.domain.replicas import STEADY_SECONDS, FailureKind, ReplicaFact, ReplicaState, restart_seconds

START_ATTEMPTS = 3
"""Failed starts in a row after which a version that was never ready is given up."""

STUCK_GRACE_SECONDS = 10.0
"""How long a call may run past its limit before its replica is killed."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start one replica of this version."""

    version: int
    fresh: bool
    """In a process of its own, not forked from a template."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell this replica to finish what it holds and go."""

    replica: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End this replica at once."""

    replica: str


@dataclass(frozen=True, slots=True)
class MarkReady:
    """Write down that all replicas of this version have been ready."""

    version: int


@dataclass(frozen=True, slots=True)
class MarkFailed:
    """Write down that this version cannot start."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget the endpoint: it is deleted and nothing of it lives."""


Action = Start | Drain | Kill | MarkReady | MarkFailed | Remove


@dataclass(frozen=True, slots=True)
class Decision:
    actions: tuple[Action, ...]
    state: EndpointState
    sentence: str
    """What is going on and why, for the log, the events and `modelyard get`."""
    serving_version: int | None
    wake_at: float | None = None
    """When to look again even if nothing happens; wall clock."""


def decide_rollout(endpoint: Endpoint, facts: Iterable[ReplicaFact], now: float, room: int) -> Decision:
    """What to do for `endpoint`. `room` is how many more replicas of the wished size fit on the machine now."""
    replicas = sorted(facts, key=lambda one: (one.started_at, one.id))
    live = [one for one in replicas if one.live]
    overdue = _overdue_drains(endpoint, live, now)
    if endpoint.deleting:
        return _decide_deletion(live, overdue, now)
    target, failed = _choose_target(endpoint, replicas, now)
    if target is None:
        return _decide_nothing_serves(endpoint, live, failed, overdue)
    return _decide_towards(endpoint, target, failed, replicas, overdue, now, room)


def _decide_deletion(live: list[ReplicaFact], overdue: list[Kill], now: float) -> Decision:
    if not live:
        return Decision((Remove(),), EndpointState.DELETING, "deleted", None)
    drains = tuple(Drain(one.id) for one in live if one.state is not ReplicaState.DRAINING)
    sentence = f"deleting: {_count(len(live), 'replica')} finishing"
    return Decision((*drains, *overdue), EndpointState.DELETING, sentence, None, now + 1.0)


def _choose_target(
    endpoint: Endpoint, replicas: list[ReplicaFact], now: float
) -> tuple[EndpointVersion | None, MarkFailed | None]:
    wished = endpoint.wished
    if wished.state is VersionState.FAILED:
        return endpoint.fallback, None
    if wished.state is VersionState.READY:
        return wished, None
    failures = _failures_in_a_row(replicas, wished.number, now)
    if len(failures) < START_ATTEMPTS:
        return wished, None
    return endpoint.fallback, MarkFailed(wished.number, failures[-1].reason or "no reason was recorded")


def _decide_nothing_serves(
    endpoint: Endpoint, live: list[ReplicaFact], failed: MarkFailed | None, overdue: list[Kill]
) -> Decision:
    kills: list[Action] = [Kill(one.id) for one in live if one.state is ReplicaState.STARTING]
    drains: list[Action] = [Drain(one.id) for one in live if one.state is ReplicaState.READY]
    reason = failed.reason if failed else endpoint.wished.reason
    actions = (*([failed] if failed else []), *kills, *drains, *overdue)
    sentence = f"version {endpoint.wished.number} cannot start, and there is no earlier one: {reason}"
    return Decision(actions, EndpointState.ERROR, sentence, None)


def _decide_towards(
    endpoint: Endpoint,
    target: EndpointVersion,
    failed: MarkFailed | None,
    replicas: list[ReplicaFact],
    overdue: list[Kill],
    now: float,
    room: int,
) -> Decision:
    spec = target.spec
    live = [one for one in replicas if one.live and one.state is not ReplicaState.DRAINING]
    of_target = [one for one in live if one.version == target.number]
    ready = [one for one in live if one.state is ReplicaState.READY]
    ready_of_target = [one for one in of_target if one.state is ReplicaState.READY]
    others = [one for one in live if one.version != target.number]

    actions: list[Action] = [failed] if failed else []
    actions += overdue
    removals = _removals(
        spec.replicas, share_of(spec.max_unavailable, spec.replicas, up=False), of_target, others, ready
    )
    actions += removals

    failures = _failures_in_a_row(replicas, target.number, now)
    wait_until = (failures[-1].ended_at or now) + restart_seconds(len(failures)) if failures else 0.0
    missing = spec.replicas - len(of_target)
    surge = share_of(spec.max_surge, spec.replicas, up=True)
    unavailable = share_of(spec.max_unavailable, spec.replicas, up=False)
    # With neither surge nor unavailability nothing could ever move, so one replica more is always allowed.
    most = spec.replicas + (surge if surge or unavailable else 1)
    allowed = most - (len(live) - len(removals))
    starts = max(0, min(missing, allowed))
    short_of_room = starts > room
    if now < wait_until:
        starts = 0
    starts = min(starts, max(0, room))
    fresh = any(one.version == target.number and one.failure is FailureKind.HUNG_AFTER_FORK for one in replicas)
    actions += [Start(target.number, fresh) for _ in range(starts)]

    complete = len(ready_of_target) >= spec.replicas and not others
    if complete and target.state is VersionState.NEW:
        actions.append(MarkReady(target.number))

    serving = target.number if ready_of_target else max((one.version for one in ready), default=None)
    fell_back = target.number != endpoint.wished.number
    reason = failed.reason if failed else endpoint.wished.reason
    state = EndpointState.LIVE if complete else EndpointState.UPDATING
    sentence = _progress(target, len(ready_of_target), others, failures, wait_until if now < wait_until else None, now)
    if short_of_room and not fell_back:
        state = EndpointState.COMPUTE_UNAVAILABLE
        sentence = (
            f"{len(ready_of_target)} of {spec.replicas} replicas ready: another needs {spec.cpu_millis}m CPU"
            + (f" and {spec.memory_bytes // 2**20} MiB" if spec.memory_bytes else "")
            + ", which this machine does not have free"
        )
    elif fell_back:
        state = EndpointState.ERROR
        sentence = f"version {endpoint.wished.number} cannot start, version {target.number} serves: {reason}"
    elif failures and not ready:
        state = EndpointState.ERROR if target.state is VersionState.READY else EndpointState.UPDATING
    wake_at = wait_until if now < wait_until else (now + 1.0 if overdue or not complete else None)
    return Decision(tuple(actions), state, sentence, serving, wake_at)


def _removals(
    wanted: int, unavailable: int, of_target: list[ReplicaFact], others: list[ReplicaFact], ready: list[ReplicaFact]
) -> list[Action]:
    """Replicas that may go now: those of other versions, and those above the wished number."""
    removals: list[Action] = [Kill(one.id) for one in others if one.state is ReplicaState.STARTING]
    spare = len(ready) - (wanted - unavailable)
    surplus = sorted(of_target, key=lambda one: one.state is ReplicaState.READY)[: max(0, len(of_target) - wanted)]
    removals += [Drain(one.id) for one in surplus if one.state is not ReplicaState.READY]
    leaving = [one for one in others if one.state is ReplicaState.READY]
    leaving += [one for one in surplus if one.state is ReplicaState.READY]
    removals += [Drain(one.id) for one in leaving[: max(0, spare)]]
    return removals


def _overdue_drains(endpoint: Endpoint, live: list[ReplicaFact], now: float) -> list[Kill]:
    kills: list[Kill] = []
    for one in live:
        version = endpoint.version(one.version) or endpoint.wished
        if one.drain_began_at is not None and now >= one.drain_began_at + version.spec.drain_seconds:
            kills.append(Kill(one.id))
    return kills


def _failures_in_a_row(replicas: list[ReplicaFact], version: int, now: float) -> list[ReplicaFact]:
    """Failures of a version since one of its replicas last stood steady, oldest first."""
    of_version = [one for one in replicas if one.version == version]
    steady_since = max(
        (
            (one.ended_at or now)
            for one in of_version
            if one.ready_at is not None and (one.ended_at or now) - one.ready_at >= STEADY_SECONDS
        ),
        default=0.0,
    )
    failed = [one for one in of_version if one.failure is not None and (one.ended_at or now) >= steady_since]
    return sorted(failed, key=lambda one: one.ended_at or now)


def _progress(
    target: EndpointVersion,
    ready: int,
    others: list[ReplicaFact],
    failures: list[ReplicaFact],
    wait_until: float | None,
    now: float,
) -> str:
    wanted = target.spec.replicas
    parts = [f"version {target.number}: {ready} of {_count(wanted, 'replica')} ready"]
    if others:
        parts.append(f"{_count(len(others), 'replica')} of earlier versions still serving")
    if ready < wanted and failures:
        parts.append(f"last failure: {failures[-1].reason or 'no reason was recorded'}")
    if wait_until is not None:
        parts.append(f"next start in {max(0.0, wait_until - now):.1f} s")
    return "; ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
