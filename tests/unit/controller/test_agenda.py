"""Which endpoints a pass looks at."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.controller.agenda import Agenda

MANY = 1000


def test_what_changed_is_looked_at_once() -> None:
    agenda = Agenda()
    agenda.add("b", "a", "b")
    assert agenda.take(0.0, MANY) == ["a", "b"]
    assert agenda.take(1e9, MANY) == []
    assert agenda.next_at(0.0) is None


def test_what_waits_for_a_time_is_looked_at_then_and_only_the_last_word_counts() -> None:
    agenda = Agenda()
    agenda.put("a", 5.0)
    agenda.put("a", 9.0)
    agenda.put("b", 7.0)
    agenda.put("c", 6.0)
    agenda.put("c", None)
    assert agenda.next_at(0.0) == 7.0
    assert agenda.take(8.0, MANY) == ["b"]
    assert agenda.take(8.0, MANY) == []
    assert agenda.take(9.0, MANY) == ["a"]


def test_a_latest_time_never_puts_off_what_is_due_before_it() -> None:
    agenda = Agenda()
    agenda.put("a", 5.0)
    agenda.put_by("a", 9.0)
    agenda.put("b", 8.0)
    agenda.put_by("b", 6.0)
    agenda.put_by("c", 7.0)
    assert [agenda.take(at, MANY) for at in (5.0, 6.0, 7.0, 9.0)] == [["a"], ["b"], ["c"], []]


def test_beyond_what_a_pass_can_take_the_urgent_come_first_and_nobody_is_forgotten() -> None:
    agenda = Agenda()
    agenda.add(*"abcde")
    agenda.add("z", "c", urgent=True)
    assert agenda.take(0.0, 3) == ["c", "z", "a"]
    assert agenda.next_at(42.0) == 42.0
    assert agenda.take(0.0, MANY) == ["b", "d", "e"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 20)), max_size=30), st.integers(0, 20))
def test_due_is_exactly_what_was_put_last_and_whose_time_has_come(puts: list[tuple[str, int | None]], now: int) -> None:
    agenda, last = Agenda(), dict[str, int | None]()
    for key, at in puts:
        agenda.put(key, at)
        last[key] = at
    assert agenda.take(now, MANY) == sorted(key for key, at in last.items() if at is not None and at <= now)
    later = [at for at in last.values() if at is not None and at > now]
    assert agenda.next_at(now) == (min(later) if later else None)
