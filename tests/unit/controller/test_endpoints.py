"""Stories of endpoints: what the controller makes of wishes and of what it sees."""

from collections.abc import Mapping

from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointStatus, VersionState
from modelyard.domain.failures import ENDED_KEPT
from modelyard.engines.fake import Plan
from modelyard.engines.ports import Probe, ReplicaSight
from modelyard.protocol.messages import Load
from modelyard.protocol.table import EndpointEntry
from tests.unit.controller.stage import Stage, Tell

HANGS = Plan(probe=Probe(ok=False, timed_out=True, reason="it did not answer its probe within 10 s"))
FAILS = Plan(probe=Probe(ok=False, reason="ValueError: no such column\nTraceback ..."))


def test_a_deployed_endpoint_goes_live_and_stands_in_the_table(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(replicas=2)
        assert (stage.state, stage.status().ready) == ("live", 2)
        assert sorted(stage.addresses) == sorted(one.id for one in stage.alive())

    tell(story)


def test_a_replica_that_dies_again_and_again_is_started_after_ever_longer_waits(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        waits: list[float] = []
        for _ in range(9):
            (victim,) = stage.alive()
            stage.engine.die(victim.id, output="Segmentation fault\n")
            began = stage.clock.now()
            await stage.look(2)
            assert stage.addresses == []
            while not stage.alive():
                await stage.wait(0.25)
            waits.append(stage.clock.now() - began)
        assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]

    tell(story)


def test_the_waits_grow_with_several_replicas_and_through_a_restart_too(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(replicas=4)
        began = stage.clock.now()
        for _ in range(9):
            for one in stage.alive():
                stage.engine.die(one.id)
            await stage.look(2)
            await stage.restart()
            began = stage.clock.now()
            while not stage.alive():
                await stage.wait(0.5)
        assert stage.clock.now() - began == 60.0
        assert len(stage.engine.replicas()) <= ENDED_KEPT + 4 * 9

    tell(story)


def test_a_replica_that_was_steady_makes_up_for_those_before(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        for wait in (0.5, 1.0):
            stage.engine.die(stage.alive()[0].id)
            await stage.look()
            await stage.wait(wait)
        await stage.wait(60.0)
        stage.engine.die(stage.alive()[0].id)
        await stage.look()
        assert stage.alive() == []
        await stage.wait(0.5)
        assert len(stage.alive()) == 1

    tell(story)


def test_requests_wait_where_the_last_replica_goes_while_another_version_comes(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        stage.engine.die(stage.alive()[0].id)
        wanted = Wanted({"iris": EndpointSpec(stage.package("two"))})
        stage.store.deployments.apply("shop", wanted, stage.clock.now())
        await stage.controller.look()
        entry = stage.controller.publisher.table.entries["iris"]
        assert (entry.replicas, entry.why_not_ready) == ((), None)

    tell(story)


def test_requests_do_not_wait_for_a_first_version_that_has_never_been_ready(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.store.deployments.apply("shop", Wanted({"iris": EndpointSpec(stage.package())}), stage.clock.now())
        await stage.controller.look()
        assert stage.controller.publisher.table.entries["iris"].why_not_ready is not None

    tell(story)


def test_ended_replicas_are_forgotten_when_nobody_will_ask_for_them(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        for number in range(20):
            await stage.deploy(word=f"word {number}")
            stage.engine.finish_stopping()
            await stage.look(2)
        assert stage.state == "live"
        assert len(stage.engine.replicas()) == 1 + ENDED_KEPT

    tell(story)


def test_starts_that_come_to_nothing_count_and_the_version_fails_with_the_reason_first(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.plans.extend([Plan(refused="cannot start a replica process: no memory")] * 3)
        await stage.deploy()
        for _ in range(3):
            await stage.wait(2.0)
        assert stage.state == "error"
        assert "cannot start a replica process: no memory" in stage.status().sentence.splitlines()[0]
        assert stage.store.endpoints.get("iris").wished.state is VersionState.FAILED

    tell(story)


def test_a_package_that_cannot_be_laid_out_says_which_file_is_missing(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        package = stage.package()
        blob = stage.artifacts.tree(package)[0].sha256
        del stage.artifacts._blobs[blob]
        stage.store.deployments.apply("shop", Wanted({"iris": EndpointSpec(package)}), stage.clock.now())
        await stage.look(2)
        assert f"cannot find artifact {blob}" in stage.status().sentence
        assert stage.engine.replicas() == []

    tell(story)


def test_a_fork_that_hangs_is_followed_by_a_fresh_process_with_the_reason(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.plans.append(HANGS)
        await stage.deploy()
        await stage.look()
        (fresh,) = stage.alive()
        assert (fresh.forked, stage.state) == (False, "live")
        (shown,) = stage.status().replicas
        assert shown.reason == "not forked: a forked one hung: it did not answer its probe within 10 s"

    tell(story)


def test_that_a_version_hangs_when_forked_is_remembered_as_long_as_the_version_exists(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.plans.append(HANGS)
        await stage.deploy()
        await stage.look()
        for _ in range(2 * ENDED_KEPT):
            stage.engine.die(stage.alive()[0].id)
            await stage.look()
            await stage.wait(61.0)
            assert [one.forked for one in stage.alive()] == [False]
            await stage.wait(61.0)
        await stage.restart()
        stage.engine.die(stage.alive()[0].id)
        await stage.look()
        await stage.wait(61.0)
        assert [one.forked for one in stage.alive()] == [False]

    tell(story)


def test_a_version_that_cannot_start_leaves_the_one_before_serving(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(replicas=2)
        serving = sorted(stage.addresses)
        stage.engine.plans.extend([FAILS] * 3)
        await stage.deploy(word="two", replicas=2)
        for _ in range(5):
            await stage.wait(2.0)
            assert sorted(stage.addresses) == serving
        status = stage.status()
        assert (stage.state, status.serving_version, status.ready) == ("error", 1, 2)
        assert "ValueError: no such column" in status.sentence.splitlines()[0]

    tell(story)


def test_a_controller_killed_in_the_middle_of_a_rollout_goes_on_where_it_was(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(replicas=4)
        stage.engine.plans.extend([Plan(probe=None)] * 4)
        await stage.deploy(word="two", replicas=4)
        coming = stage.alive(version=2)
        assert len(coming) == 1
        await stage.restart()
        assert stage.alive(version=2) == coming
        assert len(stage.addresses) == 4
        for _ in range(10):
            for one in stage.alive(version=2):
                if "ready_at" not in one.notes:
                    stage.engine.answer_probe(one.id, Probe(ok=True))
            await stage.look(2)
            stage.engine.finish_stopping()
            await stage.look(2)
            assert len(stage.addresses) >= 4
            assert sum(not one.stopping for one in stage.alive()) <= 5
        assert (stage.state, stage.status().up_to_date, len(stage.alive())) == ("live", 4, 4)

    tell(story)


def test_after_a_reboot_replicas_come_back_at_once_because_none_of_them_failed(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(replicas=2)
        stage.engine.reboot()
        await stage.restart()
        await stage.look(2)
        assert (stage.state, len(stage.alive())) == ("live", 2)

    tell(story)


def test_replicas_that_are_ended_on_purpose_are_no_failures(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.engine.plans.append(Plan(probe=None))
        await stage.deploy()
        await stage.deploy(word="two")
        ended = [one for one in stage.engine.replicas() if not one.alive]
        assert [(one.version, one.exit_code) for one in ended] == [(1, -9)]
        facts = stage.controller._endpoints.replicas.facts("iris", stage.engine.replicas())
        assert [one.failure for one in facts] == [None, None]
        assert stage.state == "live"

    tell(story)


def test_a_replica_that_is_stuck_is_killed_and_replaced_and_the_word_may_come_twice(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        (stuck,) = stage.alive()
        stage.controller.stuck(stuck.id, 75.0)
        stage.controller.stuck(stuck.id, 80.0)
        stage.controller.stuck("never-was", 1.0)
        await stage.look()
        assert stage.alive() == []
        facts = stage.controller._endpoints.replicas.facts("iris", stage.engine.replicas())
        assert [one.reason for one in facts] == ["one call had not ended after 75 s"]
        await stage.wait(0.5)
        assert stage.state == "live"

    tell(story)


def test_a_controller_killed_between_the_word_and_the_deed_kills_the_stuck_replica_when_it_is_back(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        (stuck,) = stage.alive()
        stage.engine.note_replica(stuck.id, failure="stuck", reason="one call had not ended after 75 s")
        await stage.restart()
        assert stuck.id not in [one.id for one in stage.alive()]
        await stage.wait(0.5)
        assert (stage.state, stuck.id in stage.addresses) == ("live", False)

    tell(story)


def test_replicas_of_an_endpoint_that_is_gone_are_ended_and_forgotten(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        stage.store.endpoints.delete("iris", stage.clock.now())
        stage.store.endpoints.remove("iris")
        await stage.restart()
        await stage.look(3)
        assert stage.engine.replicas() == []
        assert stage.controller.publisher.table.entries == {}

    tell(story)


def test_one_endpoint_in_trouble_stops_neither_the_others_nor_what_it_serves(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy()
        serving = stage.addresses

        def broken(replica: str, lines: int = 20) -> str:
            raise RuntimeError(f"a bug with {replica}, {lines} lines")

        stage.engine.output_tail = broken
        stage.engine.die(serving[0])
        await stage.deploy("wine")
        assert "wine" in stage.controller.publisher.table.entries
        assert len(stage.controller.publisher.table.entries["wine"].replicas) == 1
        assert stage.addresses == serving

    tell(story)


def test_a_status_is_written_when_the_table_has_what_it_says(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        seen: list[tuple[str, int]] = []
        put_statuses = stage.store.endpoints.put_statuses

        def put(statuses: Mapping[str, EndpointStatus]) -> None:
            for name, status in statuses.items():
                entry = stage.controller.publisher.table.entries.get(name)
                seen.append((status.state.value, len(entry.replicas) if entry is not None else 0))
            put_statuses(statuses)

        stage.store.endpoints.put_statuses = put
        await stage.deploy()
        assert [one for one in seen if one[0] == "live"] == [("live", 1)]

    tell(story)


def test_an_endpoint_at_rest_is_not_looked_at(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        for name in ("iris", "wine", "tea"):
            await stage.deploy(name)
        looked: list[list[str]] = []
        find = stage.controller._endpoints._look

        async def look(key: str, endpoint: Endpoint) -> EndpointEntry | None:
            looked.append([key])
            return await find(key, endpoint)

        stage.controller._endpoints._look = look
        await stage.wait(100.0)
        assert looked == []
        stage.engine.die(stage.engine.replicas("wine")[0].id)
        await stage.wait(10.0)
        assert {key for (key,) in looked} == {"wine"}

    tell(story)


def test_an_endpoint_with_a_ttl_goes_when_nobody_asks_and_says_so_before_and_after(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(ttl_seconds=1000.0)
        stage.clock.advance(500.0)
        stage.controller.idleness.take({"iris": Load(0, 0, 1, 0, 1)})
        await stage.wait(899.0)
        assert stage.state == "live"
        assert not any("deleted" in one for one in stage.sentences("iris"))
        await stage.wait(2.0)
        assert stage.sentences("iris")[-1] == (
            "no request for 15 min 1 s: it will be deleted in 1 min 40 s unless it is asked before"
        )
        await stage.restart()
        await stage.wait(50.0)
        assert stage.state == "live"
        await stage.wait(60.0)
        stage.engine.finish_stopping()
        await stage.wait(1.0)
        assert stage.store.endpoints.select() == []
        assert "deleted for want of requests: none for 16 min 51 s, and its ttl is 16 min 40 s" in stage.sentences(
            "iris"
        )

    tell(story)


def test_a_request_that_comes_in_time_keeps_it(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy(ttl_seconds=1000.0)
        await stage.wait(950.0)
        stage.controller.idleness.take({"iris": Load(0, 0, 1, 0, 1)})
        await stage.wait(100.0)
        assert stage.state == "live"
        await stage.restart()
        assert stage.store.endpoints.requests_of("iris").last_at is not None

    tell(story)


def test_when_memory_is_short_those_go_to_zero_that_nobody_asked_for_longest_and_come_back_when_asked(
    tell: Tell,
) -> None:
    async def story(stage: Stage) -> None:
        stage.controller.autoscaler.gateway_came("gateway")
        zero = Autoscaling(min_replicas=0, init_replicas=1)
        await stage.deploy("pinned")
        for name in ("iris", "wine", "tea"):
            await stage.deploy(name, autoscaling=zero)
        for name in ("wine", "iris", "tea"):
            stage.clock.advance(1.0)
            stage.controller.idleness.take({name: Load(0, 0, 1, 0, 1)})
        stage.controller.autoscaler.take("gateway", {"wine": Load(1, 0, 1, 1, 1)})
        stage.engine.held = {one.id: 2**30 for one in stage.engine.replicas()}
        stage.engine.available_bytes = 2**29
        await stage.wait(1.0)
        await stage.look(2)
        assert [stage.status(name).requested for name in ("pinned", "iris", "wine", "tea")] == [1, 0, 1, 1]
        (event,) = [one for one in stage.sentences("iris") if "evicted" in one]
        assert event.startswith("scaling: 1 -> 0, evicted, the machine has 512 MiB available of the 1024 MiB")
        stage.engine.finish_stopping()
        stage.engine.available_bytes = 2**32
        await stage.wait(5.0)
        assert [one.endpoint for one in stage.alive()] == ["pinned", "wine", "tea"]
        stage.controller.autoscaler.take("gateway", {"iris": Load(0, 1, 1, 0, 1)})
        await stage.look(2)
        assert stage.status("iris").ready == 1

    tell(story)


def test_a_start_that_has_no_place_waits_until_others_have_gone_and_no_longer_than_that(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.controller.autoscaler.gateway_came("gateway")
        stage.engine.held_by_others = 2**30
        await stage.deploy("iris", autoscaling=Autoscaling(min_replicas=0, init_replicas=1))
        await stage.deploy(
            "wine", autoscaling=Autoscaling(min_replicas=0, init_replicas=1, last_replica_delay_seconds=1.0)
        )
        await stage.wait(1.0)
        stage.engine.finish_stopping()
        await stage.wait(1.0)
        assert [one.endpoint for one in stage.alive()] == ["iris"]
        stage.engine.available_bytes = 2**31 - 1
        stage.controller.autoscaler.take("gateway", {"wine": Load(0, 1, 1, 0, 1)})
        await stage.look(2)
        assert "it waits until others, that nobody asks, have made place" in stage.status("wine").sentence
        (event,) = [one for one in stage.sentences("iris") if "evicted" in one]
        assert "available of the 1024 MiB that stay free and 1024 MiB more are to come" in event
        assert [one.endpoint for one in stage.alive()] == ["iris"]
        stage.engine.finish_stopping()
        stage.engine.available_bytes = 2**33
        await stage.look(3)
        assert [one.endpoint for one in stage.alive()] == ["wine"]

    tell(story)


def test_where_nobody_may_make_place_a_start_does_not_wait(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("pinned")
        stage.engine.available_bytes = 0
        await stage.deploy("iris")
        assert stage.status("iris").ready == 1

    tell(story)


async def _evict_iris(stage: Stage) -> ReplicaSight:
    """The machine has run short, and the one replica of `iris` was told to go."""
    stage.controller.autoscaler.gateway_came("gateway")
    await stage.deploy(autoscaling=Autoscaling(min_replicas=0, init_replicas=1))
    [replica] = stage.alive()
    stage.engine.held = {replica.id: 2**30}
    stage.engine.available_bytes = 2**29
    await stage.wait(1.0)
    await stage.look(2)
    assert stage.status().requested == 0
    return replica


def test_a_controller_that_comes_amid_an_eviction_finishes_it_and_starts_nothing(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        replica = await _evict_iris(stage)
        await stage.restart()
        stage.engine.available_bytes = 2**32
        await stage.wait(5.0)
        assert [(one.id, one.stopping) for one in stage.alive()] == [(replica.id, True)]
        stage.engine.finish_stopping()
        await stage.wait(30.0)
        assert (stage.alive(), stage.status().requested) == ([], 0)
        assert sum("evicted" in one for one in stage.sentences("iris")) == 1
        stage.controller.autoscaler.gateway_came("gateway")
        stage.controller.autoscaler.take("gateway", {"iris": Load(0, 1, 1, 0, 1)})
        await stage.look(2)
        assert stage.status().ready == 1

    tell(story)


def test_a_replica_that_is_killed_amid_its_eviction_counts_as_no_failure(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        replica = await _evict_iris(stage)
        stage.engine.die(replica.id, exit_code=-9)
        stage.engine.available_bytes = 2**32
        await stage.wait(30.0)
        assert (stage.alive(), stage.state) == ([], "live")
        stage.controller.autoscaler.take("gateway", {"iris": Load(0, 1, 1, 0, 1)})
        await stage.look(2)
        assert stage.status().ready == 1
        assert not [one for one in stage.sentences("iris") if "failure" in one or "crash" in one]

    tell(story)
