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

A staged rollout (canary, linear, blue_green, shadow) keeps two fleets instead: the old version's in full, and of the
new one's as many as its stage wants. Which share of the requests goes where is part of the decision (`Traffic`); when
the next stage begins is decided in `traffic`, whether the new version may go on in `verdicts`. A version that may not
is rolled back: all requests go to the old one in the same moment, and the new one's replicas go.

`swap` lets an old replica end before a new one starts; where that leaves none, requests are held.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointState, EndpointVersion, VersionState
from modelyard.domain.quantities import share_of
from modelyard.domain.replicas import STEADY_SECONDS, FailureKind, ReplicaFact, ReplicaState, restart_seconds
from modelyard.domain.strategies import Stage, StrategyType
from modelyard.domain.traffic import Course, Progress, course_sentence, decide_course
from modelyard.domain.verdicts import Evidence, judge

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
class MarkRolledBack:
    """Write down that this version is called back."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Proceed:
    """Write down how far the rollout of this version has come, before it goes there."""

    version: int
    progress: Progress
    sentence: str | None
    """What begins with it; None where nothing does."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget the endpoint: it is deleted and nothing of it lives."""


Action = Start | Drain | Kill | MarkReady | MarkFailed | MarkRolledBack | Proceed | Remove


@dataclass(frozen=True, slots=True)
class Traffic:
    """What another version gets of the requests beside the one that serves; nothing keeps it at hand."""

    version: int
    percent: float
    """Of the requests, answered by it; below 100."""
    mirrors: bool = False
    """Whether it gets copies of those that the old one answers."""


@dataclass(frozen=True, slots=True)
class Decision:
    actions: tuple[Action, ...]
    state: EndpointState
    sentence: str
    """What is going on and why, for the log, the events and `modelyard get`."""
    serving_version: int | None
    wake_at: float | None = None
    """When to look again even if nothing happens; wall clock."""
    serves: frozenset[int] | None = None
    """Versions whose ready replicas answer; None is all of them."""
    traffic: Traffic | None = None
    """What goes to another version than those."""
    holds: bool = False
    """Whether requests wait where no replica is ready: one will be."""


_NO_EVIDENCE = Evidence()

GivenUp = MarkFailed | MarkRolledBack


def decide_rollout(
    endpoint: Endpoint, facts: Iterable[ReplicaFact], now: float, room: int, evidence: Evidence = _NO_EVIDENCE
) -> Decision:
    """What to do for `endpoint`. `room` is how many more replicas of the wished size fit on the machine now."""
    replicas = sorted(facts, key=lambda one: (one.started_at, one.id))
    if endpoint.deleting:
        return _decide_deletion(endpoint, replicas, now)
    target, given_up = _choose_target(endpoint, replicas, now, evidence)
    if target is None:
        return _decide_without_target(endpoint, given_up, replicas, now)
    old = endpoint.fallback
    if endpoint.is_staged and given_up is None and old is not None:
        return _decide_staged(endpoint, old, replicas, now, room)
    return _decide_towards(endpoint, target, given_up, replicas, now, room)


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
    endpoint: Endpoint, replicas: list[ReplicaFact], now: float, evidence: Evidence
) -> tuple[EndpointVersion | None, GivenUp | None]:
    """The version to go for, None where there is none; and whether the wished one is to be given up now."""
    wished = endpoint.wished
    if wished.given_up:
        return endpoint.fallback, None
    if wished.state is VersionState.READY:
        return wished, None
    failures = _failures_in_a_row(replicas, wished.number, now)
    if len(failures) >= START_ATTEMPTS:
        last = failures[-1]
        out_of_memory = last.failure is FailureKind.OUT_OF_MEMORY
        return endpoint.fallback, MarkFailed(wished.number, last.said or UNKNOWN_REASON, out_of_memory)
    called_back = _called_back(endpoint, replicas, evidence)
    return (wished, None) if called_back is None else (endpoint.fallback, called_back)


