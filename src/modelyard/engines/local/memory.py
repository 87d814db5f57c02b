"""Whether the kernel has just killed a process to free memory. It tells nobody whom; it only counts.

The count is that of our own control group and those below it (cgroup v2, `memory.events`) where it can be read, else of
the whole machine (`/proc/vmstat`). A process that was killed by SIGKILL, not by us, while the count went up, is taken
to be the one.
"""

import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from modelyard.domain.eviction import Memory
from modelyard.engines.families import family, own_bytes, portion_bytes

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

WATCHED_SECONDS = 5.0
"""How far back the count is compared: an end is noticed within this, and kills before it are somebody else's."""

LIMIT_LOOK_SECONDS = 0.5
"""How often replicas with a limit are looked at: what one may take beyond it is what it can take meanwhile."""

_AVAILABLE = re.compile(r"^MemAvailable: +(\d+) kB$", re.MULTILINE)
_INACTIVE_FILE = re.compile(r"^(?:total_)?inactive_file (\d+)$", re.MULTILINE)

_VERSION_2 = ("memory.max", "memory.current", "memory.stat")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
"""Of a control group: limit, use, statistics (cgroups(7))."""

_MOUNT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills() -> int | None:
    """How many processes the kernel has killed to free memory; None where it does not say."""
    for place in (own_group() / "memory.events", Path("/proc/vmstat")):
        try:
            found = _COUNT.search(place.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if found is not None:
            return int(found[1])
    return None


def available_memory(total_bytes: int) -> Memory:
    """The machine's, or our control group's where that is less."""
    found = [_of_machine(total_bytes), *memory_of_groups()]
    return min(found, key=lambda one: one.available_bytes)


def usable_bytes(total_bytes: int) -> int:
    """Of the machine's memory what this yard may ever have."""
    return min([total_bytes, *(one.total_bytes for one in memory_of_groups())])


def _of_machine(total_bytes: int) -> Memory:
    try:
        available = _AVAILABLE.search(Path("/proc/meminfo").read_text(encoding="ascii"))
    except (OSError, ValueError):
        available = None
    return Memory(total_bytes, int(available[1]) * 1024 if available else total_bytes)


def memory_of_groups(mount: Path = _MOUNT, own: Path = _OWN) -> Iterator[Memory]:
    """What control groups of either version hold us to: ours, and those around it. The files of pages that can be
    dropped count as held there, so that this is what is left in the worst case and only asked where there is a
    limit."""
    ours = own_group(mount, own)
    around = [one for one in (ours, *ours.parents) if one.is_relative_to(mount)]
    # Version 1 says our own only where it is mounted by itself, as in a container.
    for group, files in (*((one, _VERSION_2) for one in around), (mount / "memory", _VERSION_1)):
        limit, used, statistics = (group / name for name in files)
        try:
            most = int(limit.read_text(encoding="ascii"))
            held = int(used.read_text(encoding="ascii"))
            droppable = _INACTIVE_FILE.search(statistics.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if most < 2**60:
            yield Memory(most, max(0, most - held + (int(droppable[1]) if droppable else 0)))


def private_bytes(pid: int, beyond: int = 0) -> int:
    """Memory that a process and its descendants hold and share with nobody else, swapped out or not; 0 where it is
    gone, and anything up to `beyond` where it is certainly not more, which is quicker to know."""
    pids = family(pid)
    most = sum(_unfiled_bytes(one) for one in pids)
    if most <= beyond:
        return most
    # A fork shares with the template what it has not written since, which nobody is charged for. What descendants
    # share among themselves is charged to each in part.
    return own_bytes(pid) + sum(map(portion_bytes, pids[1:]))


def _unfiled_bytes(pid: int) -> int:
    """What it holds that is from no file, and still perhaps shared: no less than what is its own."""
    try:
        resident, shared = (int(field) for field in Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    except (OSError, ValueError):
        return 0
    return (resident - shared) * _PAGE_BYTES


class MemoryWatch:
    """Keeps what the count was a few seconds ago. `look` wants to be called about once a second."""

    def __init__(
        self, count: Callable[[], int | None] = oom_kills, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._monotonic = monotonic
        self._seen: deque[tuple[float, int | None]] = deque()
        self.look()

    def look(self) -> None:
        now = self._monotonic()
        self._seen.append((now, self._count()))
        # The newest that is old enough stays: it is what the present count is compared with.
        while len(self._seen) > 1 and self._seen[1][0] <= now - WATCHED_SECONDS:
            self._seen.popleft()

    def struck(self) -> bool:
        """Whether the kernel has killed a process within the last seconds."""
        before, now = self._seen[0][1], self._count()
        return before is not None and now is not None and now > before


def own_group(mount: Path = _MOUNT, own: Path = _OWN) -> Path:
    """Our control group's folder, as cgroups(7) says where it is; that of all where it does not."""
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        lines = []
    place = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    return mount / place.lstrip("/")
