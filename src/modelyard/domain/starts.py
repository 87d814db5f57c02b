"""How long a start has really had: programs that start together on a machine share its cores, and a limit that is meant
for one of them alone would end all of them.

While more start than there are cores, each second counts for each of them as the share of a core that it can have had.
What else runs on the machine takes its share too: else several starts would be ended at their limit, begin anew
together, and come no further, as long as the machine is busy.
"""

from collections.abc import Callable


class SharedTime:
    """Time that runs slower the more starts are under way. The time is passed in, and never goes back."""

    def __init__(self, cores: int, wanted: Callable[[], float] = lambda: 0.0) -> None:
        """`wanted` says how many cores everything that runs on the machine would have, starts included."""
        self._cores = max(1, cores)
        self._wanted = wanted
        self._under_way = 0
        self._read_at = 0.0
        self._seconds = 0.0

    def enter(self, now: float) -> float:
        """One more is under way; what `read` says when it begins."""
        began = self.read(now)
        self._under_way += 1
        return began

    def leave(self, now: float) -> None:
        self.read(now)
        self._under_way -= 1

    def read(self, now: float) -> float:
        """Seconds, of which only differences mean anything."""
        wanted = max(self._under_way, self._wanted()) if self._under_way else 0.0
        share = min(1.0, self._cores / wanted) if wanted else 1.0
        self._seconds += max(0.0, now - self._read_at) * share
        self._read_at = max(self._read_at, now)
        return self._seconds
