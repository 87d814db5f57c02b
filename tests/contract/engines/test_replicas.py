"""Replicas, as every engine has them."""

import pytest

from modelyard.domain.endpoints import EndpointSpec
from modelyard.errors import StartFailed
from tests.contract.engines.harness import Harness, Run, sight, until

NAME = "iris-1-aa"


def test_a_started_replica_is_known_and_proves_that_it_predicts(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        found = sight(harness.engine, NAME)
        assert (found.endpoint, found.version, found.alive, found.stopping) == ("iris", 1, True, False)
        assert found.pid is not None
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok

    run(story)


def test_a_replica_is_started_once(run: Run) -> None:
    async def story(harness: Harness) -> None:
        order = harness.replica_order()
        await harness.engine.start_replica(order)
        before = sight(harness.engine, NAME)
        with pytest.raises(StartFailed, match="known already"):
            await harness.engine.start_replica(order)
        assert sight(harness.engine, NAME) == before
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok

    run(story)


def test_the_next_engine_finds_living_replicas_with_their_notes(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        harness.engine.note_replica(NAME, ready_at=12.5)
        harness.engine.note_replica(NAME, reason="none")
        before = sight(harness.engine, NAME)
        assert before.notes == {"ready_at": 12.5, "reason": "none"}
        await harness.restart()
        assert sight(harness.engine, NAME) == before
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok

    run(story)


def test_a_drain_goes_on_under_the_next_engine(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        harness.engine.stop_replica(NAME)
        began_at = sight(harness.engine, NAME).stop_began_at
        assert began_at is not None
        await harness.restart()
        assert sight(harness.engine, NAME).stop_began_at == began_at
        await harness.drained(NAME)
        await until(lambda: not sight(harness.engine, NAME).alive)
        found = sight(harness.engine, NAME)
        assert (found.stopping, found.exit_code) == (True, 0)

    run(story)


def test_a_replica_that_dies_between_two_engines_is_seen_as_ended_and_stays_so(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        await harness.kill_replica(NAME)
        await harness.restart()
        await until(lambda: not sight(harness.engine, NAME).alive)
        found = sight(harness.engine, NAME)
        assert (found.exit_code, found.stopping, found.interrupted) == (-9, False, False)
        await harness.restart()
        assert sight(harness.engine, NAME).ended_at == found.ended_at

    run(story)


def test_the_end_of_a_replica_wakes_whoever_waits(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        harness.engine.changed.clear()
        await harness.kill_replica(NAME)
        await until(harness.engine.changed.is_set)
        await until(lambda: not sight(harness.engine, NAME).alive)
        assert not (await harness.engine.probe_replica(NAME, 20.0)).ok

    run(story)


def test_a_replica_that_is_killed_by_order_is_remembered_as_such(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        assert (await harness.engine.probe_replica(NAME, 20.0)).ok
        harness.engine.stop_replica(NAME, kill=True)
        await until(lambda: not sight(harness.engine, NAME).alive)
        found = sight(harness.engine, NAME)
        assert (found.stopping, found.exit_code) == (True, -9)
        harness.engine.stop_replica(NAME)
        harness.engine.stop_replica("never-was", kill=True)

    run(story)


def test_only_an_ended_replica_is_forgotten(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        harness.engine.forget_replica(NAME)
        assert sight(harness.engine, NAME).alive
        harness.engine.stop_replica(NAME, kill=True)
        await until(lambda: not sight(harness.engine, NAME).alive)
        harness.engine.forget_replica(NAME)
        harness.engine.note_replica(NAME, ready_at=1.0)
        assert harness.engine.replicas() == []
        assert harness.engine.output_tail(NAME) == ""
        await harness.restart()
        assert harness.engine.replicas() == []

    run(story)


def test_room_is_what_the_living_have_not_reserved(run: Run) -> None:
    async def story(harness: Harness) -> None:
        half = harness.cpu_millis // 2
        third = harness.memory_bytes // 3
        assert harness.engine.room(EndpointSpec("p", cpu_millis=half)) == 2
        assert harness.engine.room(EndpointSpec("p", memory_bytes=third)) == 3
        await harness.engine.start_replica(harness.replica_order(cpu_millis=half, memory_bytes=third))
        assert harness.engine.room(EndpointSpec("p", cpu_millis=half)) == 1
        assert harness.engine.room(EndpointSpec("p", memory_bytes=third)) == 2
        assert harness.engine.room(EndpointSpec("p", cpu_millis=half, memory_bytes=harness.memory_bytes)) == 0
        assert harness.engine.room(EndpointSpec("p")) >= 2**31
        await harness.restart()
        assert harness.engine.room(EndpointSpec("p", cpu_millis=half)) == 1
        harness.engine.stop_replica(NAME, kill=True)
        await until(lambda: not sight(harness.engine, NAME).alive)
        assert harness.engine.room(EndpointSpec("p", cpu_millis=half)) == 2

    run(story)


def test_stopping_everything_leaves_nothing(run: Run) -> None:
    async def story(harness: Harness) -> None:
        await harness.engine.start_replica(harness.replica_order())
        await harness.engine.start_job(harness.job_order())
        await harness.engine.stop_everything(5.0)
        assert not any(one.alive for one in harness.engine.replicas())
        job = harness.engine.job("fit-1")
        assert job is not None
        assert (job.alive, job.ended_by) == (False, "stop")

    run(story)
