"""When a schedule starts something, and what it says of times that it leaves out."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.schedules import LATE_SECONDS_MAX, Due, Timing, decide_schedule

HOUR = 3600.0
HOURLY = Timing("0 * * * *")


class Hours:
    """Every full hour."""

    def after(self, moment: float) -> float:
        return (moment // HOUR + 1) * HOUR

    def until(self, moment: float) -> float:
        return moment // HOUR * HOUR


class Never:
    def after(self, moment: float) -> None:
        del moment

    def until(self, moment: float) -> None:
        del moment


def decide(looked_at: float, now: float, going_on: str | None = None, **changes: str) -> Due:
    timing = Timing("0 * * * *", **changes)  # pyright: ignore[reportArgumentType] (words of the type)
    return decide_schedule(timing, looked_at, now, Hours(), going_on)


def test_nothing_is_due_before_its_time() -> None:
    assert decide(0.0, HOUR - 1) == Due()
    assert decide(HOUR, HOUR + 1) == Due()
    assert decide_schedule(HOURLY, 0.0, 1e9, Never(), None) == Due()


def test_a_time_that_has_come_is_started_for() -> None:
    assert decide(HOUR - 1, HOUR) == Due(HOUR)
    assert decide(HOUR - 1, HOUR + LATE_SECONDS_MAX) == Due(HOUR)


def test_of_missed_times_the_newest_is_made_up_for_once_or_none_is() -> None:
    assert decide(0.0, 3.5 * HOUR) == Due(3 * HOUR, "missed 3 times; started once for them")
    assert decide(0.0, 3.5 * HOUR, missed="skip") == Due(None, "missed 3 times; the next is waited for")
    assert decide(0.0, 1.5 * HOUR, missed="skip") == Due(None, "missed 1 time; the next is waited for")


def test_a_time_that_comes_right_after_missed_ones_is_started_for_whatever_is_said_of_missed_ones() -> None:
    for missed in ("once", "skip"):
        assert decide(0.0, 3 * HOUR, missed=missed) == Due(3 * HOUR, "missed 2 times")


def test_while_what_was_started_goes_on_a_time_is_left_out_unless_allowed() -> None:
    assert decide(0.0, HOUR, "fit-1") == Due(None, "left out: fit-1 still goes on")
    assert decide(0.0, HOUR, "fit-1", overlap="allow") == Due(HOUR)


@given(
    st.lists(st.floats(0.1, 10 * HOUR), min_size=1, max_size=30),
    st.sampled_from(["once", "skip"]),
    st.sampled_from(["skip", "allow"]),
)
def test_each_time_is_started_for_at_most_once_and_never_early(pauses: list[float], missed: str, overlap: str) -> None:
    started: list[float] = []
    looked_at = now = 0.0
    for pause in pauses:
        now += pause
        due = decide(looked_at, now, None, missed=missed, overlap=overlap)
        if due.planned_at is not None:
            assert looked_at < due.planned_at <= now
            started.append(due.planned_at)
        if due != Due():
            looked_at = now
    assert started == sorted(set(started))
