"""Replicas follow the load: up within seconds, down when it ends, to zero and back without a lost request."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.acceptance.yard import Load, Yard, eventually

pytestmark = pytest.mark.acceptance

PREDICTOR = """
import time

class Predictor:
    def predict(self, payload):
        time.sleep(0.05)
        return "done"
"""

SCALING = """
- name: slow
  predictor: {path: predictor.py}
  autoscaling:
    min_replicas: 1
    max_replicas: 16
    window: 2s
    downscale_stabilization_period: 8s
    max_downscale_factor: 0.0
"""

TO_ZERO = """
- name: slow
  predictor: {path: predictor.py}
  autoscaling: {min_replicas: 0, max_replicas: 2, last_replica_delay: 1s}
"""


def asked_for(yard: Yard) -> int:
    return yard.client().endpoint("slow").requested


def live(yard: Yard, path: Path) -> Yard:
    yard.client().deploy(path)
    view = yard.client().wait_endpoint("slow")
    assert view.state == "live", view.sentence
    return yard


@pytest.fixture
def at_zero(yard: Yard, project: Callable[..., Path]) -> Yard:
    """A yard whose only endpoint has proved itself and gone to zero."""
    live(yard, project(TO_ZERO, predictor__py=PREDICTOR))
    eventually(lambda: yard.client().endpoint("slow").replicas == [], saying="zero replicas")
    return yard


def ask(yard: Yard, statuses: list[int]) -> None:
    statuses.append(httpx.post(f"{yard.url}/endpoints/slow/invocations", json={}, timeout=60).status_code)


def call_in_a_row(yard: Yard, stop: threading.Event, statuses: list[int]) -> None:
    """One client, again and again."""
    with httpx.Client(timeout=60) as client:
        while not stop.is_set():
            statuses.append(client.post(f"{yard.url}/endpoints/slow/invocations", json={}).status_code)


@pytest.mark.long
def test_a_step_from_1_to_12_in_flight_is_met_at_once_and_given_back_when_it_ends(
    yard: Yard, project: Callable[..., Path]
) -> None:
    live(yard, project(SCALING, predictor__py=PREDICTOR))
    stop, statuses = threading.Event(), []
    clients = [threading.Thread(target=call_in_a_row, args=(yard, stop, statuses)) for _ in range(12)]
    clients[0].start()
    eventually(lambda: len(statuses) > 10)
    for client in clients[1:]:
        client.start()
    eventually(lambda: yard.client().endpoint("slow").ready >= 12)
    met_at = time.time()
    loads = eventually(lambda: yard.client().load("slow", since=met_at + 5.0), saying="a record of the load after it")
    stop.set()
    for client in clients:
        client.join()
    assert set(statuses) == {200}
    # How long it takes depends on the machine, in how many steps does not: clients that start while others already
    # count may make it two.
    decisions = yard.client().scaling("slow").decisions
    raised = [one for one in decisions if one.requested > one.current >= 1]
    assert {one.rule for one in raised} == {"burst"}
    assert len(raised) <= 2
    assert all(one.queued < 1 for one in loads), "requests wait although there is a replica for each"
    eventually(lambda: asked_for(yard) == 1, saying="one replica")
    events = [one["sentence"] for one in yard.client().events("endpoint", "slow")]
    assert any("raised at once for a burst" in one for one in events)
    assert not any(one.startswith("updating") for one in events[: len(events) - 3])


def test_requests_to_an_endpoint_at_zero_are_held_and_answered(at_zero: Yard) -> None:
    view = at_zero.client().endpoint("slow")
    assert (view.state, view.requested, view.ready) == ("live", 0, 0)
    assert "at zero" in view.sentence
    statuses: list[int] = []
    callers = [threading.Thread(target=ask, args=(at_zero, statuses)) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [200] * 6
    eventually(lambda: at_zero.client().endpoint("slow").replicas == [], saying="zero again")


def test_a_request_is_held_for_a_controller_that_is_just_coming_back(at_zero: Yard) -> None:
    at_zero.kill("controller")
    statuses: list[int] = []
    ask(at_zero, statuses)
    assert statuses == [200]


def test_what_was_asked_for_outlives_the_controller(yard: Yard, project: Callable[..., Path]) -> None:
    live(yard, project(SCALING.replace("period: 8s", "period: 60s"), predictor__py=PREDICTOR))
    with Load(yard, "slow", {}, clients=6) as load:
        eventually(lambda: yard.client().endpoint("slow").ready >= 6)
        before = {one["pid"] for one in yard.replicas("slow")}
        yard.kill("controller")
        load.wait_for_answers(200)
        eventually(lambda: yard.client().scaling("slow").decisions[0].rule in ("young", "steady"))
        assert {one["pid"] for one in yard.replicas("slow")} >= before
    assert load.failures == []


def test_a_new_version_keeps_the_present_number_of_replicas(yard: Yard, project: Callable[..., Path]) -> None:
    scaling = SCALING.replace("period: 8s", "period: 60s")
    live(yard, project(scaling, predictor__py=PREDICTOR))
    with Load(yard, "slow", {}, clients=4) as load:
        eventually(lambda: yard.client().endpoint("slow").ready >= 4)
        live(yard, project(scaling, predictor__py=PREDICTOR.replace('"done"', '"changed"')))
        load.wait_for_answers(40)
        assert yard.client().endpoint("slow").up_to_date >= 4
    assert load.failures == []
