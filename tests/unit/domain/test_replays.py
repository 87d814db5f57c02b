"""What two answers differ in, and what a replay's report says of many."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.replays import Answer, Tally, differences, quantiles, report_document, report_from

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def answer(value: object, status: int = 200, kind: str = "application/json") -> Answer:
    return Answer(status, kind, value.encode() if isinstance(value, str) else json.dumps(value).encode())


def fields(one: object, two: object, tolerance: float = 1e-6, ignored: tuple[str, ...] = ()) -> list[str]:
    return [found.field for found in differences(answer(one), answer(two), tolerance, ignored)]


@given(JSON)
def test_an_answer_does_not_differ_from_itself_however_it_is_written(value: object) -> None:
    written = Answer(200, "application/json", json.dumps(value, indent=2).encode())
    assert differences(Answer(200, "application/json", json.dumps(value).encode()), written, 0.0) == []


@given(JSON, JSON)
def test_differing_is_mutual(one: object, two: object) -> None:
    there, back = (differences(answer(a), answer(b), 0.0) for a, b in (([one], [two]), ([two], [one])))
    assert [(found.field, found.given, found.answered) for found in there] == [
        (found.field, found.answered, found.given) for found in back
    ]


def test_fields_are_named_as_people_find_them() -> None:
    one = {"model": "a", "predictions": [{"score": 1.0, "label": "x"}, {"score": 2.0, "label": "y"}]}
    two = {"model": "b", "predictions": [{"score": 1.0, "label": "x"}, {"score": 2.5, "label": "z"}]}
    assert fields(one, two) == ["model", "predictions[].label", "predictions[].score"]
    assert fields(one, two, ignored=("model", "predictions")) == []
    assert fields(one, two, ignored=("predictions[].score",)) == ["model", "predictions[].label"]
    assert fields({"a": 1}, {"b": 1}) == ["a", "b"]
    assert fields([1, 2], [1]) == ["answer"]
    assert fields(1, True) == ["answer"]


def test_numbers_within_the_tolerance_are_the_same() -> None:
    assert fields([1.0, 1e9], [1.0 + 1e-7, 1e9 + 1]) == []
    assert fields([1.0], [1.1], tolerance=0.2) == []
    (found,) = differences(answer([1.0]), answer([1.5]), 0.1)
    assert found.distance == 0.5
    assert fields(math.nan, math.nan) == []
    assert fields(10**400, 10**400 + 1) == ["answer"]
    assert differences(answer(math.inf), answer(1.0), 0.1)[0].distance is None


def test_csv_differs_by_column_and_what_is_neither_by_its_bytes() -> None:
    one, two = answer("1,a\n2,b\n", kind="text/csv"), answer("1.0,a\n2,c\n", kind="text/csv; charset=utf-8")
    assert [found.field for found in differences(one, two, 0.0)] == ["[].column 2"]
    assert [one.field for one in differences(answer("a", kind="text/plain"), answer("b", kind="text/plain"), 0)] == [
        "body"
    ]


def test_a_status_of_its_own_and_no_answer_at_all_are_differences() -> None:
    assert [one.field for one in differences(answer(1), answer(1, 500), 0)] == ["status"]
    assert [one.field for one in differences(answer(1), None, 0)] == ["answer"]


def test_the_report_counts_requests_and_shows_the_first_that_differ() -> None:
    tally = Tally("price", "price:2", 1e-6, ())
    for number, candidate in enumerate([answer([1]), answer([2]), answer([4]), answer("x", 500), None]):
        record = {"id": f"r{number}", "version": 3, "seconds": 0.01 * (number + 1)}
        tally.add(record, b"{}", answer([1]), candidate, 0.02)
    tally.skip()
    report = tally.finish()
    assert (report.requests, report.same, report.different, report.failed, report.skipped) == (5, 1, 4, 2, 1)
    assert [(one.field, one.requests, one.distance) for one in report.fields] == [
        ("[]", 2, 3),
        ("answer", 1, None),
        ("status", 1, None),
    ]
    assert [one.request_id for one in report.samples] == ["r1", "r2", "r3", "r4"]
    assert report.version == 3
    assert (report.captured_seconds["p50"], report.candidate_seconds["max"]) == (0.03, 0.02)
    assert report_from(json.loads(json.dumps(report_document(report)))) == report


@given(st.lists(st.floats(0, 100), min_size=1))
def test_quantiles_are_values_that_there_were_and_ascend(seconds: list[float]) -> None:
    found = list(quantiles(seconds).values())
    assert found == sorted(found)
    assert set(found) <= set(seconds)
    assert found[-1] == max(seconds)


@pytest.mark.parametrize("tolerance", [0.0, 0.1])
def test_nothing_is_within_any_tolerance_of_another_type(tolerance: float) -> None:
    assert fields([1], ["1"], tolerance) == ["[]"]
    assert fields([None], [0], tolerance) == ["[]"]
