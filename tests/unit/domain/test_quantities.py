import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.quantities import cpu_millis, duration_seconds, memory_bytes, share_of
from modelyard.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "millis"), [("200m", 200), ("1", 1000), (1, 1000), (0.5, 500), ("1.5", 1500), (" 2 ", 2000)]
)
def test_cpu_is_read_in_cores_or_thousandths(text, millis):
    assert cpu_millis(text) == millis


@pytest.mark.parametrize("text", ["", "0", "0m", "-1", "1 core", "1e3", "m"])
def test_what_is_no_cpu_is_refused(text):
    with pytest.raises(InvalidValue, match="as CPU"):
        cpu_millis(text)


@pytest.mark.parametrize(
    ("text", "count"), [("512Mi", 512 * 2**20), ("1.5G", 1_500_000_000), (1024, 1024), ("2k", 2000), ("1Ti", 2**40)]
)
def test_memory_is_read_in_decimal_and_binary_units(text, count):
    assert memory_bytes(text) == count


@pytest.mark.parametrize("text", ["", "0", "Mi", "1 MB", "1mi", "-1Gi"])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(InvalidValue, match="amount of memory"):
        memory_bytes(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60.0), ("5m", 300.0), ("1h30m", 5400.0), ("500ms", 0.5), (90, 90.0), ("1.5", 1.5)]
)
def test_durations_are_read_in_units_or_seconds(text, seconds):
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5 m", "5x", "m5", "-1s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(InvalidValue, match="as a duration"):
        duration_seconds(text)


@pytest.mark.parametrize(("text", "up", "count"), [("25%", True, 2), ("25%", False, 1), ("3", True, 3), (2, False, 2)])
def test_shares_of_five(text, up, count):
    assert share_of(text, 5, up=up) == count


@given(st.integers(0, 200), st.integers(0, 1000))
def test_rounding_a_share_up_and_down_differs_by_one_at_most(percent, whole):
    down, up = (share_of(f"{percent}%", whole, up=way) for way in (False, True))
    assert 0 <= up - down <= 1
    assert down * 100 <= percent * whole <= up * 100


@pytest.mark.parametrize("text", ["", "-1", "25.5%", "%", "all"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(InvalidValue, match="as a share"):
        share_of(text, 4, up=True)
