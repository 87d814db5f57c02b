"""Whether the kernel has just killed a process to free memory. It tells nobody whom; it only counts.

The count is that of our own control group and those below it (cgroup v2, `memory.events`) where it can be read, else of
the whole machine (`/proc/vmstat`). A process that was killed by SIGKILL, not by us, while the count went up, is taken
to be the one.
"""

import os
import re
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_PRIVATE = re.compile(r"^(?:Private_Dirty|Swap): +(\d+) kB$", re.MULTILINE)

WATCHED_SECONDS = 5.0
"""How far back the count is compared: an end is noticed within this, and kills before it are somebody else's."""

LIMIT_LOOK_SECONDS = 0.5
"""How often replicas with a limit are looked at: what one may take beyond it is what it can take meanwhile."""

_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)


def oom_kills() -> int | None:
    """How many processes the kernel has killed to free memory; None where it does not say."""
    for place in (_own_events(), Path("/proc/vmstat")):
        try:
            found = _COUNT.search(place.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if found is not None:
            return int(found[1])
    return None


def private_bytes(pid: int, beyond: int) -> int:
    """Memory that a process holds and shares with nobody, swapped out or not; 0 where it is gone, and anything up to
    `beyond` where it is certainly not more, which is quicker to know."""
    try:
        resident, shared = (int(field) for field in Path(f"/proc/{pid}/statm").read_text().split()[1:3])
        if (resident - shared) * _PAGE_BYTES <= beyond:
            # Not from files, and still perhaps shared with the template: no less than what is its own.
            return (resident - shared) * _PAGE_BYTES
        found = _PRIVATE.findall(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (OSError, ValueError):
        return 0
    return sum(int(kilobytes) * 1024 for kilobytes in found)


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


def _own_events() -> Path:
    """`memory.events` of our control group, as cgroups(7) says where it is."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        lines = []
    group = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    return Path("/sys/fs/cgroup") / group.lstrip("/") / "memory.events"
