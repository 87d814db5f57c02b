"""How far a transform is, for people: a file that is replaced now and then, and lost without harm."""

import json
import os
import time
from typing import Any, Dict, List, Optional

from modelyard_worker.records import read_json
from modelyard_worker.transform.journal import Journal
from modelyard_worker.transform.objects import Object
from modelyard_worker.transform.plan import PROGRESS

WRITE_SECONDS = 0.5


class Progress:
    """What counts is what the journal has; what this start did is what the rate is from."""

    def __init__(self, folder: str, objects: List[Object], journal: Journal) -> None:
        self._path = os.path.join(folder, PROGRESS)
        self._objects = objects
        self._journal = journal
        sizes = [one.size_bytes for one in objects]
        self._total_bytes = sum(one or 0 for one in sizes) if all(one is not None for one in sizes) else None
        self.done_bytes = sum(self.bytes_of(one) for one in objects)
        self.records = sum(journal.place(one.number).records for one in objects)
        self.done = sum(journal.place(one.number).done for one in objects)
        self.failed = sum(journal.place(one.number).failed is not None for one in objects)
        self._begun_records = self.records
        self._begun_bytes = self.done_bytes
        before: Dict[str, Any] = read_json(self._path) or {}
        self.requests = int(before.get("requests") or 0)
        self.request_seconds = float(before.get("request_seconds") or 0.0)
        self.tries_failed = int(before.get("tries_failed") or 0)
        self._began: Optional[float] = None
        self._written_at = 0.0

    def begin(self) -> None:
        """The first piece is given out: the rate counts from here, not from the loading before."""
        if self._began is None:
            self._began = time.monotonic()

    def answered(self, seconds: float) -> None:
        """A process answered a piece, `seconds` after it was given out."""
        self.requests += 1
        self.request_seconds += seconds

    def write(self, *, now: bool = False) -> None:
        """At most every WRITE_SECONDS, unless `now`. A disk that refuses it is no reason to stop."""
        if not now and time.monotonic() - self._written_at < WRITE_SECONDS:
            return
        self._written_at = time.monotonic()
        aside = f"{self._path}.tmp"
        try:
            with open(aside, "w", encoding="utf-8") as file:
                json.dump(self.document(), file)
            os.replace(aside, self._path)
        except OSError:
            return

    @property
    def seconds(self) -> float:
        """Since the first piece was given out."""
        return time.monotonic() - self._began if self._began is not None else 0.0

    def document(self) -> Dict[str, Any]:
        seconds = self.seconds
        rate = (self.records - self._begun_records) / seconds if seconds > 0 else None
        return {
            "objects": len(self._objects),
            "objects_done": self.done,
            "objects_failed": self.failed,
            "records": self.records,
            "bytes": self.done_bytes,
            "bytes_total": self._total_bytes,
            "records_per_second": round(rate, 1) if rate is not None else None,
            "seconds_left": self._seconds_left(seconds),
            "requests": self.requests,
            "request_seconds": round(self.request_seconds, 6),
            "tries_failed": self.tries_failed,
            "at": time.time(),
        }

    def _seconds_left(self, seconds: float) -> Optional[float]:
        scored = self.done_bytes - self._begun_bytes
        if self._total_bytes is None or scored <= 0:
            return None
        return round(max(0, self._total_bytes - self.done_bytes) * seconds / scored, 1)

    def bytes_of(self, one: Object) -> int:
        """What of an object's own bytes was done before the present process."""
        place = self._journal.place(one.number)
        size = one.size_bytes or 0
        # Places of compressed input are those after decompression: they say nothing of its own bytes.
        return size if place.ended else min(place.at, size) if not one.name.endswith((".gz", ".parquet")) else 0
