"""Rollouts by example: what one decision is in one situation."""

from dataclasses import replace
from typing import Any

import pytest

from modelyard.domain.actions import Drain, Kill, MarkFailed, MarkReady, Remove, Start
from modelyard.domain.apps import AppSettings
from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.endpoints import EndpointState, VersionState
from modelyard.domain.failures import START_ATTEMPTS
from modelyard.domain.fleets import APP_DELETION_SECONDS
from modelyard.domain.replicas import FailureKind, ReplicaState, restart_seconds
from modelyard.domain.rollouts import decide_rollout
from tests.unit.domain.world import World, always_ready, endpoint, version

STARTING = ReplicaState.STARTING
READY = VersionState.READY


def always_failing(*numbers):
    return lambda number, _fresh: FailureKind.START if number in numbers else None


def hanging_after_fork(_number, fresh):
    return None if fresh else FailureKind.HUNG_AFTER_FORK


def test_a_first_deploy_starts_all_replicas_at_once():
    decision = World(endpoint(version(1, replicas=3))).decide()
    assert decision.actions == (Start(1, False),) * 3
    assert decision.state is EndpointState.UPDATING
    assert decision.serving_version is None
    assert decision.sentence == "version 1: 0 of 3 replicas ready"


def test_a_version_with_all_replicas_ready_is_marked_and_live():
    world = World(endpoint(version(1, replicas=2)))
    world.add(1, 2)
    decision = world.decide()
    assert decision.actions == (MarkReady(1),)
    assert decision.state is EndpointState.LIVE
    assert decision.serving_version == 1
    assert decision.wake_at is None


def test_nothing_is_done_where_everything_is_as_wished():
    world = World(endpoint(version(1, READY, replicas=2)))
    world.add(1, 2)
    assert world.decide().actions == ()


def test_the_old_replica_stays_until_the_new_one_is_ready():
    world = World(endpoint(version(1, READY), version(2)))
    (old,) = world.add(1, 1)
    assert world.decide().actions == (Start(2, False),)
    assert world.decision.serving_version == 1
    assert Drain(old) not in world.step(1.0).actions
    decision = world.step(1.0)
    assert decision.actions == (Drain(old),)
    assert decision.serving_version == 2


def test_surge_bounds_how_many_start_at_once():
    world = World(endpoint(version(1, READY, replicas=8), version(2, replicas=8, max_surge="25%")))
    world.add(1, 8)
    assert world.decide().actions == (Start(2, False),) * 2


def test_unavailability_lets_old_replicas_go_first():
    spec: dict[str, Any] = {"replicas": 4, "max_surge": "0", "max_unavailable": "50%"}
    world = World(endpoint(version(1, READY, replicas=4), version(2, **spec)))
    old = world.add(1, 4)
    assert world.decide().actions == (Drain(old[0]), Drain(old[1]), Start(2, False), Start(2, False))


def test_without_surge_and_unavailability_one_more_is_allowed():
    spec: dict[str, Any] = {"replicas": 2, "max_surge": "0", "max_unavailable": "0"}
    world = World(endpoint(version(1, READY, replicas=2), version(2, **spec)))
    world.add(1, 2)
    assert world.decide().actions == (Start(2, False),)


def test_replicas_of_an_overtaken_version_that_are_still_starting_are_killed():
    world = World(endpoint(version(1, READY), version(2), version(3)))
    world.add(1, 1)
    (overtaken,) = world.add(2, 1, STARTING)
    assert world.decide().actions == (Kill(overtaken), Start(3, False))


def test_scaling_down_drains_the_surplus_and_keeps_the_ready_ones():
    world = World(endpoint(version(1, READY, replicas=1)))
    first, second = world.add(1, 2)
    (starting,) = world.add(1, 1, STARTING)
    assert world.decide().actions == (Kill(starting), Drain(first))
    assert [one.id for one in world.ready] == [second]


