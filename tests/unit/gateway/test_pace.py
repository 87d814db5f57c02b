"""What a replica that takes requests one by one is sent ahead: as many as it answers within a moment."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker import frames

from modelyard.gateway.pace import AHEAD_MAX, AHEAD_SECONDS, Pace
from tests.unit.gateway.test_target import greet

CALLS = st.lists(st.floats(0, 10), min_size=1, max_size=50)


@given(stated=st.integers(1, 8), calls=CALLS)
def test_it_is_never_less_than_what_the_replica_says_nor_more_than_a_batch(stated: int, calls: list[float]) -> None:
    pace = Pace(stated)
    for call in calls:
        assert stated <= pace.after(call) <= AHEAD_MAX


@given(stated=st.integers(1, 8), calls=CALLS)
def test_what_is_sent_ahead_is_done_within_a_moment_as_far_as_calls_go_on_like_the_last(
    stated: int, calls: list[float]
) -> None:
    pace = Pace(stated)
    for call in calls:
        ahead = pace.after(call)
        assert ahead <= stated or ahead * call <= AHEAD_SECONDS * (1 + 1e-9)


def test_quick_calls_are_believed_after_some_hundreds_and_one_slow_call_ends_it() -> None:
    pace = Pace(2)
    assert [pace.after(30e-6) for _ in range(600)][-1] == AHEAD_MAX
    assert pace.after(0.5) == 2
    assert [pace.after(30e-6) for _ in range(100)] == [2] * 100


def test_one_slow_call_of_a_hundred_is_enough_to_be_sent_no_more() -> None:
    pace = Pace(2)
    assert {pace.after(0.1 if number % 100 == 0 else 30e-6) for number in range(2000)} == {2}


def answer(stream: int, call_micros: int, flags: int = frames.END) -> bytes:
    times = frames.TIMES.pack(0, call_micros, 1)
    return frames.pack(frames.ANSWER, stream, times + frames.pack_meta({"status": 200}), b"1", flags | frames.TIMED)


def test_a_quick_replica_is_sent_more_than_it_says_and_reports_what_it_says() -> None:
    async def story() -> None:
        target, _ = greet(given=None, states=2)
        for stream in range(600):
            target.data_received(answer(stream, 30))
        assert (target.capacity, target.stated) == (AHEAD_MAX, 2)
        target.data_received(answer(1, 30, flags=0))
        assert target.capacity == 2

    asyncio.run(story())


def test_what_the_yard_file_says_is_kept_to_and_a_replica_that_batches_says_itself_what_it_takes() -> None:
    async def story() -> None:
        for given_count, batches in ((2, False), (None, True)):
            target, _ = greet(given_count, 2, batches=batches)
            for stream in range(600):
                target.data_received(answer(stream, 30))
            assert target.capacity == 2

    asyncio.run(story())