def _called_back(endpoint: Endpoint, replicas: list[ReplicaFact], evidence: Evidence) -> MarkRolledBack | None:
    """Whether what a version on its way answers, or an alarm, speaks against it."""
    new, old, guard = endpoint.wished, endpoint.fallback, endpoint.strategy.watch
    if old is None or guard is None:
        return None
    if endpoint.is_staged:
        is_watched = new.progress.began_at is not None or new.progress.percent > 0
    else:
        is_watched = any(one.version == new.number and one.ready_at is not None for one in replicas)
    reason = judge(guard, old.number, new.number, evidence) if is_watched else None
    return None if reason is None else MarkRolledBack(new.number, reason)


def _decide_without_target(
    endpoint: Endpoint, given_up: GivenUp | None, replicas: list[ReplicaFact], now: float
) -> Decision:
    kills, kill_at = _kills(endpoint, replicas, now)
    staying = _staying(replicas)
    kills += [Kill(one.id) for one in staying if one.state is ReplicaState.STARTING]
    serving = _serving(staying)
    wished = endpoint.wished.number
    reason = (given_up.reason if given_up else endpoint.wished.reason) or UNKNOWN_REASON
    if serving is None:
        sentence = f"version {wished} cannot start, and there is no earlier one: {reason}"
    else:
        count = _count(sum(one.version == serving for one in staying), "replica")
        sentence = f"version {wished} cannot start all its replicas, {count} of version {serving} ready: {reason}"
    return Decision((*_given(given_up), *kills), _error(endpoint, given_up), sentence, serving, kill_at)


def _decide_towards(
    endpoint: Endpoint,
    target: EndpointVersion,
    given_up: GivenUp | None,
    replicas: list[ReplicaFact],
    now: float,
    room: int,
) -> Decision:
    spec = target.spec
    swaps = endpoint.wished.spec.update_strategy.type is StrategyType.SWAP
    staying = _staying(replicas)
    of_target = [one for one in staying if one.version == target.number]
    others = [one for one in staying if one.version != target.number]
    ready = sum(one.state is ReplicaState.READY for one in of_target)
    complete = ready >= spec.replicas and not others

    kills, kill_at = _kills(endpoint, replicas, now)
    if swaps:
        removals = _swap_removals(spec, replicas, of_target, others, room)
        places = spec.replicas - sum(one.live for one in replicas)
    else:
        removals = _removals(spec, of_target, others)
        places = _live_max(spec) - (len(staying) - len(removals))
    wanted = max(0, min(spec.replicas - len(of_target), places))
    failures = _failures_in_a_row(replicas, target.number, now)
    start_at = _next_start(failures, now)
    starts = min(wanted, max(0, room)) if start_at <= now else 0

    actions: list[Action] = [*_given(given_up), *kills, *removals]
    actions += [Start(target.number, _needs_fresh(replicas, target.number))] * starts
    # A version that was never asked for anything has shown nothing yet.
    if complete and target.state is VersionState.NEW and (spec.replicas or spec.autoscaling is None):
        actions.append(MarkReady(target.number))

    waiting = wanted > 0 and start_at > now
    state = _state(target, ready, others, failures)
    sentence = _progress(target, ready, others, failures, start_at - now if waiting else None)
    rolled_back = _is_rolled_back(endpoint, given_up)
    if rolled_back:
        sentence = _went_back(endpoint, target, given_up, complete, sentence)
    elif target is not endpoint.wished:
        state, sentence = _error(endpoint, given_up), _fell_back(endpoint, target, given_up, complete, sentence)
    elif wanted > max(0, room):
        state, sentence = EndpointState.COMPUTE_UNAVAILABLE, _no_room(spec, ready)
    wake_at = _earliest(None if complete else now + LOOK_AGAIN_SECONDS, kill_at, start_at if waiting else None)
    serving = target.number if ready or not spec.replicas else _serving(staying)
    # What was called back answers nothing more, unless nothing else can.
    serves = frozenset({target.number}) if rolled_back and ready else None
    holds = swaps and wanted <= max(0, room) and len(failures) < START_ATTEMPTS
    return Decision(tuple(actions), state, sentence, serving, wake_at, serves, holds=holds)


