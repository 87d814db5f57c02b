"""What autoscaling saw and decided is remembered, newest first, and bounded for each endpoint."""

from dataclasses import replace

import pytest

from modelyard.domain.autoscaling import Recommendation, Rule
from modelyard.domain.traces import LoadRecord
from modelyard.store import memory, scaling
from modelyard.store.ports import Store

DECISION = Recommendation(
    at=100.0,
    rule=Rule.BURST,
    current=1,
    requested=12,
    sentence="12 in flight at once: 1 -> 12",
    target_in_flight=1.0,
    min_replicas=0,
    max_replicas=None,
    capacity=16,
    average_in_flight=1.5,
    lasting_in_flight=12.0,
    burst=12,
    recommended=12,
)
LOAD = LoadRecord(at=105.0, seconds=5.0, in_flight=1.5, queued=0.25, arrivals=40, replicas=2)


@pytest.fixture(autouse=True)
def low_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (scaling, memory):
        monkeypatch.setattr(module, "DECISIONS_PER_ENDPOINT_MAX", 3)
        monkeypatch.setattr(module, "LOADS_PER_ENDPOINT_MAX", 3)


def test_a_decision_comes_back_with_every_term(store: Store) -> None:
    store.scaling.add_decisions([("Price", DECISION)])
    assert store.scaling.decisions("price") == [DECISION]
    assert store.scaling.decisions("other") == []


def test_decisions_are_bounded_for_each_endpoint_and_come_newest_first(store: Store) -> None:
    store.scaling.add_decisions([])
    decisions = [replace(DECISION, requested=number) for number in range(5)]
    store.scaling.add_decisions([("price", decisions[0]), ("other", DECISION)])
    store.scaling.add_decisions(("price", one) for one in decisions[1:])
    assert [one.requested for one in store.scaling.decisions("price")] == [4, 3, 2]
    assert [one.requested for one in store.scaling.decisions("price", limit=1)] == [4]
    assert len(store.scaling.decisions("other")) == 1


def test_the_newest_load_comes_oldest_first_and_is_bounded_for_each_endpoint(store: Store) -> None:
    records = [replace(LOAD, at=float(number)) for number in range(1, 6)]
    store.scaling.add_loads([("Price", one) for one in records] + [("other", LOAD)])
    assert store.scaling.loads("price") == records[2:]
    assert store.scaling.loads("price", limit=2) == records[3:]
    assert store.scaling.loads("price", since=4.0) == records[4:]
    assert store.scaling.loads("other") == [LOAD]
    store.scaling.add_loads([])


def test_what_is_forgotten_is_gone_for_that_endpoint_alone(store: Store) -> None:
    for name in ("price", "other"):
        store.scaling.add_decisions([(name, DECISION)])
        store.scaling.add_loads([(name, LOAD)])
    store.scaling.forget("PRICE")
    assert (store.scaling.decisions("price"), store.scaling.loads("price")) == ([], [])
    assert (store.scaling.decisions("other"), store.scaling.loads("other")) == ([DECISION], [LOAD])
