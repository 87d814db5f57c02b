"""The kernel counts whom it kills for want of memory; what is remembered is only whether that went up just now."""

from pathlib import Path

from modelyard.clock import ManualClock
from modelyard.domain.eviction import Memory
from modelyard.domain.replicas import wants_memory
from modelyard.engines.local.memory import WATCHED_SECONDS, MemoryWatch, memory_of_groups, oom_kills


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


def test_a_group_around_ours_bounds_us_too(tmp_path: Path) -> None:
    ours = tmp_path / "system.slice" / "yard.service"
    ours.mkdir(parents=True)
    (tmp_path / "own").write_text("0::/system.slice/yard.service\n")
    for group, most, held in ((ours, "max", 10), (ours.parent, "4000", 900)):
        (group / "memory.max").write_text(f"{most}\n")
        (group / "memory.current").write_text(f"{held}\n")
        (group / "memory.stat").write_text("anon 1\ninactive_file 300\n")
    assert list(memory_of_groups(tmp_path, tmp_path / "own")) == [Memory(4000, 3400)]