def _swap_removals(
    spec: EndpointSpec,
    replicas: list[ReplicaFact],
    of_target: list[ReplicaFact],
    others: list[ReplicaFact],
    room: int,
) -> list[Kill | Drain]:
    """As `_removals`, with one replica at least gone before the next comes; and where what it left is not room enough,
    another."""
    unavailable = max(1, share_of(spec.max_unavailable, spec.replicas, up=False))
    removals = _removals(spec, of_target, others, unavailable)
    moving = any(one.live and one.state is not ReplicaState.READY for one in replicas)
    if not removals and others and not moving and room < 1 and len(of_target) < spec.replicas:
        return [Drain(others[0].id)]
    return removals


def _decide_staged(
    endpoint: Endpoint, old: EndpointVersion, replicas: list[ReplicaFact], now: float, room: int
) -> Decision:
    """Two fleets: the old version's in full, and of the new one's what its stage wants."""
    new, strategy = endpoint.wished, endpoint.strategy
    staying = _staying(replicas)
    ready = {
        one.number: sum(two.version == one.number and two.state is ReplicaState.READY for two in staying)
        for one in (old, new)
    }

    def is_there(stage: Stage) -> bool:
        # A version at zero has no replica that could show anything; only who promotes it wants it all the same.
        asleep = not new.spec.replicas and not new.steering.promoted_to
        return not asleep and ready[new.number] >= _fleet(new.spec, stage)

    course = decide_course(strategy, new.progress, new.steering, is_there, now)
    told = course_sentence(strategy, course.progress, new.steering, now)
    if course.done:
        decision = _decide_towards(endpoint, new, None, replicas, now, room)
        actions = (
            decision.actions
            if MarkReady(new.number) in decision.actions
            else (MarkReady(new.number), *decision.actions)
        )
        return replace(decision, actions=actions, serves=frozenset({new.number}))
    return _with_fleets(endpoint, old, course, told, ready, replicas, now, room)


def _fleet(spec: EndpointSpec, stage: Stage) -> int:
    """How many replicas of the new version a stage wants."""
    return math.ceil(spec.replicas * stage.fleet_percent / 100 - 1e-9)


def _with_fleets(
    endpoint: Endpoint,
    old: EndpointVersion,
    course: Course,
    told: str,
    ready: dict[int, int],
    replicas: list[ReplicaFact],
    now: float,
    room: int,
) -> Decision:
    new, staying = endpoint.wished, _staying(replicas)
    sizes = {old.number: old.spec.replicas, new.number: _fleet(new.spec, course.stage)}
    kills, kill_at = _kills(endpoint, replicas, now)
    removals = _surplus(sizes, staying, keeps_others=not ready[old.number])
    starts: list[Action] = []
    start_ats: list[float] = []
    left, missing = max(0, room), 0
    for number, size in sizes.items():
        wanted = max(0, size - sum(one.version == number for one in staying))
        start_at = _next_start(_failures_in_a_row(replicas, number, now), now)
        if wanted and start_at > now:
            start_ats.append(start_at)
            continue
        started = min(wanted, left)
        left, missing = left - started, missing + wanted - started
        starts += [Start(number, _needs_fresh(replicas, number))] * started

    progress = course.progress
    actions: list[Action] = [*kills, *removals, *starts]
    if progress != new.progress:
        began = progress.began_at is not None and progress.began_at != new.progress.began_at
        sentence = f"version {new.number}: {told}" if began else None
        actions.insert(0, Proceed(new.number, progress, sentence))

    switched = progress.percent >= 100 and ready[new.number] > 0
    serving = new.number if switched else old.number
    serves = frozenset({serving})
    if not switched and not ready[old.number]:
        serves = frozenset(one.version for one in staying if one.version != new.number) or serves
    other = old.number if switched else new.number
    traffic = None
    if ready[other]:
        traffic = Traffic(other, 0.0 if switched else progress.percent, course.mirrors)
    sentence = _staged_sentence(endpoint, old, course, told, ready, sizes, replicas, now)
    state = EndpointState.UPDATING
    if missing:
        state, sentence = EndpointState.COMPUTE_UNAVAILABLE, f"{told}: {_no_room(new.spec, ready[new.number])}"
    wake_at = _earliest(now + LOOK_AGAIN_SECONDS, kill_at, course.next_at, *start_ats)
    return Decision(tuple(actions), state, sentence, serving, wake_at, serves, traffic, holds=True)


