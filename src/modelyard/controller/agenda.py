"""Which endpoints a pass looks at: those of which something has changed, and those that wanted to be looked at by now.

An endpoint at rest is on no page of it, so that ten thousand of them cost a pass nothing. Times are monotonic: a wall
clock that is set back must not make anybody wait.
"""

import heapq


class Agenda:
    def __init__(self) -> None:
        self._urgent: set[str] = set()
        self._now: set[str] = set()
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        """What `_due` says, and what it once said; those are skipped."""

    def add(self, *keys: str, urgent: bool = False) -> None:
        """To be looked at as soon as it is their turn; the urgent ones by the next pass before all others."""
        (self._urgent if urgent else self._now).update(keys)

    def put(self, key: str, at: float | None) -> None:
        """To be looked at when that time has come; None where only a change is a reason. Takes the place of what was
        put before."""
        if at is None:
            self._due.pop(key, None)
        elif self._due.get(key) != at:
            self._due[key] = at
            heapq.heappush(self._heap, (at, key))

    def put_by(self, key: str, at: float) -> None:
        """To be looked at when that time has come, or before where that was put."""
        self.put(key, min(at, self._due.get(key, at)))

    def take(self, now: float, at_most: int) -> list[str]:
        """Those to look at now; the rest stays for the next call."""
        while self._heap and (self._heap[0][0] <= now or self._is_stale(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if not self._is_stale(entry):
                del self._due[entry[1]]
                self._now.add(entry[1])
        self._now -= self._urgent
        taken = [*sorted(self._urgent), *sorted(self._now)][:at_most]
        self._urgent.difference_update(taken)
        self._now.difference_update(taken)
        return taken

    def next_at(self, now: float) -> float | None:
        """When the next is due; None where nothing is."""
        if self._urgent or self._now:
            return now
        while self._heap and self._is_stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def _is_stale(self, entry: tuple[float, str]) -> bool:
        return self._due.get(entry[1]) != entry[0]
