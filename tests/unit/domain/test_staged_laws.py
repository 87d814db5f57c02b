"""Staged rollouts and swaps by law: whatever happens, requests have somewhere to go, steps only go up, and it ends."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.domain.endpoints import EndpointState, VersionState
from modelyard.domain.replicas import FailureKind, ReplicaState
from modelyard.domain.strategies import StrategyType, UpdateStrategy, stages_of
from modelyard.domain.verdicts import Evidence, Tally
from tests.unit.domain.world import World, endpoint, version

STEPS_TO_SETTLE = 300

staged = st.one_of(
    st.builds(
        UpdateStrategy,
        type=st.just(StrategyType.CANARY),
        steps=st.sampled_from([(10.0,), (1.0, 50.0), (25.0, 50.0, 75.0)]),
        bake_seconds=st.sampled_from([0.0, 2.0, 7.0]),
    ),
    st.builds(UpdateStrategy, st.just(StrategyType.LINEAR), step_percent=st.sampled_from([5.0, 30.0, 100.0]),
              bake_seconds=st.sampled_from([0.0, 1.5])),
    st.builds(UpdateStrategy, st.just(StrategyType.BLUE_GREEN), termination_wait_seconds=st.sampled_from([0.0, 9.0])),
    st.builds(UpdateStrategy, st.just(StrategyType.SHADOW), bake_seconds=st.sampled_from([0.0, 4.0])),
)  # fmt: skip
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 5.0])),
        st.tuples(st.just("die"), st.integers(0, 10)),
        st.tuples(st.just("pause"), st.booleans()),
        st.tuples(st.just("promote"), st.integers(0, 3)),
        st.tuples(st.just("reboot"), st.none()),
    ),
    max_size=15,
)


def a_rollout(strategy, replicas):
    world = World(endpoint(version(1, VersionState.READY, replicas=replicas)))
    world.add(1, replicas)
    world.deploy(replicas=replicas, update_strategy=strategy)
    return world


def steer(world, **wish):
    wished = world.endpoint.wished
    steered = replace(wished, steering=replace(wished.steering, **wish))
    world.endpoint = replace(world.endpoint, versions=(*world.endpoint.versions[:-1], steered))


def happen(world, what, how):
    if what == "wait":
        world.step(how)
    elif what == "die" and world.live:
        world.die(world.live[how % len(world.live)].id)
    elif what == "pause":
        steer(world, paused=how)
    elif what == "promote":
        steer(world, promoted_to=max(how, world.endpoint.wished.steering.promoted_to))
    elif what == "reboot":
        world.reboot()
    world.decide()


def assert_requests_have_a_place(world):
    """Some version answers as soon as any replica is ready, and shares are shares."""
    decision = world.decision
    ready = {one.version for one in world.ready}
    if world.endpoint.wished.state is not VersionState.NEW or not ready:
        return
    traffic = decision.traffic
    beside = {traffic.version} if traffic is not None and traffic.percent else set()
    served = ready if decision.serves is None else set(decision.serves)
    assert (served | beside) & ready or not (ready - {world.endpoint.wished.number})
    if traffic is not None:
        assert 0 <= traffic.percent < 100
        assert traffic.version in ready
        assert traffic.version not in served


@settings(deadline=None, max_examples=120)
@given(strategy=staged, replicas=st.integers(1, 4), chaos=happenings)
def test_whatever_happens_steps_only_go_up_and_requests_have_a_place(strategy, replicas, chaos):
    world = a_rollout(strategy, replicas)
    step, percent = 0, 0.0
    for what, how in chaos:
        happen(world, what, how)
        assert_requests_have_a_place(world)
        progress = world.endpoint.wished.progress
        assert progress.step >= step
        assert progress.percent >= percent
        step, percent = progress.step, progress.percent


@settings(deadline=None, max_examples=80)
@given(strategy=staged, replicas=st.integers(1, 4), chaos=happenings)
def test_it_ends_with_one_version_in_full(strategy, replicas, chaos):
    world = a_rollout(strategy, replicas)
    for what, how in chaos:
        happen(world, what, how)
    steer(world, paused=False)
    decision = world.run(STEPS_TO_SETTLE)
    assert decision.actions == ()
    serving = 1 if world.endpoint.wished.given_up else 2
    assert [one.version for one in world.live] == [serving] * replicas
    assert decision.serving_version == serving


@settings(deadline=None, max_examples=60)
@given(strategy=staged, replicas=st.integers(1, 4), steps=st.integers(0, 40))
def test_the_old_version_is_there_in_full_until_the_last_step_is_over(strategy, replicas, steps):
    world = a_rollout(strategy, replicas)
    for _ in range(steps):
        world.step(0.5)
        if world.endpoint.wished.state is VersionState.NEW:
            assert sum(one.version == 1 for one in world.ready) == replicas


@settings(deadline=None, max_examples=60)
@given(strategy=staged, replicas=st.integers(1, 4), steps=st.integers(0, 40))
def test_a_version_that_answers_errors_is_called_back_at_once_and_gets_nothing_more(strategy, replicas, steps):
    world = a_rollout(strategy, replicas)
    world.run(steps, 0.5) if steps else world.decide()
    world.evidence = Evidence(step={1: Tally(1000, 0), 2: Tally(100, 90)})
    before = world.endpoint.wished
    was_on_its_way = before.state is VersionState.NEW and before.progress.began_at is not None
    decision = world.step(0.01)
    if was_on_its_way:
        assert world.endpoint.wished.state is VersionState.ROLLED_BACK
        assert decision.serving_version == 1
        assert decision.serves == {1}
        assert decision.traffic is None
        settled = world.run(20)
        assert settled.state is EndpointState.LIVE
        assert "version 2 was rolled back, version 1 serves: 90 of its 100 answers were errors" in settled.sentence


@settings(deadline=None, max_examples=40)
@given(strategy=staged, replicas=st.integers(1, 3))
def test_each_step_stands_as_long_as_it_was_told_to(strategy, replicas):
    world = a_rollout(strategy, replicas)
    began: dict[int, float] = {}
    left: dict[int, float] = {}
    for _ in range(1600):
        world.step(0.25)
        progress = world.endpoint.wished.progress
        if progress.began_at is not None:
            began.setdefault(progress.step, progress.began_at)
        for step in began:
            if progress.step > step or world.endpoint.wished.state is VersionState.READY:
                left.setdefault(step, world.now)
    stages = stages_of(strategy)
    for step, stage in enumerate(stages):
        if stage.seconds:
            assert left[step] - began[step] >= stage.seconds


@settings(deadline=None, max_examples=60)
@given(replicas=st.integers(1, 4), fails=st.booleans(), steps=st.integers(5, 60))
def test_a_swap_never_has_more_alive_than_wished_and_holds_requests(replicas, fails, steps):
    world = a_rollout(UpdateStrategy(StrategyType.SWAP), replicas)
    world.outcomes = lambda number, _fresh: FailureKind.START if fails and number == 2 else None
    for _ in range(steps):
        decision = world.step()
        assert len(world.live) <= replicas
        assert world.ready or decision.holds or world.endpoint.wished.given_up
    world.run(STEPS_TO_SETTLE)
    assert [one.version for one in world.ready] == [1 if fails else 2] * replicas


def test_a_swap_needs_no_room_beside_what_goes():
    world = a_rollout(UpdateStrategy(StrategyType.SWAP), 1)
    world.room = 0
    world.step()
    assert [one.state for one in world.live] == [ReplicaState.DRAINING]
    assert world.decision.holds
    world.run(3)
    world.room = 1
    assert world.run(4).state is EndpointState.LIVE
