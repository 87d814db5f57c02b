"""Refusals are told at once and then counted, and never more than the bound."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.audit import Audited, audited
from modelyard.gateway.refusals import KINDS_MAX, MANY, WINDOW_SECONDS, Kind, Refusals


def kind(name: str) -> Kind:
    return Kind(name, "POST /endpoints/price/invocations", "403 forbidden", "10.0.0.1")


def test_a_refusal_is_told_at_once_and_the_rest_of_its_minute_as_a_number() -> None:
    refusals = Refusals()
    refusals.take(0.0)
    for number in range(5):
        refusals.note(kind("key a"), f"r{number}", 1.0 + number)
        if number == 0:
            assert [(one.count, one.request_id) for one in refusals.take(1.0)] == [(1, "r0")]
    assert refusals.take(30.0) == []
    told = refusals.take(WINDOW_SECONDS)
    assert [(one.principal, one.count, one.at, one.request_id) for one in told] == [("key a", 4, 2.0, "r1")]
    assert refusals.take(3 * WINDOW_SECONDS) == []


def test_the_log_says_how_often() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note(kind("nobody"), "r", 1.0)
    expected = Audited(1.0, "nobody", kind("nobody").action, "403 forbidden, 3 times", "10.0.0.1", "r")
    assert [audited(one) for one in refusals.take(2.0)] == [expected]


@given(st.lists(st.tuples(st.integers(0, 200), st.floats(0.0, 20.0)), max_size=300))
def test_every_refusal_is_counted_once_and_no_minute_tells_of_more_than_its_bound(
    asked: list[tuple[int, float]],
) -> None:
    refusals, now, counted = Refusals(), 0.0, 0
    told_at: list[float] = []
    for name, pause in asked:
        now += pause
        refusals.note(kind(f"key {name}"), "r", now)
        for one in refusals.take(now):
            counted += one.count
            told_at.append(now)
            assert one.principal == MANY or one.principal.startswith("key ")
    counted += sum(one.count for one in refusals.take(now + WINDOW_SECONDS))
    assert counted == len(asked)
    for begin in told_at:
        within = [one for one in told_at if begin <= one < begin + WINDOW_SECONDS]
        # Once when it is seen first, once more when its window ends, and the one that stands for the rest.
        assert len(within) <= 3 * (KINDS_MAX + 1)
