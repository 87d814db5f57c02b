"""Which waiting jobs start: by example, and by what holds for every queue."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.queueing import OVERTAKE_SECONDS, QueuedJob, Room, decide_starts

ROOM = Room(2000, 2**30)

jobs = st.builds(
    QueuedJob,
    id=st.uuids().map(str),
    priority=st.integers(-2, 2),
    submitted_at=st.floats(0, 1000),
    cpu_millis=st.integers(1, 3000),
    memory_bytes=st.integers(0, 2**31),
    place=st.sampled_from(["", "/a", "/b"]),
    begun=st.booleans(),
)


def test_jobs_start_in_the_order_they_came_until_the_cores_are_taken():
    queue = [QueuedJob(name, submitted_at=at) for name, at in (("c", 3.0), ("a", 1.0), ("b", 2.0))]
    starts = decide_starts(queue, (), ROOM, 4.0)
    assert starts.start == ("a", "b")
    assert starts.waiting == {"c": "needs 1 core: 2 cores of 2 cores are taken"}


def test_a_higher_priority_goes_first_whenever_it_came():
    queue = [QueuedJob("old", 0, 1.0), QueuedJob("new", 5, 9.0)]
    assert decide_starts(queue, (), Room(1000, 0), 9.0).start == ("new",)


def test_a_job_that_does_not_fit_is_overtaken_at_first_and_not_for_ever():
    queue = [QueuedJob("large", 0, 0.0, 2000), QueuedJob("small", 0, 1.0, 500)]
    running = [QueuedJob("here", cpu_millis=500)]
    early = decide_starts(queue, running, ROOM, 10.0)
    assert early.start == ("small",)
    assert early.waiting == {"large": "needs 2 cores: 0.5 cores of 2 cores are taken"}
    late = decide_starts(queue, running, ROOM, OVERTAKE_SECONDS)
    assert late.start == ()
    assert "large is before it" in late.waiting["small"]


def test_a_job_that_fits_no_idle_machine_says_so_and_keeps_nobody_out():
    queue = [QueuedJob("huge", 9, 0.0, 64_000), QueuedJob("small", 0, 1.0)]
    starts = decide_starts(queue, (), ROOM, 10 * OVERTAKE_SECONDS)
    assert starts.start == ("small",)
    assert starts.waiting == {"huge": "needs 64 cores, and jobs have 2 cores here"}


def test_memory_is_kept_as_cores_are():
    queue = [QueuedJob("b", 0, 1.0, 100, 600 * 2**20)]
    running = [QueuedJob("a", cpu_millis=100, memory_bytes=600 * 2**20)]
    assert decide_starts(queue, running, ROOM, 2.0).waiting == {"b": "needs 600 MiB: 600 MiB of 1024 MiB are taken"}


@given(st.lists(jobs, max_size=12), st.lists(jobs, max_size=4), st.floats(0, 5000))
def test_every_job_starts_or_says_why_and_together_they_fit(queued, running, now):
    starts = decide_starts(queued, running, ROOM, now)
    assert {*starts.start, *starts.waiting} == {one.id for one in queued}
    assert len(starts.start) + len(starts.waiting) == len(queued)
    by_id = {one.id: one for one in queued}
    started = [by_id[one] for one in starts.start]
    if started:
        assert sum(one.cpu_millis for one in (*running, *started)) <= ROOM.cpu_millis
    if any(one.memory_bytes for one in started):
        assert sum(one.memory_bytes for one in (*running, *started)) <= ROOM.memory_bytes


@given(st.lists(jobs, min_size=1, max_size=12), st.floats(0, 5000))
def test_an_idle_machine_never_stands_still_while_something_fits(queued, now):
    starts = decide_starts(queued, (), ROOM, now)
    fits = [one for one in queued if one.cpu_millis <= ROOM.cpu_millis and one.memory_bytes <= ROOM.memory_bytes]
    assert bool(starts.start) == bool(fits)


def test_jobs_that_write_to_one_place_run_one_after_the_other():
    queue = [QueuedJob("b", 0, 2.0, 100, place="/out"), QueuedJob("c", 0, 3.0, 100, place="/other")]
    running = [QueuedJob("a", cpu_millis=100, place="/out")]
    starts = decide_starts(queue, running, ROOM, 4.0)
    assert starts.start == ("c",)
    assert starts.waiting == {"b": "a goes on, and writes to /out too"}


def test_an_interrupted_job_keeps_its_place_until_its_end():
    interrupted = QueuedJob("a", 0, 1.0, 100, place="/out", begun=True)
    queue = [QueuedJob("urgent", 9, 2.0, 100, place="/out"), interrupted]
    assert decide_starts(queue, (), ROOM, 3.0).start == ("a",)
    # Not even where there is no room for it.
    full = [QueuedJob("here", cpu_millis=1950)]
    assert decide_starts(queue, full, ROOM, 3.0).start == ()


@given(st.lists(jobs, max_size=12), st.lists(jobs, max_size=4), st.floats(0, 5000))
def test_no_two_jobs_are_at_one_place_and_an_idle_one_is_taken(queued, running, now):
    starts = decide_starts(queued, running, Room(10**6, 2**40), now)
    started = [one for one in queued if one.id in starts.start]
    places = [one.place for one in started if one.place]
    assert len(places) == len(set(places))
    assert not set(places) & {one.place for one in running}
    # With room for all, whoever waits does so for somebody who is there: nobody waits for ever.
    taken = {one.place for one in [*started, *running]}
    assert all(one.place in taken for one in queued if one.id in starts.waiting)
