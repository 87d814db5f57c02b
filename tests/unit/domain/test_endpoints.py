import json
from dataclasses import asdict, replace

from hypothesis import given
from hypothesis import strategies as st

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
