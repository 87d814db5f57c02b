"""The kernel counts whom it kills for want of memory; what is remembered is only whether that went up just now."""

from modelyard.clock import ManualClock
from modelyard.domain.replicas import wants_memory
from modelyard.engines.local.memory import WATCHED_SECONDS, MemoryWatch, oom_kills


def test_a_count_that_went_up_within_the_last_seconds_is_a_kill() -> None:
    clock, counts = ManualClock(), [7]
    watch = MemoryWatch(lambda: counts[0], clock.monotonic)
    assert not watch.struck()
    clock.advance(1.0)
    watch.look()
    counts[0] = 8
    assert watch.struck()
    assert watch.struck()


def test_a_kill_of_long_ago_is_somebody_elses() -> None:
    clock, counts = ManualClock(), [7]
    watch = MemoryWatch(lambda: counts[0], clock.monotonic)
    counts[0] = 8
    for _ in range(int(WATCHED_SECONDS) + 2):
        clock.advance(1.0)
        watch.look()
    assert not watch.struck()


def test_where_the_kernel_does_not_count_nothing_is_claimed() -> None:
    assert not MemoryWatch(lambda: None).struck()


def test_this_kernel_counts() -> None:
    count = oom_kills()
    assert count is None or count >= 0


def test_an_exception_that_lacked_memory_is_known_by_its_name() -> None:
    assert wants_memory("MemoryError")
    assert wants_memory("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1. TiB")
    assert wants_memory("OutOfMemoryError: CUDA out of memory")
    assert not wants_memory("ValueError: MemoryError is a word")
    assert not wants_memory(None)
