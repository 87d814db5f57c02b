"""What is forgotten of ended replicas makes no difference to any decision."""

import random
from dataclasses import replace

import pytest

from modelyard.domain.endpoints import VersionState
from modelyard.domain.failures import BACK_OFF_ROUNDS, ENDED_KEPT, forgettable
from modelyard.domain.replicas import FailureKind, ReplicaFact, ReplicaState
from modelyard.domain.rollouts import decide_rollout
from tests.unit.domain.world import endpoint, version

NOW = 100_000.0


def some_facts(chance: random.Random, count: int) -> list[ReplicaFact]:
    """A long history of two versions: failures of every kind, drains, steady and short lives."""
    facts: list[ReplicaFact] = []
    at = NOW - 50.0 * count
    for number in range(count):
        at += chance.choice([0.0, 1.0, 90.0])
        ready_at = at + 1.0 if chance.random() < 0.6 else None
        ended_at = at + chance.choice([2.0, 30.0, 200.0])
        failures = [None, FailureKind.DIED, FailureKind.STUCK]
        unready = [FailureKind.START, FailureKind.PROBE, FailureKind.HUNG_AFTER_FORK]
        failure = chance.choice(failures if ready_at is not None else unready)
        which = chance.choice([1, 2])
        facts.append(
            ReplicaFact(
                f"r{number:04d}",
                which,
                ReplicaState.ENDED,
                at,
                ready_at,
                ended_at=ended_at,
                failure=failure,
                reason="x",
            )
        )
    return facts


@pytest.mark.parametrize("seed", range(60))
def test_a_decision_is_the_same_with_and_without_what_may_be_forgotten(seed: int) -> None:
    chance = random.Random(seed)
    wished = endpoint(
        version(1, VersionState.READY, replicas=2), version(2, chance.choice(list(VersionState)), replicas=2)
    )
    facts = some_facts(chance, 150)
    now = max(one.ended_at or 0.0 for one in facts) + chance.choice([0.0, 5.0, 70.0])
    gone = set(forgettable(wished, facts, now))
    kept = [one for one in facts if one.id not in gone]
    assert gone
    assert len(kept) <= ENDED_KEPT + 2 * (2 * BACK_OFF_ROUNDS + 1)
    before, after = decide_rollout(wished, facts, now, 10), decide_rollout(wished, kept, now, 10)
    assert [type(one) for one in after.actions] == [type(one) for one in before.actions]
    assert (after.state, after.serving_version, after.wake_at) == (before.state, before.serving_version, before.wake_at)


def test_what_lives_is_never_forgotten_nor_what_belongs_to_no_version_kept() -> None:
    wished = endpoint(version(7, VersionState.READY))
    hung = ReplicaFact("old", 1, ReplicaState.ENDED, 1.0, ended_at=2.0, failure=FailureKind.HUNG_AFTER_FORK)
    later = [replace(hung, id=f"r{number}", ended_at=10.0 + number, failure=None) for number in range(ENDED_KEPT)]
    living = ReplicaFact("living", 7, ReplicaState.READY, 0.0, 1.0)
    assert forgettable(wished, [hung, *later, living], NOW) == ["old"]
