"""Who starts among many is judged by what it could have had of the machine, not by the clock alone."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.starts import SharedTime

STEPS = st.lists(st.tuples(st.sampled_from((1, -1)), st.floats(0.0, 100.0)), max_size=40)


@given(st.integers(1, 8), STEPS)
def test_all_starts_together_are_given_no_more_than_the_cores_have_and_one_no_more_than_the_clock(
    cores: int, steps: list[tuple[int, float]]
) -> None:
    shared, now, under_way = SharedTime(cores), 10.0, 0
    shared.read(now)
    for change, pause in steps:
        if change > 0:
            shared.enter(now)
        elif under_way:
            shared.leave(now)
        under_way = max(0, under_way + change)
        before = shared.read(now)
        now += pause
        had = shared.read(now) - before
        assert had <= pause + 1e-6
        assert had * under_way <= pause * cores + 1e-6
        if under_way <= cores:
            assert abs(had - pause) < 1e-6


def test_five_on_two_cores_have_two_fifths_each() -> None:
    shared = SharedTime(2)
    began = [shared.enter(100.0) for _ in range(5)]
    assert [round(shared.read(200.0) - one, 6) for one in began] == [40.0] * 5
    for _ in range(4):
        shared.leave(200.0)
    assert round(shared.read(210.0) - began[0], 6) == 50.0


def test_what_else_runs_takes_its_share_and_nothing_is_shared_where_nothing_starts() -> None:
    shared = SharedTime(2, lambda: 8.0)
    assert shared.read(100.0) == 100.0
    began = shared.enter(100.0)
    assert round(shared.read(140.0) - began, 6) == 10.0
    idle = SharedTime(2, lambda: 0.3)
    began = idle.enter(100.0)
    assert round(idle.read(140.0) - began, 6) == 40.0
