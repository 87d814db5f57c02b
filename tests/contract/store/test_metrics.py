"""What endpoints did is remembered finely of late and coarsely of long ago, and nothing is counted twice."""

import pytest

from modelyard.domain.metrics import Figures, MetricRecord
from modelyard.store import memory, metrics
from modelyard.store.ports import Store

DAY = 86400.0


def figures(answers: int, seconds: float = 0.02, status: int = 200) -> Figures:
    one = Figures()
    for _ in range(answers):
        one.count_call(status, seconds, seconds / 4, seconds / 2, 1)
    one.tracked.track("spam")
    one.tracked.track(2.5)
    return one


def record(at: float, answers: int, version: int = 1) -> MetricRecord:
    return MetricRecord(at, 5.0, version, figures(answers), in_flight=1.5, queued=0.5, replicas=2.0)


def test_a_record_comes_back_whole_oldest_first(store: Store) -> None:
    store.metrics.add([("Price", record(110.0, 4)), ("price", record(105.0, 3)), ("other", record(110.0, 9))], {})
    first, second = store.metrics.select("PRICE")
    assert (first.at, second.at, second.seconds, second.version) == (105.0, 110.0, 5.0, 1)
    assert (second.in_flight, second.queued, second.replicas) == (1.5, 0.5, 2.0)
    assert (second.figures.answers, second.figures.model.count) == ({200: 4}, 4)
    assert (second.figures.tracked.classes, second.figures.tracked.maximum) == ({"spam": 1}, 2.5)


def test_a_time_and_a_version_can_be_asked_for(store: Store) -> None:
    store.metrics.add([("price", record(float(at), 1, version=at % 2 + 1)) for at in (5, 10, 15, 20)], {})
    assert [one.at for one in store.metrics.select("price", since=5.0, until=15.0)] == [10.0, 15.0]
    assert [one.at for one in store.metrics.select("price", version=2)] == [5.0, 15.0]


def test_totals_are_replaced_by_place_and_those_of_a_gateway_that_is_gone_go(store: Store) -> None:
    store.metrics.add([], {("a", "price", 1): figures(3), ("b", "price", 1): figures(5)})
    store.metrics.add([], {("a", "price", 1): figures(4), ("", "price", 1): figures(5)}, gone=["b"])
    found = {place: one.requests for place, one in store.metrics.totals().items()}
    assert found == {("a", "price", 1): 4, ("", "price", 1): 5}


def test_old_records_become_fewer_and_no_answer_is_lost(store: Store) -> None:
    begin = 1000 * DAY
    store.metrics.add([("price", record(begin + 5.0 * number, 1)) for number in range(1, 49)], {})
    assert store.metrics.condense(begin + 60.0) == 0
    assert store.metrics.condense(begin + 3 * 3600 + 130.0) == 24
    found = list(store.metrics.select("price"))
    assert [one.at - begin for one in found[:3]] == [60.0, 120.0, 125.0]
    assert sum(one.figures.requests for one in found) == 48
    assert found[0].seconds == 60.0
    assert found[0].in_flight == pytest.approx(1.5)
    store.metrics.condense(begin + 4 * DAY)
    [hour] = store.metrics.select("price")
    assert (hour.seconds, hour.figures.requests) == (3600.0, 48)
    store.metrics.condense(begin + 200 * DAY)
    assert list(store.metrics.select("price")) == []


def test_condensing_goes_on_where_it_was_too_much_for_one_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "CONDENSED_AT_ONCE_MAX", 30)
    begin = 1000 * DAY
    store.metrics.add([("price", record(begin + 5.0 * number, 1)) for number in range(1, 49)], {})
    for _ in range(4):
        store.metrics.condense(begin + DAY)
    found = list(store.metrics.select("price"))
    assert [one.figures.requests for one in found] == [12, 12, 12, 12]


def test_records_are_bounded_whatever_their_age(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (metrics, memory):
        monkeypatch.setattr(module, "METRIC_RECORDS_MAX", 3)
    for at in (5.0, 10.0, 15.0, 20.0, 25.0):
        store.metrics.add([("price", record(at, 1))], {})
    assert [one.at for one in store.metrics.select("price")] == [15.0, 20.0, 25.0]


def test_what_is_forgotten_is_gone_for_that_endpoint_alone(store: Store) -> None:
    for name in ("price", "other"):
        store.metrics.add([(name, record(5.0, 1))], {("a", name, 1): figures(1)})
    store.metrics.forget("PRICE")
    assert list(store.metrics.select("price")) == []
    assert len(list(store.metrics.select("other"))) == 1
    assert list(store.metrics.totals()) == [("a", "other", 1)]
