"""How an endpoint gets from the replicas it has to the replicas it should have.

One pure function, called at every pass: it looks at the wish, at every replica that the engine knows (those that ended
included, as far as they are remembered), and at the time, and returns what to do. It holds nothing between calls, so a
controller that was killed goes on where it was.

The rules, after Kubernetes' rolling update:

* at most `replicas + max_surge` replicas live at once, those that leave (draining, or failed and about to be killed)
  not counted;
* at least `replicas - max_unavailable` are ready, as long as there were so many; so an old replica is drained only
  when enough new ones are ready;
* a version that has never been ready and fails `START_ATTEMPTS` times is failed: its replicas go, and the newest
  version that was ready before serves on (or is started again, after a reboot). Where there is none, whatever is ready
  serves on: half an answer is better than none;
* a replica that dies after having been ready is replaced, with a wait that doubles with each round of failures;
* a forked replica that hangs at its probe makes every later start of that version a fresh process. That is no failed
  start of the version: it is the fork that failed;
* a live replica with a failure is of no use any more and is killed.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointState, EndpointVersion, VersionState
from modelyard.domain.quantities import share_of
from modelyard.domain.replicas import STEADY_SECONDS, FailureKind, ReplicaFact, ReplicaState, restart_seconds

START_ATTEMPTS = 3
"""Failed starts in a row after which a version that was never ready is given up."""

CRASH_LOOP_FAILURES = 3
"""Replicas that were ready and ended, in a row, from which on it is called a crash loop."""

ENDED_KEPT = 10
"""Ended replicas of an endpoint that are remembered in any case, with their output, for people."""

BACK_OFF_ROUNDS = 8
"""Rounds of failures after which the wait before the next start does not grow any more (see `restart_seconds`)."""

LOOK_AGAIN_SECONDS = 1.0
"""How soon to look again at what is on its way, even if nothing is heard of it."""

UNKNOWN_REASON = "no reason was recorded"

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
    out_of_memory: bool = False


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
    if endpoint.deleting:
        return _decide_deletion(endpoint, replicas, now)
    target, failed = _choose_target(endpoint, replicas, now)
    if target is None:
        return _decide_without_target(endpoint, failed, replicas, now)
    return _decide_towards(endpoint, target, failed, replicas, now, room)


def _decide_deletion(endpoint: Endpoint, replicas: list[ReplicaFact], now: float) -> Decision:
    live = [one for one in replicas if one.live]
    if not live:
        return Decision((Remove(),), EndpointState.DELETING, "deleted", None)
    kills, kill_at = _kills(endpoint, replicas, now)
    drains = [Drain(one.id) for one in _staying(replicas)]
    sentence = f"deleting: {_count(len(live), 'replica')} finishing"
    wake_at = _earliest(now + LOOK_AGAIN_SECONDS, kill_at)
    return Decision((*drains, *kills), EndpointState.DELETING, sentence, None, wake_at)


def _choose_target(
    endpoint: Endpoint, replicas: list[ReplicaFact], now: float
) -> tuple[EndpointVersion | None, MarkFailed | None]:
    """The version to go for, None where there is none; and whether the wished one is to be given up now."""
    wished = endpoint.wished
    if wished.state is VersionState.FAILED:
        return endpoint.fallback, None
    if wished.state is VersionState.READY:
        return wished, None
    failures = _failures_in_a_row(replicas, wished.number, now)
    if len(failures) < START_ATTEMPTS:
        return wished, None
    last = failures[-1]
    out_of_memory = last.failure is FailureKind.OUT_OF_MEMORY
    return endpoint.fallback, MarkFailed(wished.number, last.said or UNKNOWN_REASON, out_of_memory)


def _decide_without_target(
    endpoint: Endpoint, failed: MarkFailed | None, replicas: list[ReplicaFact], now: float
) -> Decision:
    kills, kill_at = _kills(endpoint, replicas, now)
    staying = _staying(replicas)
    kills += [Kill(one.id) for one in staying if one.state is ReplicaState.STARTING]
    serving = _serving(staying)
    wished = endpoint.wished.number
    reason = (failed.reason if failed else endpoint.wished.reason) or UNKNOWN_REASON
    if serving is None:
        sentence = f"version {wished} cannot start, and there is no earlier one: {reason}"
    else:
        count = _count(sum(one.version == serving for one in staying), "replica")
        sentence = f"version {wished} cannot start all its replicas, {count} of version {serving} ready: {reason}"
    return Decision((*_given(failed), *kills), _error(endpoint, failed), sentence, serving, kill_at)


def _decide_towards(
    endpoint: Endpoint,
    target: EndpointVersion,
    failed: MarkFailed | None,
    replicas: list[ReplicaFact],
    now: float,
    room: int,
) -> Decision:
    spec = target.spec
    staying = _staying(replicas)
    of_target = [one for one in staying if one.version == target.number]
    others = [one for one in staying if one.version != target.number]
    ready = sum(one.state is ReplicaState.READY for one in of_target)
    complete = ready >= spec.replicas and not others

    kills, kill_at = _kills(endpoint, replicas, now)
    removals = _removals(spec, of_target, others)
    wanted = max(0, min(spec.replicas - len(of_target), _live_max(spec) - (len(staying) - len(removals))))
    failures = _failures_in_a_row(replicas, target.number, now)
    start_at = _next_start(failures, now)
    starts = min(wanted, max(0, room)) if start_at <= now else 0

    actions: list[Action] = [*_given(failed), *kills, *removals]
    actions += [Start(target.number, _needs_fresh(replicas, target.number))] * starts
    # A version that was never asked for anything has shown nothing yet.
    if complete and target.state is VersionState.NEW and (spec.replicas or spec.autoscaling is None):
        actions.append(MarkReady(target.number))

    waiting = wanted > 0 and start_at > now
    state = _state(target, ready, others, failures)
    sentence = _progress(target, ready, others, failures, start_at - now if waiting else None)
    if target is not endpoint.wished:
        state, sentence = _error(endpoint, failed), _fell_back(endpoint, target, failed, complete, sentence)
    elif wanted > max(0, room):
        state, sentence = EndpointState.COMPUTE_UNAVAILABLE, _no_room(spec, ready)
    wake_at = _earliest(None if complete else now + LOOK_AGAIN_SECONDS, kill_at, start_at if waiting else None)
    serving = target.number if ready or not spec.replicas else _serving(staying)
    return Decision(tuple(actions), state, sentence, serving, wake_at)


def _staying(replicas: list[ReplicaFact]) -> list[ReplicaFact]:
    """Those that count: alive, not told to go, without a failure."""
    return [one for one in replicas if one.live and one.state is not ReplicaState.DRAINING and one.failure is None]


def _serving(staying: list[ReplicaFact]) -> int | None:
    """The newest version that has a ready replica."""
    return max((one.version for one in staying if one.state is ReplicaState.READY), default=None)


def _kills(endpoint: Endpoint, replicas: list[ReplicaFact], now: float) -> tuple[list[Kill], float | None]:
    """Replicas that failed, and those that drain beyond their limit; and when the next of these will pass it."""
    kills: list[Kill] = []
    deadlines: list[float] = []
    for one in replicas:
        if not one.live:
            continue
        if one.state is ReplicaState.DRAINING:
            spec = (endpoint.version(one.version) or endpoint.wished).spec
            deadline = (now if one.drain_began_at is None else one.drain_began_at) + spec.drain_seconds
            if now < deadline:
                deadlines.append(deadline)
                continue
        elif one.failure is None:
            continue
        kills.append(Kill(one.id))
    return kills, now + LOOK_AGAIN_SECONDS if kills else min(deadlines, default=None)


def _removals(spec: EndpointSpec, of_target: list[ReplicaFact], others: list[ReplicaFact]) -> list[Kill | Drain]:
    """Replicas that may go now: those of other versions, and those above the wished number. What is still starting
    holds no request and goes at once; what is ready goes only where enough others are."""
    surplus_count = max(0, len(of_target) - spec.replicas)
    surplus = sorted(of_target, key=lambda one: one.state is ReplicaState.READY)[:surplus_count]
    ready = sum(one.state is ReplicaState.READY for one in (*of_target, *others))
    spare = max(0, ready - (spec.replicas - share_of(spec.max_unavailable, spec.replicas, up=False)))
    leaving = [*others, *surplus]
    kills = [Kill(one.id) for one in leaving if one.state is ReplicaState.STARTING]
    drains = [Drain(one.id) for one in leaving if one.state is ReplicaState.READY]
    return [*kills, *drains[:spare]]


def _live_max(spec: EndpointSpec) -> int:
    """Most replicas that may live at once. With neither surge nor unavailability nothing could ever move, so one more
    than wished is always allowed then."""
    surge = share_of(spec.max_surge, spec.replicas, up=True)
    unavailable = share_of(spec.max_unavailable, spec.replicas, up=False)
    return spec.replicas + (surge if surge or unavailable else 1)


def _needs_fresh(replicas: list[ReplicaFact], version: int) -> bool:
    return any(one.version == version and one.failure is FailureKind.HUNG_AFTER_FORK for one in replicas)


def forgettable(endpoint: Endpoint, facts: Iterable[ReplicaFact], now: float) -> list[str]:
    """Ids of the ended replicas that no decision will ask for any more: beyond the newest `ENDED_KEPT`, those that are
    not among what `decide_rollout` looks at. That is, of each version that there is,

    * the failures that nothing has made up for, as many as the wait before the next start can grow by;
    * the newest that hung after its fork, for as long as the version exists.
    """
    replicas = list(facts)
    ended = sorted((one for one in replicas if not one.live), key=lambda one: _ended_at(one, now), reverse=True)
    kept = {one.id for one in ended[:ENDED_KEPT]}
    for version in endpoint.versions:
        failures_max = BACK_OFF_ROUNDS * max(1, version.spec.replicas)
        kept |= {one.id for one in _failures_in_a_row(replicas, version.number, now)[-failures_max:]}
        hung = (one for one in ended if one.version == version.number and one.failure is FailureKind.HUNG_AFTER_FORK)
        kept |= {one.id for one in itertools.islice(hung, 1)}
    return [one.id for one in ended if one.id not in kept]


def _failures_in_a_row(replicas: list[ReplicaFact], version: int, now: float) -> list[ReplicaFact]:
    """Failures of a version that no steady replica has made up for, oldest first.

    Only a replica that came after a failure can make up for it: one that has stood since before says nothing about
    whether another can start.
    """
    of_version = [one for one in replicas if one.version == version]
    made_up_for = max(
        (
            one.ready_at
            for one in of_version
            if one.ready_at is not None and _ended_at(one, now) - one.ready_at >= STEADY_SECONDS
        ),
        default=0.0,
    )
    failed = [
        one
        for one in of_version
        if one.failure not in (None, FailureKind.HUNG_AFTER_FORK) and _ended_at(one, now) > made_up_for
    ]
    return sorted(failed, key=lambda one: _ended_at(one, now))


def _next_start(failures: list[ReplicaFact], now: float) -> float:
    """From when on a version may be started again.

    The wait grows with rounds, not with failures: eight replicas that died together died once, and it is soon worth
    trying again.
    """
    rounds, round_ended_at = 0, 0.0
    for one in failures:
        if rounds == 0 or one.started_at >= round_ended_at:
            rounds, round_ended_at = rounds + 1, _ended_at(one, now)
    if not failures or _ended_at(failures[-1], now) > now:
        # An end in the future: the clock was set back, and nobody knows for how long it has been waited.
        return now
    return _ended_at(failures[-1], now) + restart_seconds(rounds)


def _ended_at(replica: ReplicaFact, now: float) -> float:
    return now if replica.ended_at is None else replica.ended_at


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _given(failed: MarkFailed | None) -> tuple[MarkFailed, ...]:
    return () if failed is None else (failed,)


def _state(
    target: EndpointVersion, ready: int, others: list[ReplicaFact], failures: list[ReplicaFact]
) -> EndpointState:
    if ready >= target.spec.replicas and not others:
        return EndpointState.LIVE
    if target.spec.autoscaling and target.state is VersionState.READY and ready and not others and not failures:
        # More replicas on their way to a version that serves are no update.
        return EndpointState.LIVE
    nothing_serves = not ready and _serving(others) is None
    if nothing_serves and failures and target.state is VersionState.READY:
        out_of_memory = failures[-1].failure is FailureKind.OUT_OF_MEMORY
        return EndpointState.OUT_OF_MEMORY if out_of_memory else EndpointState.ERROR
    return EndpointState.UPDATING


def _error(endpoint: Endpoint, failed: MarkFailed | None) -> EndpointState:
    """The state of an endpoint whose wished version is given up, now or before."""
    out_of_memory = failed.out_of_memory if failed else endpoint.wished.out_of_memory
    return EndpointState.OUT_OF_MEMORY if out_of_memory else EndpointState.ERROR


def _progress(
    target: EndpointVersion,
    ready: int,
    others: list[ReplicaFact],
    failures: list[ReplicaFact],
    wait_seconds: float | None,
) -> str:
    wanted = target.spec.replicas
    parts = [f"version {target.number}: {ready} of {_count(wanted, 'replica')} ready"]
    if target.spec.autoscaling and not wanted:
        parts = [f"version {target.number}: at zero, the next request starts a replica"]
    if others:
        parts.append(f"{_count(len(others), 'replica')} of other versions still there")
    loops = len(failures) >= CRASH_LOOP_FAILURES and failures[-1].failure is FailureKind.DIED
    if ready < wanted and loops:
        parts.append(f"crash loop: {len(failures)} replicas ended one after the other")
    if wait_seconds is not None:
        parts.append(f"next start in {wait_seconds:.1f} s")
    # Last, because the lines of a log may follow it.
    if ready < wanted and failures:
        parts.append(f"last failure: {failures[-1].said or UNKNOWN_REASON}")
    return "; ".join(parts)


def _fell_back(
    endpoint: Endpoint, target: EndpointVersion, failed: MarkFailed | None, complete: bool, progress: str
) -> str:
    reason = (failed.reason if failed else endpoint.wished.reason) or UNKNOWN_REASON
    instead = f", version {target.number} serves" if complete else f"; {progress}"
    return f"version {endpoint.wished.number} cannot start{instead}: {reason}"


def _no_room(spec: EndpointSpec, ready: int) -> str:
    parts = [f"{spec.cpu_millis}m CPU"] if spec.cpu_millis else []
    parts += [f"{spec.memory_bytes // 2**20} MiB"] if spec.memory_bytes else []
    needs = " and ".join(parts) or "a place"
    progress = f"{ready} of {_count(spec.replicas, 'replica')} ready"
    return f"{progress}: another needs {needs}, which this machine does not have free"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
