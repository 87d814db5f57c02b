import pytest

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.replicas import (
    RESTART_SECONDS_FIRST,
    RESTART_SECONDS_MAX,
    ReplicaFact,
    ReplicaState,
    max_in_flight,
    restart_seconds,
)


def test_the_first_start_does_not_wait_and_each_failure_doubles_the_wait_up_to_a_minute():
    waits = [restart_seconds(failures) for failures in range(10)]
    assert waits[:4] == [0.0, RESTART_SECONDS_FIRST, 1.0, 2.0]
    assert waits == sorted(waits)
    assert waits[-1] == restart_seconds(10**9) == RESTART_SECONDS_MAX


@pytest.mark.parametrize(
    ("spec", "batches", "concurrent", "expected"),
    [
        ({}, True, False, 64),
        ({"max_batch_size": 8}, True, False, 16),
        ({"max_batch_size": 8}, False, False, 2),
        ({"threads_per_process": 5}, False, False, 5),
        ({}, False, True, 64),
        ({"max_in_flight": 3}, True, True, 3),
    ],
)
def test_a_replica_holds_what_it_works_on_and_the_next_batch(spec, batches, concurrent, expected):
    assert max_in_flight(EndpointSpec("p", **spec), batches=batches, concurrent=concurrent) == expected


def test_only_an_ended_replica_is_not_live():
    assert [state for state in ReplicaState if not ReplicaFact("r", 1, state, 0.0).live] == [ReplicaState.ENDED]
