"""Requests between a version and its candidate, and between members of a splitter: shares, names, retries, handover."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest

from modelyard.protocol.table import Candidate, EndpointEntry, Member
from modelyard.settings import Home
from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import ScriptedReplica
from tests.integration.gateway.test_faults import Answering
from tests.integration.gateway.test_load_reports import ScriptedController
from tests.integration.gateway.test_predictions import taken_by

ReplicaAt = Callable[..., ScriptedReplica]
TARGET, INVOKED = "x-amzn-sagemaker-target-variant", "x-amzn-invoked-production-variant"


def entry_of(name: str, *replicas: ScriptedReplica, **more: Any) -> EndpointEntry:
    return replace(ENTRY, name=name, replicas=tuple(one.address for one in replicas), **more)


def splitter(*members: Member) -> EndpointEntry:
    return replace(ENTRY, version=None, timeout_seconds=0.0, max_body_bytes=0, max_queue_length=0, members=members)


@pytest.fixture
def split(gateway: GatewayProcess, replica_at: ReplicaAt) -> Any:
    """`Price` split 3 to 1 between two endpoints, with their replicas."""
    one, two = replica_at("r1", max_in_flight=8), replica_at("r2", max_in_flight=8)
    gateway.start(
        splitter(Member("one", 75.0, "champion"), Member("two", 25.0, "challenger", owned=True)),
        entry_of("one", one),
        entry_of("two", two),
    )
    with Answering(one), Answering(two):
        yield gateway, one, two


def test_members_answer_their_shares_and_say_who_they_are(split: Any) -> None:
    gateway, _, _ = split
    found = Counter(gateway.post().headers[INVOKED] for _ in range(40))
    assert found == {"champion": 30, "challenger": 10}
    for name in ("challenger", "CHALLENGER", "champion"):
        assert gateway.post(headers={TARGET: name}).headers[INVOKED] == name.lower()
    assert gateway.post(headers={TARGET: "other"}).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/price",
        "/endpoints/price/invocations",
        "/aws/endpoints/price/invocations",
        "/endpoints/price/invocations-response-stream",
    ],
)
def test_every_lane_knows_the_members(split: Any, path: str) -> None:
    gateway, _, _ = split
    answer = httpx.post(f"{gateway.url}{path}", content=b"{}", headers={TARGET: "challenger"}, timeout=15)
    assert (answer.status_code, answer.headers[INVOKED]) == (200, "challenger")


def test_members_are_versions_to_the_open_inference_protocol(split: Any) -> None:
    gateway, _, _ = split
    models = f"{gateway.url}/v2/models/price"
    infer = httpx.post(f"{models}/versions/challenger/infer", content=b"{}", timeout=15)
    assert (infer.status_code, infer.headers[INVOKED]) == (200, "challenger")
    assert httpx.post(f"{models}/versions/3/infer", content=b"{}").status_code == 404
    states = {
        name: httpx.get(f"{models}{name}/ready").status_code for name in ("", "/versions/champion", "/versions/3")
    }
    assert states == {"": 200, "/versions/champion": 200, "/versions/3": 400}


def test_measured_is_the_variant_under_the_name_that_was_asked(split: Any) -> None:
    gateway, _, _ = split
    gateway.post(headers={TARGET: "challenger"})
    text = httpx.get(f"{gateway.url}/metrics", headers={"x-api-key": "secret-key"}).text
    assert 'modelyard_requests_total{endpoint="Price",variant="challenger",version="1",status="200"} 1' in text


def test_a_members_own_policy_holds_also_through_the_splitter(gateway: GatewayProcess, replica_at: ReplicaAt) -> None:
    replica = replica_at("r1")
    gateway.start(splitter(Member("one", 100.0, "one")), entry_of("one", replica, access={"way": "key"}))
    with Answering(replica):
        assert gateway.post().status_code == 401
        assert gateway.post(headers={"x-api-key": "secret-key"}).status_code == 200
        # Also what control would answer in the members' place.
        queued = f"{gateway.url}/endpoints/price/async-invocations"
        assert httpx.post(queued, content=b"{}").status_code == 401


def test_a_request_for_a_candidate_whose_replica_dies_is_sent_again_to_the_candidates_other(
    gateway: GatewayProcess, replica_at: ReplicaAt
) -> None:
    old = replica_at("r1", max_in_flight=8)
    first, second = replica_at("r2", version=2), replica_at("r3", version=2)
    candidate = Candidate(entry_of("Price", first, second, version=2), percent=50.0)
    gateway.start(entry_of("Price", old, candidate=candidate))
    for one in (old, first, second):
        assert one.greeted.wait(10)
    with Answering(old), ThreadPoolExecutor(1) as pool:
        pending = pool.submit(gateway.post, headers={TARGET: "v2"})
        taken, _, heir = taken_by(first, second)
        taken.die()
        heir.answer(heir.next_request(), b"7")
        answer = pending.result()
    assert (answer.content, answer.headers[INVOKED]) == (b"7", "v2")


def test_a_request_inside_a_version_that_goes_keeps_its_deadline_though_nobody_asks_the_one_that_stays(
    home: Home, gateway: GatewayProcess, replica_at: ReplicaAt
) -> None:
    old, new = replica_at("r1"), replica_at("r2", version=2)
    controller = ScriptedController(home)
    candidate = Candidate(entry_of("Price", new, version=2, timeout_seconds=1.0), percent=50.0)
    gateway.start(entry_of("Price", old, candidate=candidate))
    controller.accept()
    for one in (old, new):
        assert one.greeted.wait(10)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(gateway.post, headers={TARGET: "v2"})
        new.next_request()
        controller.tell(entry_of("Price", old))
        answer = pending.result()
    controller.close()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_passed")
