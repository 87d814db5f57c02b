"""What is counted adds up, and what is read from it is what was counted."""

import math

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.metrics import (
    CALL_BOUNDS,
    CLASSES_MAX,
    METRICS,
    OTHER_CLASSES,
    SECONDS_BOUNDS,
    Figures,
    MetricPoint,
    MetricRecord,
    Tracked,
    condensed,
    figures_document,
    figures_from,
    points_of,
    total_of,
)

answers = st.tuples(
    st.sampled_from([200, 404, 500, 503]), st.floats(0, 90), st.floats(0, 30), st.floats(0, 30), st.integers(0, 200)
)


def figures_of(several: list[tuple[int, float, float, float, int]]) -> Figures:
    one = Figures()
    for status, seconds, queued, called, size in several:
        one.count_call(status, seconds, queued, called, size)
    return one


@given(st.lists(answers, max_size=30), st.lists(answers, max_size=30))
def test_what_came_since_is_what_came(before: list, after: list) -> None:
    earlier, whole = figures_of(before), figures_of(before + after)
    found = whole.since(earlier)
    expected = figures_of(after)
    assert found.answers == expected.answers
    for part in ("total", "queue", "model", "overhead", "calls"):
        assert getattr(found, part).counts == getattr(expected, part).counts
        assert abs(getattr(found, part).total - getattr(expected, part).total) < 1e-6


@given(st.lists(answers, max_size=30))
def test_figures_survive_being_written_down(several: list) -> None:
    one = figures_of(several)
    one.count(504, 1.0)
    one.retries = 2
    one.tracked.track("a")
    one.tracked.track(1.5)
    assert figures_document(figures_from(figures_document(one))) == figures_document(one)


@given(st.lists(answers, min_size=1, max_size=50))
def test_the_parts_of_a_request_never_count_more_requests_than_there_were(several: list) -> None:
    one = figures_of(several)
    assert one.queue.count == one.model.count == one.overhead.count == one.total.count == one.requests
    assert one.overhead.total >= 0


@given(st.lists(st.floats(0, 100), min_size=1, max_size=100), st.floats(0.01, 1.0))
def test_a_quantile_lies_in_the_bucket_of_the_value_at_its_rank(seconds: list[float], share: float) -> None:
    one = Figures()
    for value in seconds:
        one.count(200, value)
    found = one.total.quantile(share)
    assert found is not None
    exact = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    above = min([bound for bound in SECONDS_BOUNDS if bound >= exact], default=SECONDS_BOUNDS[-1])
    below = max([bound for bound in SECONDS_BOUNDS if bound < above and bound < exact], default=0.0)
    assert below <= found <= above


def test_nothing_counted_is_no_quantile_and_no_mean() -> None:
    assert Figures().total.quantile(0.5) is None
    assert Figures().calls.mean is None
    assert Figures().empty


def test_a_call_of_several_requests_is_counted_once() -> None:
    one = figures_of([(200, 0.1, 0.0, 0.1, 3), (200, 0.1, 0.0, 0.1, 0), (200, 0.1, 0.0, 0.1, 0)])
    assert (one.calls.count, one.calls.mean, one.calls.quantile(1.0, CALL_BOUNDS)) == (1, 3.0, 4.0)


def test_classes_beyond_the_limit_are_counted_together() -> None:
    tracked = Tracked()
    for number in range(CLASSES_MAX + 5):
        tracked.track(str(number))
    assert len(tracked.classes) == CLASSES_MAX + 1
    assert tracked.classes[OTHER_CLASSES] == 5


def records(count: int, version: int = 1, begin: float = 0.0) -> list[MetricRecord]:
    one = figures_of([(200, 0.1, 0.0, 0.1, 1)])
    return [MetricRecord(begin + 5.0 * (number + 1), 5.0, version, one, 2.0, 1.0, 3.0) for number in range(count)]


def test_records_add_up_to_steps_and_gauges_to_their_average() -> None:
    points = points_of([*records(24), *records(12, version=2)], 60.0)
    assert [(one.at, one.figures.requests) for one in points] == [(60.0, 24), (120.0, 12)]
    assert {(one.in_flight, one.queued, one.replicas) for one in points} == {(2.0, 1.0, 3.0)}


@given(st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 3)), max_size=40))
def test_condensing_keeps_versions_apart_and_loses_no_answer(made: list[tuple[int, int]]) -> None:
    several = [one for number, version in made for one in records(1, version, begin=5.0 * number)]
    fewer = condensed(several, 60)
    for version in (1, 2, 3):
        before = total_of(one.figures for one in several if one.version == version)
        after = total_of(one.figures for one in fewer if one.version == version)
        assert before.answers == after.answers
    assert len({(one.at, one.version) for one in fewer}) == len(fewer)


def test_every_metric_can_be_read_of_something_and_of_nothing() -> None:
    figures = figures_of([(200, 0.1, 0.02, 0.05, 2), (500, 0.1, 0.02, 0.05, 0)])
    figures.tracked.track(7.0)
    point = MetricPoint(60.0, 60.0, figures, 2.0, 1.0, 3.0)
    values = {name: metric.read(point) for name, metric in METRICS.items()}
    assert None not in values.values()
    assert (values["requests"], values["error_rate"], values["errors_5xx"]) == (2, 0.5, 1)
    assert (values["batch_mean"], values["predicted_mean"], values["in_flight"]) == (2.0, 7.0, 2.0)
    silent = MetricPoint(60.0, 60.0, Figures())
    assert {name for name, metric in METRICS.items() if metric.read(silent) is not None} >= {"requests", "queued"}
