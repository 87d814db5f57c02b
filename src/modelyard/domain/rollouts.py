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

from collections.abc import Iterable
from dataclasses import replace

from modelyard.domain.actions import (
    Action,
    Decision,
    Drain,
    GivenUp,
    Kill,
    MarkFailed,
    MarkReady,
    MarkRolledBack,
    Proceed,
    Remove,
    Start,
    Traffic,
)
from modelyard.domain.endpoints import Endpoint, EndpointState, EndpointVersion, VersionState
from modelyard.domain.failures import START_ATTEMPTS, UNKNOWN_REASON, failures_in_a_row, needs_fresh, next_start
from modelyard.domain.fleets import (
    LOOK_AGAIN_SECONDS,
    due_kills,
    fleet_size,
    live_max,
    removals_towards,
    serving_version,
    staying_replicas,
    surplus_of_fleets,
    swap_removals,
)
from modelyard.domain.replicas import FailureKind, ReplicaFact, ReplicaState
from modelyard.domain.rollout_status import (
    counted,
    error_state,
    fell_back_sentence,
    no_room_sentence,
    progress_sentence,
    rollout_state,
    staged_sentence,
    went_back_sentence,
)
from modelyard.domain.strategies import Stage, StrategyType
from modelyard.domain.traffic import Course, course_sentence, decide_course
from modelyard.domain.verdicts import Evidence, judge

_NO_EVIDENCE = Evidence()


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
    kills, kill_at = due_kills(endpoint, replicas, now)
    drains = [Drain(one.id) for one in staying_replicas(replicas)]
    sentence = f"deleting: {counted(len(live), 'replica')} finishing"
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
    failures = failures_in_a_row(replicas, wished.number, now)
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
    kills, kill_at = due_kills(endpoint, replicas, now)
    staying = staying_replicas(replicas)
    kills += [Kill(one.id) for one in staying if one.state is ReplicaState.STARTING]
    serving = serving_version(staying)
    wished = endpoint.wished.number
    reason = (given_up.reason if given_up else endpoint.wished.reason) or UNKNOWN_REASON
    if serving is None:
        sentence = f"version {wished} cannot start, and there is no earlier one: {reason}"
    else:
        count = counted(sum(one.version == serving for one in staying), "replica")
        sentence = f"version {wished} cannot start all its replicas, {count} of version {serving} ready: {reason}"
    return Decision((*_given(given_up), *kills), error_state(endpoint, given_up), sentence, serving, kill_at)


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
    staying = staying_replicas(replicas)
    of_target = [one for one in staying if one.version == target.number]
    others = [one for one in staying if one.version != target.number]
    ready = sum(one.state is ReplicaState.READY for one in of_target)
    complete = ready >= spec.replicas and not others

    kills, kill_at = due_kills(endpoint, replicas, now)
    if swaps:
        removals = swap_removals(spec, replicas, of_target, others, room)
        places = spec.replicas - sum(one.live for one in replicas)
    else:
        removals = removals_towards(spec, of_target, others)
        places = live_max(spec) - (len(staying) - len(removals))
    wanted = max(0, min(spec.replicas - len(of_target), places))
    failures = failures_in_a_row(replicas, target.number, now)
    start_at = next_start(failures, now)
    starts = min(wanted, max(0, room)) if start_at <= now else 0

    actions: list[Action] = [*_given(given_up), *kills, *removals]
    actions += [Start(target.number, needs_fresh(replicas, target.number))] * starts
    # A version that was never asked for anything has shown nothing yet.
    if complete and target.state is VersionState.NEW and (spec.replicas or spec.autoscaling is None):
        actions.append(MarkReady(target.number))

    waiting = wanted > 0 and start_at > now
    state = rollout_state(target, ready, others, failures)
    sentence = progress_sentence(target, ready, others, failures, start_at - now if waiting else None)
    rolled_back = _is_rolled_back(endpoint, given_up)
    if rolled_back:
        sentence = went_back_sentence(endpoint, target, given_up, complete, sentence)
    elif target is not endpoint.wished:
        state, sentence = (
            error_state(endpoint, given_up),
            fell_back_sentence(endpoint, target, given_up, complete, sentence),
        )
    elif wanted > max(0, room):
        state, sentence = EndpointState.COMPUTE_UNAVAILABLE, no_room_sentence(spec, ready)
    wake_at = _earliest(None if complete else now + LOOK_AGAIN_SECONDS, kill_at, start_at if waiting else None)
    serving = target.number if ready or not spec.replicas else serving_version(staying)
    # What was called back answers nothing more, unless nothing else can.
    serves = frozenset({target.number}) if rolled_back and ready else None
    holds = swaps and wanted <= max(0, room) and len(failures) < START_ATTEMPTS
    return Decision(tuple(actions), state, sentence, serving, wake_at, serves, holds=holds)


def _decide_staged(
    endpoint: Endpoint, old: EndpointVersion, replicas: list[ReplicaFact], now: float, room: int
) -> Decision:
    """Two fleets: the old version's in full, and of the new one's what its stage wants."""
    new, strategy = endpoint.wished, endpoint.strategy
    staying = staying_replicas(replicas)
    ready = {
        one.number: sum(two.version == one.number and two.state is ReplicaState.READY for two in staying)
        for one in (old, new)
    }

    def is_there(stage: Stage) -> bool:
        # A version at zero has no replica that could show anything; only who promotes it wants it all the same.
        asleep = not new.spec.replicas and not new.steering.promoted_to
        return not asleep and ready[new.number] >= fleet_size(new.spec, stage)

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
    new, staying = endpoint.wished, staying_replicas(replicas)
    sizes = {old.number: old.spec.replicas, new.number: fleet_size(new.spec, course.stage)}
    kills, kill_at = due_kills(endpoint, replicas, now)
    removals = surplus_of_fleets(sizes, staying, keeps_others=not ready[old.number])
    starts: list[Action] = []
    start_ats: list[float] = []
    left, missing = max(0, room), 0
    for number, size in sizes.items():
        wanted = max(0, size - sum(one.version == number for one in staying))
        start_at = next_start(failures_in_a_row(replicas, number, now), now)
        if wanted and start_at > now:
            start_ats.append(start_at)
            continue
        started = min(wanted, left)
        left, missing = left - started, missing + wanted - started
        starts += [Start(number, needs_fresh(replicas, number))] * started

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
    sentence = staged_sentence(endpoint, old, course, told, ready, sizes, replicas, now)
    state = EndpointState.UPDATING
    if missing:
        state, sentence = EndpointState.COMPUTE_UNAVAILABLE, f"{told}: {no_room_sentence(new.spec, ready[new.number])}"
    wake_at = _earliest(now + LOOK_AGAIN_SECONDS, kill_at, course.next_at, *start_ats)
    return Decision(tuple(actions), state, sentence, serving, wake_at, serves, traffic, holds=True)


def _earliest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _given(given_up: GivenUp | None) -> tuple[GivenUp, ...]:
    return () if given_up is None else (given_up,)


def _is_rolled_back(endpoint: Endpoint, given_up: GivenUp | None) -> bool:
    return isinstance(given_up, MarkRolledBack) or endpoint.wished.state is VersionState.ROLLED_BACK
