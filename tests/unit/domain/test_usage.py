"""A usage plan lets through what it says, and no more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.usage import Plan, ask, begin, capacity, plan_from, standing
from modelyard.errors import InvalidValue

PAUSES = st.lists(st.floats(0, 5), min_size=1, max_size=60)


@given(st.floats(0.1, 50), st.integers(1, 20), PAUSES)
def test_in_any_span_no_more_pass_than_the_burst_and_what_came_in(rate: float, burst: int, pauses: list[float]) -> None:
    plan, now, passed = Plan(rate, burst), 1000.0, list[float]()
    usage = begin(plan, now)
    for pause in pauses:
        now += pause
        verdict = ask(plan, usage, now)
        usage = verdict.usage
        if verdict.allowed:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + rate * (passed[last] - passed[first]) + 1e-6


@given(st.floats(0.1, 50), PAUSES)
def test_who_keeps_to_the_rate_is_never_refused(rate: float, pauses: list[float]) -> None:
    plan, now = Plan(rate), 0.0
    usage = begin(plan, now)
    for pause in pauses:
        now += 1 / rate + pause + 1e-9
        verdict = ask(plan, usage, now)
        assert verdict.allowed
        usage = verdict.usage


@given(st.floats(0.1, 50), st.integers(1, 5))
def test_who_waits_as_long_as_they_are_told_is_let_in(rate: float, burst: int) -> None:
    plan, usage = Plan(rate, burst), begin(Plan(rate, burst), 0.0)
    verdict = ask(plan, usage, 0.0)
    while verdict.allowed:
        verdict = ask(plan, verdict.usage, 0.0)
    assert verdict.reason == "Too Many Requests"
    assert ask(plan, verdict.usage, verdict.retry_after_seconds + 1e-9).allowed


@given(
    st.builds(
        Plan,
        rate=st.none() | st.floats(0.1, 50),
        quota=st.none() | st.integers(1, 20),
    ).filter(lambda plan: bool(plan.rate or plan.quota)),
    PAUSES,
)
def test_as_many_as_a_plan_says_are_let_in_at_once_and_no_more(plan: Plan, pauses: list[float]) -> None:
    now, usage = 1000.0, begin(plan, 1000.0)
    for pause in pauses:
        now += pause
        usage = ask(plan, usage, now).usage
    promised = standing(plan, usage, now)
    let_in = 0
    while (verdict := ask(plan, usage, now)).allowed:
        let_in, usage = let_in + 1, verdict.usage
    assert let_in == promised.at_once
    assert standing(plan, usage, now).used == promised.used + let_in


def test_a_quota_is_full_until_its_period_ends_and_a_refusal_costs_nothing() -> None:
    plan = Plan(quota=2, per="day")
    usage = begin(plan, 86400.0 * 3 + 10)
    for _ in range(2):
        usage = ask(plan, usage, 86400.0 * 3 + 20).usage
    verdict = ask(plan, usage, 86400.0 * 3 + 30)
    assert (verdict.allowed, verdict.reason, verdict.usage.used) == (False, "Limit Exceeded", 2)
    assert ask(plan, verdict.usage, 86400.0 * 4).allowed


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    plan = Plan(1.0, 1)
    usage = ask(plan, begin(plan, 100.0), 100.0).usage
    assert not ask(plan, usage, 50.0).allowed
    assert not ask(plan, ask(plan, usage, 50.0).usage, 100.5).allowed


@pytest.mark.parametrize("document", [{"rate": 0}, {"quota": -1}, {"burst": 2}, {"quota": 1, "per": "hour"}])
def test_what_is_no_plan_is_refused(document: dict[str, float]) -> None:
    with pytest.raises(InvalidValue):
        plan_from(document)


def test_without_a_burst_one_second_fits() -> None:
    assert (capacity(Plan(5.0)), capacity(Plan(0.1))) == (5.0, 1.0)
