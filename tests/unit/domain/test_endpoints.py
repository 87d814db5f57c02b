import json
from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.endpoints import (
    VERSIONS_KEPT,
    Endpoint,
    EndpointSpec,
    EndpointState,
    EndpointStatus,
    EndpointVersion,
    ReplicaStatus,
    VersionState,
    endpoint_spec_from,
    endpoint_status_from,
    kept_versions,
)

states = st.lists(st.sampled_from(list(VersionState)), min_size=1, max_size=60)


def versions(states):
    return tuple(EndpointVersion(number, EndpointSpec("p"), 0.0, state) for number, state in enumerate(states, 1))


def test_the_fallback_is_the_newest_earlier_version_that_was_ready():
    new, ready, failed = VersionState.NEW, VersionState.READY, VersionState.FAILED
    assert Endpoint("a", "p", versions([ready, ready, failed, new])).fallback.number == 2
    assert Endpoint("a", "p", versions([new, failed, ready])).fallback is None


@given(states)
def test_keeping_versions_forgets_neither_the_wish_nor_the_fallback_and_is_bounded(states):
    before = Endpoint("a", "p", versions(states))
    after = replace(before, versions=kept_versions(before.versions))
    assert after.wished == before.wished
    assert after.fallback == before.fallback
    assert len(after.versions) <= VERSIONS_KEPT + 1
    assert kept_versions(after.versions) == after.versions
    assert [one.number for one in after.versions] == sorted(one.number for one in after.versions)


def test_a_spec_comes_back_from_json_and_overlooks_what_it_does_not_know():
    spec = EndpointSpec("p", model="price:3", memory_bytes=2**30, environment={"X": "1"})
    document = json.loads(json.dumps(asdict(spec)))
    assert endpoint_spec_from({**document, "from_the_future": 1}) == spec


def test_a_status_comes_back_from_json_with_its_replicas():
    replica = ReplicaStatus("r1", 1, "ready", 4711, 1.0, forked=True)
    status = EndpointStatus(EndpointState.LIVE, "all well", 1, 1, 1, 1, 2.0, (replica,))
    document = json.loads(json.dumps(asdict(status)))
    document["replicas"][0]["from_the_future"] = 1
    assert endpoint_status_from({**document, "from_the_future": 1}) == status


def test_how_a_spec_scales_comes_back_from_json():
    spec = EndpointSpec("p", autoscaling=Autoscaling(min_replicas=0, max_replicas=8))
    assert endpoint_spec_from(json.loads(json.dumps(asdict(spec)))) == spec


def test_the_settings_of_what_serves_count_where_the_wished_version_cannot_start():
    ready, failed = VersionState.READY, VersionState.FAILED
    assert Endpoint("a", "p", versions([ready, failed])).governing.number == 1
    assert Endpoint("a", "p", versions([failed])).governing.number == 1
    assert Endpoint("a", "p", versions([ready, VersionState.NEW])).governing.number == 2


def test_only_versions_that_scale_follow_the_load():
    fixed = EndpointVersion(1, EndpointSpec("p", replicas=2), 0.0)
    scaling = EndpointVersion(2, EndpointSpec("p", autoscaling=Autoscaling()), 0.0)
    scaled = Endpoint("a", "p", (fixed, scaling)).scaled(7)
    assert [one.spec.replicas for one in scaled.versions] == [2, 7]