def test_a_replica_that_died_is_replaced_after_a_wait():
    world = World(endpoint(version(1, READY, replicas=2)))
    first, _ = world.add(1, 2)
    world.now += 100.0
    world.die(first)
    decision = world.decide()
    assert decision.actions == ()
    assert decision.wake_at == world.now + restart_seconds(1)
    assert "next start in 0.5 s; last failure: died: it was killed" in decision.sentence
    assert world.step(0.5).actions == (Start(1, False),)


def test_a_replica_that_keeps_dying_waits_longer_even_where_another_stands_steady():
    world = World(endpoint(version(1, READY, replicas=2)))
    world.add(1, 1)
    world.now += 10_000.0
    for deaths in range(1, 6):
        (dying,) = world.add(1, 1)
        world.now += 1.0
        world.die(dying)
        assert world.decide().wake_at == pytest.approx(world.now + min(1.0, restart_seconds(deaths)), abs=0.01)
        assert world.decide().actions == ()
        world.now += restart_seconds(deaths)


def test_replicas_that_died_together_are_waited_for_once():
    world = World(endpoint(version(1, READY, replicas=8)))
    replicas = world.add(1, 8)
    world.now += 100.0
    for name in replicas:
        world.die(name)
    decision = world.decide()
    assert decision.state is EndpointState.ERROR
    assert world.step(restart_seconds(1)).actions == (Start(1, False),) * 8


def test_failures_are_forgiven_once_a_later_replica_stood_steady():
    world = World(endpoint(version(1, READY)))
    for _ in range(5):
        (dying,) = world.add(1, 1)
        world.now += 0.1
        world.die(dying)
    world.now += 100.0
    (steady,) = world.add(1, 1)
    world.now += 100.0
    world.die(steady)
    assert world.decide().wake_at == world.now + restart_seconds(1)


def test_a_version_that_always_fails_is_failed_and_the_old_one_serves():
    world = World(endpoint(version(1, READY, replicas=2), version(2, replicas=2)), always_failing(2))
    old = world.add(1, 2)
    while not any(isinstance(action, MarkFailed) for action in world.step(0.5).actions):
        assert world.now < 1100.0
    assert world.decision.state is EndpointState.ERROR
    assert world.decision.sentence == "version 2 cannot start, version 1 serves: failed to start: it raised"
    assert sum(one.version == 2 for one in world.facts.values()) == START_ATTEMPTS
    assert [one.id for one in world.ready] == old
    assert world.run(200).actions == ()


def test_a_first_version_that_cannot_start_leaves_an_error_with_the_reason():
    world = World(endpoint(version(1)), always_failing(1))
    decision = world.run(30)
    assert decision.state is EndpointState.ERROR
    assert decision.sentence == "version 1 cannot start, and there is no earlier one: failed to start: it raised"
    assert decision.actions == ()
    assert decision.serving_version is None
    assert len(world.facts) == START_ATTEMPTS


def test_what_is_ready_of_a_failed_first_version_serves_on():
    world = World(endpoint(version(1, replicas=2)), always_failing(1))
    world.add(1, 1)
    decision = world.run(30)
    assert decision.state is EndpointState.ERROR
    assert decision.serving_version == 1
    assert "version 1 cannot start all its replicas, 1 replica of version 1 ready" in decision.sentence


def test_after_a_reboot_the_fallback_of_a_failed_version_is_started():
    world = World(endpoint(version(1, READY, replicas=2), version(2, VersionState.FAILED, replicas=2)))
    assert world.decide().actions == (Start(1, False),) * 2
    decision = world.run(5)
    assert decision.serving_version == 1
    assert decision.state is EndpointState.ERROR


def test_a_hung_fork_is_killed_and_every_later_start_is_fresh():
    world = World(endpoint(version(1, replicas=4)), hanging_after_fork)
    world.decide()
    hung = [one.id for one in world.live]
    decision = world.step(2.0)
    assert decision.actions == (*(Kill(name) for name in hung), *(Start(1, True),) * 4)
    assert world.run(10).state is EndpointState.LIVE
    assert all(not one.forked for one in world.live)


