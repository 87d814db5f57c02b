"""Rollouts by law: whatever happens in the small world, these hold at every step (see `World._check_laws`) and at the
end."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.domain.endpoints import EndpointState, VersionState
from modelyard.domain.failures import START_ATTEMPTS
from modelyard.domain.replicas import FailureKind
from tests.unit.domain.world import World, endpoint, version

STEPS_TO_SETTLE = 400
"""Back-off reaches a minute, so settling after many failures takes some of these seconds."""

specs = st.fixed_dictionaries(
    {
        "replicas": st.integers(1, 6),
        "max_surge": st.sampled_from(["0", "1", "2", "25%", "100%"]),
        "max_unavailable": st.sampled_from(["0", "1", "25%", "50%"]),
        "drain_seconds": st.sampled_from([1.0, 60.0]),
    }
)
failures = st.sampled_from([FailureKind.START, FailureKind.PROBE])
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 5.0, 70.0])),
        st.tuples(st.just("die"), st.integers(0, 10)),
        st.tuples(st.just("deploy"), specs),
        st.tuples(st.just("room"), st.integers(-1, 8)),
    ),
    max_size=25,
)


def happen(world, what, how):
    if what == "wait":
        world.step(how)
    elif what == "die" and world.live:
        world.die(world.live[how % len(world.live)].id)
    elif what == "deploy":
        world.deploy(**how)
    elif what == "room":
        world.room = how
    world.decide()


def assert_serves_exactly(world, number):
    wanted = world.endpoint.version(number).spec.replicas
    assert [one.version for one in world.live] == [number] * wanted
    assert len(world.ready) == wanted


@settings(deadline=None, max_examples=150)
@given(first=specs, chaos=happenings)
def test_whatever_happened_it_ends_live_with_exactly_what_is_wished(first, chaos):
    world = World(endpoint(version(1, **first)))
    for what, how in chaos:
        happen(world, what, how)
    # Deaths may have failed the last version; what is deployed now has a clean record.
    world.deploy(replicas=3)
    world.room = 100
    decision = world.run(STEPS_TO_SETTLE)
    assert decision.state is EndpointState.LIVE
    assert decision.actions == ()
    assert decision.wake_at is None
    assert world.endpoint.wished.state is VersionState.READY
    assert_serves_exactly(world, world.endpoint.wished.number)


@settings(deadline=None, max_examples=100)
@given(first=specs, second=specs, failure=failures)
def test_a_version_that_always_fails_is_given_up_and_the_old_one_serves_in_full(first, second, failure):
    world = World(endpoint(version(1, VersionState.READY, **first)))
    world.add(1, first["replicas"])
    world.deploy(**second)
    world.outcomes = lambda number, _fresh: failure if number == 2 else None
    decision = world.run(STEPS_TO_SETTLE)
    assert world.endpoint.wished.state is VersionState.FAILED
    assert decision.state is EndpointState.ERROR
    assert decision.serving_version == 1
    assert_serves_exactly(world, 1)
    attempts = sum(one.version == 2 for one in world.facts.values())
    at_once = max(1, second["replicas"])
    assert START_ATTEMPTS <= attempts <= START_ATTEMPTS - 1 + at_once


@settings(deadline=None, max_examples=60)
@given(first=specs, second=specs)
def test_the_old_version_never_serves_with_less_than_both_versions_allow(first, second):
    second = {**second, "max_unavailable": "0"}
    world = World(endpoint(version(1, VersionState.READY, **first)))
    world.add(1, first["replicas"])
    world.deploy(**second)
    fewest = min(first["replicas"], second["replicas"])
    for _ in range(60):
        world.step()
        assert len(world.ready) >= int(fewest)


@settings(deadline=None, max_examples=60)
@given(spec=specs, hangs=st.sampled_from(["all", "wished"]))
def test_forks_that_hang_lead_to_fresh_processes_that_serve(spec, hangs):
    world = World(endpoint(version(1, VersionState.READY, **spec)))
    world.add(1, spec["replicas"])
    world.deploy(**spec)
    world.outcomes = lambda number, fresh: (
        FailureKind.HUNG_AFTER_FORK if not fresh and (hangs == "all" or number == 2) else None
    )
    assert world.run(100).state is EndpointState.LIVE
    assert_serves_exactly(world, 2)
    assert all(not one.forked for one in world.live)


@settings(deadline=None, max_examples=60)
@given(first=specs, second=specs, steps=st.integers(0, 30))
def test_a_reboot_at_any_moment_ends_with_what_should_serve(first, second, steps):
    world = World(endpoint(version(1, VersionState.READY, **first)))
    world.add(1, first["replicas"])
    world.deploy(**second)
    world.outcomes = lambda number, _fresh: FailureKind.START if number == 2 else None
    world.run(steps) if steps else world.decide()
    world.reboot()
    world.run(STEPS_TO_SETTLE)
    assert_serves_exactly(world, 1)


@settings(deadline=None, max_examples=60)
@given(first=specs, chaos=happenings)
def test_deletion_ends_with_nothing_whatever_happened_before(first, chaos):
    world = World(endpoint(version(1, **first)))
    for what, how in chaos:
        happen(world, what, how)
    world.endpoint = replace(world.endpoint, deleting=True)
    for _ in range(100):
        world.step()
        if world.removed:
            break
    assert world.removed
    assert not world.live


@settings(deadline=None, max_examples=60)
@given(first=specs, chaos=happenings)
def test_time_to_look_again_is_never_in_the_past(first, chaos):
    world = World(endpoint(version(1, **first)))
    for what, how in chaos:
        happen(world, what, how)
        assert world.decision.wake_at is None or world.decision.wake_at > world.now
