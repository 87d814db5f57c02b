"""Metrics of runs in memory: the fake of `tracking`."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from modelyard.domain.names import name_key
from modelyard.domain.tracking import Point, Progress
from modelyard.store.limits import POINTS_MAX, POINTS_OF_A_RUN_MAX


class MemoryTracking:
    """Implements `ports.Tracking`."""

    def __init__(self, points_max: int = POINTS_MAX, points_of_a_run_max: int = POINTS_OF_A_RUN_MAX) -> None:
        self._lock = threading.RLock()
        self._points_max = points_max
        self._points_of_a_run_max = points_of_a_run_max
        self._progress: dict[str, Progress] = {}
        self._points: dict[str, list[tuple[int, Point]]] = {}
        self._last = 0

    def progress(self, run: str) -> Progress:
        with self._lock:
            return self._progress.get(name_key(run), Progress(run))

    def open(self, run: str) -> None:
        with self._lock:
            self._progress.setdefault(name_key(run), Progress(run))

    def unread(self) -> list[str]:
        with self._lock:
            return [one.run for one in self._progress.values() if not one.read_all]

    def unsent(self, limit: int) -> list[Progress]:
        with self._lock:
            return [one for one in self._progress.values() if not one.closed][:limit]

    def add(self, run: str, points: Sequence[Point], read_bytes: int, *, read_all: bool) -> Progress:
        with self._lock:
            before = self.progress(run)
            kept = points[: max(0, self._points_of_a_run_max - before.count)]
            for one in kept:
                self._last += 1
                self._points.setdefault(name_key(run), []).append((self._last, one))
            self._progress[name_key(run)] = replace(
                before,
                read_bytes=read_bytes,
                read_all=read_all,
                count=before.count + len(kept),
                dropped=before.dropped + len(points) - len(kept),
            )
            self._bound(name_key(run))
            return self.progress(run)

    def note_sent(self, run: str, *, sent: int | None = None, begun: bool = False, closed: bool = False) -> None:
        with self._lock:
            before = self.progress(run)
            self._progress[name_key(run)] = replace(
                before,
                sent=before.sent if sent is None else sent,
                begun=before.begun or begun,
                closed=before.closed or closed,
            )

    def points(
        self, run: str, *, name: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, Point]]:
        with self._lock:
            there = self._points.get(name_key(run), [])
            return [one for one in there if one[0] > after and name in (None, one[1].name)][:limit]

    def series(self, run: str) -> dict[str, int]:
        with self._lock:
            counted = Counter(point.name for _, point in self._points.get(name_key(run), []))
            return dict(sorted(counted.items()))

    def _bound(self, spared: str) -> None:
        for key, one in self._progress.items():
            if sum(len(points) for points in self._points.values()) <= self._points_max:
                return
            if key != spared and one.count:
                self._points.pop(key, None)
                self._progress[key] = replace(one, count=0, dropped=one.dropped + one.count)