def _surplus(sizes: dict[int, int], staying: list[ReplicaFact], *, keeps_others: bool) -> list[Kill | Drain]:
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


def _staged_sentence(
    endpoint: Endpoint,
    old: EndpointVersion,
    course: Course,
    told: str,
    ready: dict[int, int],
    sizes: dict[int, int],
    replicas: list[ReplicaFact],
    now: float,
) -> str:
    new = endpoint.wished.number
    parts = [f"version {new}: {told}"]
    if course.progress.began_at is None or ready[new] < sizes[new]:
        parts.append(f"{ready[new]} of {_count(sizes[new], 'replica')} ready")
    if course.progress.percent < 100:
        rest = "the rest" if course.progress.percent else "all requests"
        parts.append(f"version {old.number} answers {rest}")
    else:
        parts.append(f"version {old.number} is kept")
    failures = _failures_in_a_row(replicas, new, now)
    if failures:
        parts.append(f"last failure: {failures[-1].said or UNKNOWN_REASON}")
    return "; ".join(parts)


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


def _removals(
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


def _given(given_up: GivenUp | None) -> tuple[GivenUp, ...]:
    return () if given_up is None else (given_up,)


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


def _error(endpoint: Endpoint, given_up: GivenUp | None) -> EndpointState:
    """The state of an endpoint whose wished version is given up, now or before."""
    out_of_memory = given_up.out_of_memory if isinstance(given_up, MarkFailed) else endpoint.wished.out_of_memory
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


def _is_rolled_back(endpoint: Endpoint, given_up: GivenUp | None) -> bool:
    return isinstance(given_up, MarkRolledBack) or endpoint.wished.state is VersionState.ROLLED_BACK


def _fell_back(
    endpoint: Endpoint, target: EndpointVersion, given_up: GivenUp | None, complete: bool, progress: str
) -> str:
    reason = (given_up.reason if given_up else endpoint.wished.reason) or UNKNOWN_REASON
    instead = f", version {target.number} serves" if complete else f"; {progress}"
    return f"version {endpoint.wished.number} cannot start{instead}: {reason}"


def _went_back(
    endpoint: Endpoint, target: EndpointVersion, given_up: GivenUp | None, complete: bool, progress: str
) -> str:
    reason = (given_up.reason if given_up else endpoint.wished.reason) or UNKNOWN_REASON
    instead = f", version {target.number} serves" if complete else f"; {progress}"
    return f"version {endpoint.wished.number} was rolled back{instead}: {reason}"


def _no_room(spec: EndpointSpec, ready: int) -> str:
    parts = [f"{spec.cpu_millis}m CPU"] if spec.cpu_millis else []
    parts += [f"{spec.memory_bytes // 2**20} MiB"] if spec.memory_bytes else []
    parts += [_count(spec.gpus, "GPU")] if spec.gpus else []
    needs = " and ".join(parts) or "a place"
    progress = f"{ready} of {_count(spec.replicas, 'replica')} ready"
    return f"{progress}: another needs {needs}, which this machine does not have free"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