def test_forks_that_hang_do_not_fail_the_version():
    world = World(endpoint(version(1, replicas=START_ATTEMPTS + 2)), hanging_after_fork)
    world.run(10)
    assert world.endpoint.wished.state is VersionState.READY


def test_a_stuck_replica_is_killed_and_replaced():
    world = World(endpoint(version(1, READY, replicas=2)))
    stuck, _ = world.add(1, 2)
    world.now += 100.0
    world.facts[stuck] = replace(world.facts[stuck], failure=FailureKind.STUCK)
    assert world.decide().actions == (Kill(stuck),)
    assert world.step(1.0).actions == (Start(1, False),)


def test_a_replica_that_drains_beyond_its_limit_is_killed_when_the_endpoint_is_live():
    world = World(endpoint(version(1, READY, drain_seconds=30.0)))
    world.add(1, 1)
    (draining,) = world.add(1, 1, ReplicaState.DRAINING, drain_began_at=world.now)
    decision = decide_rollout(world.endpoint, world.facts.values(), world.now, 1)
    assert decision.wake_at == world.now + 30.0
    later = decide_rollout(world.endpoint, world.facts.values(), world.now + 30.0, 1)
    assert later.actions == (Kill(draining),)


def test_a_long_wait_for_the_next_start_does_not_delay_an_overdue_drain():
    world = World(endpoint(version(1, READY, drain_seconds=5.0)))
    for _ in range(8):
        (dying,) = world.add(1, 1)
        world.now += 0.1
        world.die(dying)
    world.add(1, 1, ReplicaState.DRAINING, drain_began_at=world.now - 4.5)
    assert world.decide().wake_at == pytest.approx(world.now + 0.5)


def test_what_does_not_fit_is_said_with_what_it_needs():
    world = World(endpoint(version(1, replicas=3, cpu_millis=500, memory_bytes=2**30)), room=1)
    decision = world.decide()
    assert decision.actions == (Start(1, False),)
    assert decision.state is EndpointState.COMPUTE_UNAVAILABLE
    assert decision.sentence == (
        "0 of 3 replicas ready: another needs 500m CPU and 1024 MiB, which this machine does not have free"
    )


def test_an_overcommitted_machine_does_not_trouble_an_endpoint_that_has_all_it_wants():
    world = World(endpoint(version(1, READY)), room=-2)
    world.add(1, 1)
    assert world.decide().state is EndpointState.LIVE


def test_an_endpoint_without_replicas_is_live_at_once():
    world = World(endpoint(version(1, replicas=0)))
    assert world.decide().actions == (MarkReady(1),)
    assert world.decision.state is EndpointState.LIVE


def test_an_endpoint_at_zero_is_live_and_keeps_its_version():
    world = World(endpoint(version(1, READY, replicas=0, autoscaling=Autoscaling(min_replicas=0))))
    decision = world.decide()
    assert (decision.state, decision.serving_version, decision.actions) == (EndpointState.LIVE, 1, ())
    assert decision.sentence == "version 1: at zero, the next request starts a replica"


def test_a_version_that_nobody_asked_for_yet_has_shown_nothing():
    world = World(endpoint(version(1, replicas=0, autoscaling=Autoscaling(min_replicas=0, init_replicas=0))))
    assert world.decide().actions == ()


def test_more_replicas_on_their_way_are_no_update():
    world = World(endpoint(version(1, READY, replicas=3, autoscaling=Autoscaling(max_replicas=3))))
    world.add(1, 1)
    decision = world.decide()
    assert (decision.state, len(decision.actions)) == (EndpointState.LIVE, 2)


def test_deletion_drains_everything_then_forgets():
    world = World(replace(endpoint(version(1, READY, replicas=2)), deleting=True))
    names = world.add(1, 2)
    (starting,) = world.add(1, 1, STARTING)
    decision = world.decide()
    assert decision.actions == tuple(Drain(name) for name in (*names, starting))
    assert decision.state is EndpointState.DELETING
    assert decision.sentence == "deleting: 3 replicas finishing"
    assert world.run(3).actions == (Remove(),)
    assert world.removed


