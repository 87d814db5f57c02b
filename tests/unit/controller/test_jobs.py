"""Jobs of every kind stand in one queue, and what takes time ends with a word about it."""

import asyncio

from modelyard.clock import SystemClock
from modelyard.controller.jobs import Background, JobsSeen, Turns
from modelyard.domain.queueing import QueuedJob, Room
from modelyard.errors import Conflict, StoreFailed


class OneCore:
    def job_room(self) -> Room:
        return Room(1000, 2**30)


def turns(*kinds: JobsSeen) -> Turns:
    made = Turns(OneCore(), SystemClock())  # pyright: ignore[reportArgumentType] (nothing else of an engine is asked)
    for seen in kinds:
        made.add(lambda seen=seen: seen)
    return made


def test_a_transform_waits_for_the_core_of_a_run() -> None:
    run, transform = QueuedJob("fit-1"), QueuedJob("transform/score-1")
    starts = turns(JobsSeen(running=(run,)), JobsSeen(waiting=(transform,))).decide()
    assert starts.start == ()
    assert starts.waiting == {"transform/score-1": "needs 1 core: 1 core of 1 core are taken"}


def test_of_what_waits_the_highest_priority_starts_first_whatever_its_kind() -> None:
    run, transform = QueuedJob("fit-1", submitted_at=1.0), QueuedJob("transform/score-1", priority=5, submitted_at=2.0)
    starts = turns(JobsSeen(waiting=(run,)), JobsSeen(waiting=(transform,))).decide()
    assert starts.start == ("transform/score-1",)


def test_what_fails_beside_the_passes_is_written_down_and_what_moved_on_is_not() -> None:
    failed: list[tuple[str, str]] = []
    woken: list[None] = []

    async def steps(error: Exception | None) -> None:
        if error is not None:
            raise error

    async def story() -> None:
        background = Background("run", lambda: woken.append(None), lambda job, why: failed.append((job, why)))
        for name, error in (
            ("good", None),
            ("gone", Conflict("cannot: it ended")),
            ("bad", StoreFailed("cannot read")),
            ("odd", ValueError("x")),
        ):
            background.begin(name, name, steps(error))
            assert name in background
        await background.settle()
        assert "good" not in background

    asyncio.run(story())
    assert failed == [("bad", "cannot read"), ("odd", "cannot go on: ValueError('x')")]
    assert len(woken) == 4
