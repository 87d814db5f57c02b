"""Which failures of its replicas count against a version, and when it may be started again.

Failures count in a row: whatever stood for a while makes up for those before it.
"""

import itertools
from collections.abc import Iterable

from modelyard.domain.endpoints import Endpoint
from modelyard.domain.replicas import STEADY_SECONDS, FailureKind, ReplicaFact, restart_seconds

START_ATTEMPTS = 3
"""Failed starts in a row after which a version that was never ready is given up."""

CRASH_LOOP_FAILURES = 3
"""Replicas that were ready and ended, in a row, from which on it is called a crash loop."""

ENDED_KEPT = 10
"""Ended replicas of an endpoint that are remembered in any case, with their output, for people."""

BACK_OFF_ROUNDS = 8
"""Rounds of failures after which the wait before the next start does not grow any more (see `restart_seconds`)."""

UNKNOWN_REASON = "no reason was recorded"


def failures_in_a_row(replicas: list[ReplicaFact], version: int, now: float) -> list[ReplicaFact]:
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


def next_start(failures: list[ReplicaFact], now: float) -> float:
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


def needs_fresh(replicas: list[ReplicaFact], version: int) -> bool:
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
        kept |= {one.id for one in failures_in_a_row(replicas, version.number, now)[-failures_max:]}
        hung = (one for one in ended if one.version == version.number and one.failure is FailureKind.HUNG_AFTER_FORK)
        kept |= {one.id for one in itertools.islice(hung, 1)}
    return [one.id for one in ended if one.id not in kept]


def _ended_at(replica: ReplicaFact, now: float) -> float:
    return now if replica.ended_at is None else replica.ended_at