def test_deletion_kills_what_drains_beyond_its_limit():
    world = World(replace(endpoint(version(1, READY, drain_seconds=1.0)), deleting=True))
    (name,) = world.add(1, 1)
    world.decide()
    assert world.step(1.0).actions == (Kill(name),)
    assert world.step(1.0).actions == (Remove(),)


def test_an_app_that_is_deleted_waits_only_shortly_for_those_who_have_it_open():
    spec = {"app": AppSettings(), "drain_seconds": 300.0}
    updated = World(endpoint(version(1, READY, **spec), version(2, READY, **spec)))
    deleted = World(replace(endpoint(version(1, READY, **spec)), deleting=True))
    for world in (updated, deleted):
        world.add(1, 1)
    updated.add(2, 1)
    updated.decide()
    deleted.decide()
    assert not updated.step(APP_DELETION_SECONDS).actions
    assert deleted.step(APP_DELETION_SECONDS).actions


def test_a_death_during_an_update_is_made_up_for_by_the_new_version():
    world = World(endpoint(version(1, READY, replicas=2), version(2, replicas=2)), always_ready)
    first, _ = world.add(1, 2)
    world.decide()
    world.die(first)
    assert world.step(1.0).actions == (Start(2, False),)
    assert world.run(10).state is EndpointState.LIVE


def test_failures_are_told_apart_in_the_sentence():
    def said(failure, ready=True):
        world = World(endpoint(version(1, READY, replicas=2)))
        first, _ = world.add(1, 2)
        world.now += 100.0
        world.die(first, failure)
        return world.decide().sentence

    assert "last failure: died: it was killed" in said(FailureKind.DIED)
    assert "last failure: failed to start: it was killed" in said(FailureKind.START)
    assert "last failure: failed its probe: it was killed" in said(FailureKind.PROBE)
    assert "last failure: stuck in a call: it was killed" in said(FailureKind.STUCK)
    assert "last failure: out of memory: it was killed" in said(FailureKind.OUT_OF_MEMORY)


def test_a_version_that_runs_out_of_memory_has_a_state_of_its_own_that_stays():
    world = World(endpoint(version(1)), outcomes=lambda _number, _fresh: FailureKind.OUT_OF_MEMORY)
    while not any(isinstance(action, MarkFailed) for action in world.step(0.5).actions):
        assert world.now < 1100
    assert world.decision.state is EndpointState.OUT_OF_MEMORY
    assert "out of memory" in world.decision.sentence
    wished = world.endpoint.wished
    assert wished.out_of_memory
    world.facts.clear()
    assert world.step().state is EndpointState.OUT_OF_MEMORY


def test_a_ready_version_whose_replicas_all_ran_out_of_memory_says_so():
    world = World(endpoint(version(1, READY)))
    (first,) = world.add(1, 1)
    world.die(first, FailureKind.OUT_OF_MEMORY)
    assert world.decide().state is EndpointState.OUT_OF_MEMORY


def test_replicas_that_end_one_after_the_other_are_called_a_crash_loop():
    world = World(endpoint(version(1, READY)))
    for _ in range(3):
        (name,) = world.add(1, 1)
        world.now += 1.0
        world.die(name)
        world.now += 1.0
    assert "crash loop: 3 replicas ended one after the other" in world.decide().sentence


def test_a_clock_that_is_set_back_or_ahead_holds_up_no_start():
    for jump in (-3600.0, 3600.0):
        world = World(endpoint(version(1, READY)))
        (first,) = world.add(1, 1)
        world.now += 100.0
        world.die(first)
        world.now += jump
        decision = world.decide()
        assert [type(action) for action in decision.actions] == [Start]
        world.run(5)
        assert world.decision.state is EndpointState.LIVE
