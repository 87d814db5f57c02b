"""What a process of ours is held to: how much memory it may take, and that the kernel takes it before the platform.

`hold_to` sets RLIMIT_DATA (setrlimit(2)): the kernel then refuses more, Python raises MemoryError where the memory was
wanted, and the process lives on. What it has mapped at that moment, in a fork all that the template had, does not
count. The bound is on what is mapped and so is wider than what may be held; whoever starts the process watches that.
"""

import contextlib
import os
import resource
import sys

MAPPED_BYTES_SPARE = 128 * 2**20
"""Mapped beyond the limit: stacks of threads and what allocators keep in hand are mapped and mostly not held."""

REPLICA_SCORE = 500
"""Added to a replica's badness in the eyes of the kernel that wants memory, in thousandths of the machine's."""

TEMPLATE_SCORE = 250
"""A template goes after the replicas and before the platform: without it nothing fails that runs."""


def hold_to(memory_bytes: int) -> bool:
    """Bounds what this process may map from now on; False where the system does not."""
    mapped = _mapped_bytes()
    if mapped is None:
        return False
    bound = mapped + memory_bytes + MAPPED_BYTES_SPARE
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        bound = min(bound, most)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    except (OSError, ValueError):
        return False
    return True


def room_bytes() -> "int | None":
    """How much more this process may map; None where nothing bounds it."""
    bound, _ = resource.getrlimit(resource.RLIMIT_DATA)
    mapped = _mapped_bytes() if bound != resource.RLIM_INFINITY else None
    return None if mapped is None else max(0, bound - mapped)


def offer_to_kernel(score: int) -> None:
    """Makes this process, and its children, what the kernel ends first when memory runs out (proc(5), oom_score_adj).
    More is always allowed, less is not, so what was given before stays."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, ValueError), open("/proc/self/oom_score_adj", "r+", encoding="ascii") as file:
        if int(file.read()) < score:
            file.seek(0)
            file.write(str(score))


def _mapped_bytes() -> "int | None":
    """What RLIMIT_DATA counts, from /proc/self/statm: data and stack, in pages."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def private_bytes() -> int:
    """What this process holds that is from no file and no shared mapping; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            resident, shared = file.read().split()[1:3]
            return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0
