"""An alarm goes off for good reasons, stays while it may, and says why."""

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.alarms import (
    AlarmSpec,
    AlarmState,
    Comparison,
    Missing,
    Webhook,
    alarm_spec_from,
    breaches,
    check_alarm,
    judge,
    why_not_rolled_back,
)
from modelyard.domain.endpoints import Cause, Endpoint, EndpointSpec, EndpointVersion, Origin, VersionState
from modelyard.errors import InvalidValue

OK, ALARM, TOO_LITTLE = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
ERRORS = AlarmSpec("price", "error_rate", Comparison.ABOVE, 0.05, periods=3, datapoints=2)

specs = st.integers(1, 6).flatmap(
    lambda periods: st.builds(
        AlarmSpec,
        endpoint=st.just("price"),
        metric=st.just("error_rate"),
        comparison=st.sampled_from(Comparison),
        threshold=st.floats(-5, 5),
        periods=st.just(periods),
        datapoints=st.integers(1, periods),
        missing=st.sampled_from(Missing),
    )
)
values = st.one_of(st.none(), st.floats(-10, 10))
states = st.sampled_from(AlarmState)


@pytest.mark.parametrize(
    ("seen", "present", "expected"),
    [
        ((0.1, 0.0, 0.1), OK, ALARM),
        ((0.1, 0.1, 0.0), OK, ALARM),
        ((0.0, 0.0, 0.1), ALARM, OK),
        ((0.0, 0.0, 0.0), ALARM, OK),
        ((None, 0.1, None), OK, OK),
        ((None, 0.1, None), ALARM, ALARM),
        ((None, 0.1, None), TOO_LITTLE, TOO_LITTLE),
        ((None, None, 0.0), TOO_LITTLE, OK),
        ((None, None, None), ALARM, TOO_LITTLE),
        ((0.05, 0.05, 0.05), OK, OK),
    ],
)
def test_two_of_three(seen: tuple[float | None, ...], present: AlarmState, expected: AlarmState) -> None:
    assert judge(ERRORS, seen, present).state is expected


@pytest.mark.parametrize(
    ("missing", "expected"),
    [(Missing.MISSING, TOO_LITTLE), (Missing.IGNORE, ALARM), (Missing.BREACHING, ALARM), (Missing.NOT_BREACHING, OK)],
)
def test_silence_counts_as_the_file_says(missing: Missing, expected: AlarmState) -> None:
    assert judge(replace(ERRORS, missing=missing), (None, None, None), ALARM).state is expected


@given(specs, st.data(), states)
def test_what_stays_as_it_is_leaves_the_alarm_as_it_is(spec: AlarmSpec, data: st.DataObject, present: AlarmState):
    seen = data.draw(st.lists(values, min_size=spec.periods, max_size=spec.periods))
    first = judge(spec, seen, present).state
    assert judge(spec, seen, first).state is first


@given(specs, st.data(), states)
def test_where_everything_was_measured_the_past_does_not_count(
    spec: AlarmSpec, data: st.DataObject, present: AlarmState
) -> None:
    seen = data.draw(st.lists(st.floats(-10, 10), min_size=spec.periods, max_size=spec.periods))
    enough = sum(breaches(spec, value) for value in seen) >= spec.datapoints
    assert judge(spec, seen, present).state is (ALARM if enough else OK)


@given(specs, st.data(), states)
def test_one_more_breach_never_ends_an_alarm(spec: AlarmSpec, data: st.DataObject, present: AlarmState) -> None:
    seen = data.draw(st.lists(values, min_size=spec.periods, max_size=spec.periods))
    worse = list(seen)
    above = spec.comparison in (Comparison.ABOVE, Comparison.AT_LEAST)
    worse[data.draw(st.integers(0, spec.periods - 1))] = 100.0 if above else -100.0
    if judge(spec, seen, present).state is ALARM:
        assert judge(spec, worse, present).state is ALARM


@given(specs, st.data(), states)
def test_every_verdict_is_one_sentence_that_names_the_condition(
    spec: AlarmSpec, data: st.DataObject, present: AlarmState
) -> None:
    seen = data.draw(st.lists(values, min_size=spec.periods, max_size=spec.periods))
    sentence = judge(spec, seen, present).sentence
    assert spec.condition in sentence
    assert "\n" not in sentence


def test_the_sentence_says_how_often_and_how_bad() -> None:
    verdict = judge(ERRORS, (0.1, None, 0.25), OK)
    assert verdict.sentence == "error_rate of price > 0.05 in 2 of the last 3 periods of 1 min; 0.25 at most"
    assert verdict.value == 0.25


def test_a_spec_survives_being_written_down() -> None:
    spec = replace(ERRORS, webhooks=(Webhook("https://x/", "key"),), addresses=("a@b.c",), notify=(ALARM,))
    assert alarm_spec_from({**asdict(spec), "of tomorrow": 1}) == spec


@pytest.mark.parametrize(
    "changed",
    [
        {"metric": "eror_rate"},
        {"period_seconds": 7.0},
        {"period_seconds": 0.0},
        {"datapoints": 4},
        {"periods": 0, "datapoints": 0},
        {"period_seconds": 3600.0, "periods": 25},
    ],
)
def test_what_contradicts_itself_is_refused(changed: dict) -> None:
    check_alarm(ERRORS)
    with pytest.raises(InvalidValue, match=r"^cannot"):
        check_alarm(replace(ERRORS, **changed))


def endpoint(*, cause: Cause = Cause.DEPLOY, first: VersionState = VersionState.READY) -> Endpoint:
    versions = (
        EndpointVersion(1, EndpointSpec("a"), 0.0, first),
        EndpointVersion(2, EndpointSpec("b"), 1000.0, VersionState.READY, origin=Origin(cause)),
    )
    return Endpoint("price", "shop", versions)


def test_a_rollback_needs_a_young_version_and_one_to_go_back_to() -> None:
    spec = replace(ERRORS, rollback=True)
    assert why_not_rolled_back(endpoint(), spec, 1060.0) is None
    assert "more than 60 min" in (why_not_rolled_back(endpoint(), spec, 9999.0) or "")
    assert "a rollback itself" in (why_not_rolled_back(endpoint(cause=Cause.ROLLBACK), spec, 1060.0) or "")
    assert "no earlier" in (why_not_rolled_back(endpoint(first=VersionState.FAILED), spec, 1060.0) or "")
