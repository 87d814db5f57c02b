"""What cron expressions mean: fields, words, time zones, and clocks that are put forward and back."""

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.schedules import Timing
from modelyard.errors import InvalidValue
from modelyard.manifest.cron import CronTimes

BERLIN = ZoneInfo("Europe/Berlin")


def times(cron: str, begin: str, count: int, zone: str = "Europe/Berlin") -> list[str]:
    found = CronTimes(Timing(cron, zone))

    def following():
        at = datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone)).timestamp()
        while True:
            at = found.after(at)
            assert at is not None
            yield datetime.fromtimestamp(at, ZoneInfo(zone)).isoformat()

    return list(islice(following(), count))


def test_a_schedule_follows_the_clock_of_its_zone() -> None:
    assert times("0 3 * * *", "2030-01-01T02:00", 2) == ["2030-01-01T03:00:00+01:00", "2030-01-02T03:00:00+01:00"]
    assert times("0 3 * * *", "2030-07-01T02:00", 1) == ["2030-07-01T03:00:00+02:00"]
    assert times("30 9 * * MON-FRI", "2030-01-04T10:00", 1, "UTC") == ["2030-01-07T09:30:00+00:00"]


def test_words_stand_for_expressions() -> None:
    assert times("@daily", "2030-01-01T12:00", 1, "UTC") == ["2030-01-02T00:00:00+00:00"]
    assert times("@Hourly", "2030-01-01T12:01", 1, "UTC") == ["2030-01-01T13:00:00+00:00"]


def test_where_the_clock_is_put_forward_a_time_that_is_not_there_comes_right_after() -> None:
    assert times("30 2 * * *", "2030-03-30T12:00", 2) == ["2030-03-31T03:00:00+02:00", "2030-04-01T02:30:00+02:00"]


def test_where_the_clock_is_put_back_a_time_that_is_there_twice_comes_once() -> None:
    assert times("30 2 * * *", "2030-10-26T12:00", 2) == ["2030-10-27T02:30:00+02:00", "2030-10-28T02:30:00+01:00"]


@pytest.mark.parametrize(
    ("cron", "zone", "said"),
    [
        ("0 3 * *", "UTC", "it has not five fields"),
        ("0 25 * * *", "UTC", "bad hour"),
        ("0 0 31 2 *", "UTC", "bad day-of-month"),
        ("@never", "UTC", "it has not five fields"),
        ("0 3 * * *", "Europe/Berlim", "cannot use the time zone 'Europe/Berlim'"),
        ("0 3 * * *", "../../etc/passwd", "cannot use the time zone"),
    ],
)
def test_what_is_no_schedule_is_refused(cron: str, zone: str, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        CronTimes(Timing(cron, zone))
    assert said in refused.value.message
    assert refused.value.hint


@given(
    st.sampled_from(["0 3 * * *", "*/7 * * * *", "15 2 * * *", "0 0 1 * *", "0 12 * * MON#1", "@weekly"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.floats(1.8e9, 2.2e9),
)
def test_the_last_time_until_a_moment_is_one_that_follows_from_before(cron: str, zone: str, moment: float) -> None:
    found = CronTimes(Timing(cron, zone))
    newest = found.until(moment)
    assert newest is not None
    assert newest <= moment
    following = found.after(newest)
    assert following is not None
    assert following > moment
