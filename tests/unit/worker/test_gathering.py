"""Waiting after a long call for those who were just answered: only while they come back, and never for long."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker import batching, frames, gathering
from modelyard_worker.gathering import LONG_CALL_SECONDS, PAUSE_SECONDS_MAX, PAUSE_SHARE, SKIPPED_MAX, Gathering
from modelyard_worker.request import Request

from tests.unit.worker.test_delivering import Caller, request_of

CALL_SECONDS = 0.02


def waits(gathering: Gathering, answered: int = 8, waiting: int = 8, comes: int = 0) -> bool:
    """Whether a wait was tried after a call; `comes` requests arrive meanwhile."""
    gathering.after(answered, waiting, CALL_SECONDS, 32, 100.0)
    tried = gathering.until > 0
    if tried:
        gathering.begin(waiting + comes)
    return tried


@given(
    answered=st.integers(1, 32),
    waiting=st.integers(0, 100),
    took_seconds=st.floats(0, 10),
    size_max=st.integers(2, 32),
)
def test_the_wait_is_a_small_part_of_the_call_and_for_no_more_than_one_call_holds(
    answered: int, waiting: int, took_seconds: float, size_max: int
) -> None:
    gathering = Gathering()
    gathering.after(answered, waiting, took_seconds, size_max, 100.0)
    if took_seconds < LONG_CALL_SECONDS or waiting >= size_max:
        assert gathering.until == 0
        return
    assert 0 < gathering.until - 100.0 <= min(took_seconds * PAUSE_SHARE, PAUSE_SECONDS_MAX) + 1e-9
    assert waiting < gathering.expected <= size_max


def test_it_goes_on_waiting_while_those_who_were_answered_come_back() -> None:
    gathering = Gathering()
    assert all(waits(gathering, comes=6) for _ in range(100))


@pytest.mark.parametrize("comes", [0, 3])
def test_where_they_do_not_it_waits_less_and_less_often(comes: int) -> None:
    gathering = Gathering()
    tried = [number for number in range(400) if waits(gathering, comes=comes)]
    gaps = [later - earlier - 1 for earlier, later in pairwise(tried)]
    assert gaps[:8] == [1, 2, 4, 8, 16, 32, 64, 64]
    assert max(gaps) == SKIPPED_MAX


def test_once_they_come_back_again_it_waits_each_time_again() -> None:
    gathering = Gathering()
    for _ in range(20):
        waits(gathering)
    while not waits(gathering, comes=8):
        pass
    assert all(waits(gathering, comes=8) for _ in range(10))


class Sizes:
    """A servable whose calls take as long as it says, by the clock that it moves."""

    batches = True
    asynchronous = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch, call_seconds: float) -> None:
        self.found: list[int] = []
        self._now = 100.0
        self._call_seconds = call_seconds
        monkeypatch.setattr(batching, "time", SimpleNamespace(monotonic=lambda: self._now))

    def predict(self, requests: Sequence[Request]) -> list[tuple[int, bytes, bytes]]:
        self._now += self._call_seconds
        self.found.append(len(requests))
        return [(frames.END, b"", b"1") for _ in requests]


class Asking:
    """Puts requests into a batcher, as a connection does."""

    def __init__(self, servable: Any) -> None:
        self._batcher = batching.start(servable, 32, 1, None, 2**20)

    async def ask(self, count: int) -> None:
        """Returns when the loop has done whatever follows at once."""
        for _ in range(count):
            self._batcher.pending.append(request_of(Caller(), 1))
            self._batcher.wake()
        for _ in range(3):
            await asyncio.sleep(0)


def test_the_next_call_begins_when_all_who_were_answered_are_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PAUSE_SECONDS_MAX", 60.0)
    servable = Sizes(monkeypatch, 600.0)

    async def story() -> None:
        asking = Asking(servable)
        await asking.ask(3)
        await asking.ask(1)
        await asking.ask(1)
        assert servable.found == [3]
        await asking.ask(1)

    asyncio.run(story())
    assert servable.found == [3, 3]


def test_those_who_are_back_do_not_wait_long_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    servable = Sizes(monkeypatch, CALL_SECONDS)

    async def story() -> None:
        asking = Asking(servable)
        await asking.ask(3)
        await asking.ask(1)
        async with asyncio.timeout(10):
            while len(servable.found) < 2:
                await asyncio.sleep(0.001)

    asyncio.run(story())
    assert servable.found == [3, 1]


def test_after_a_short_call_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    servable = Sizes(monkeypatch, LONG_CALL_SECONDS / 2)

    async def story() -> None:
        asking = Asking(servable)
        await asking.ask(3)
        await asking.ask(1)

    asyncio.run(story())
    assert servable.found == [3, 1]
