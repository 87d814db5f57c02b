"""How far each object's output is on disk. One file that is appended to, a JSON line an entry, synced before it counts.

    {"object": 3, "at": 1048576, "bytes": 20480, "records": 9000}   so much of the input is in so much of the output
    {"object": 3, "sealing": 20480}                                the output is complete and about to get its name
    {"object": 3, "done": true}                                    it has it
    {"object": 3, "failed": "cannot ..."}                          it will never have one
    {"object": -1, "done": true}                                   the predictor was told that the job is complete

An entry is written after the output that it tells of was synced, so it never tells too much; what was appended after
the last entry is cut off by whoever goes on. A line that is not whole was not written.
"""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional

JOURNAL = "journal.jsonl"


class Place(NamedTuple):
    """How far one object is."""

    at: int = 0
    output_bytes: int = 0
    records: int = 0
    sealing: bool = False
    done: bool = False
    failed: Optional[str] = None

    @property
    def ended(self) -> bool:
        return self.done or self.failed is not None


class Journal:
    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, JOURNAL)
        self.places: Dict[int, Place] = {}
        whole = self._read()
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, whole)
        os.lseek(self._file, whole, os.SEEK_SET)

    def place(self, number: int) -> Place:
        return self.places.get(number, Place())

    def write(self, entries: List[Dict[str, Any]]) -> None:
        """Durably, all or none of the last line. Raises OSError."""
        if not entries:
            return
        content = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        begin = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            _write_all(self._file, content)
            os.fdatasync(self._file)
        except OSError:
            # On a full disk half a line may stand there; the next one must not be put after it.
            os.ftruncate(self._file, begin)
            os.lseek(self._file, begin, os.SEEK_SET)
            raise
        for entry in entries:
            self._take(entry)

    def close(self) -> None:
        os.close(self._file)

    def _read(self) -> int:
        """Takes every whole line; returns where they end."""
        whole = 0
        try:
            with open(self._path, "rb") as file:
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    try:
                        self._take(json.loads(line))
                    except (ValueError, KeyError, TypeError):
                        break
                    whole += len(line)
        except FileNotFoundError:
            pass
        return whole

    def _take(self, entry: Dict[str, Any]) -> None:
        number = int(entry["object"])
        before = self.place(number)
        if "failed" in entry:
            self.places[number] = before._replace(failed=str(entry["failed"]), sealing=False)
        elif "done" in entry:
            self.places[number] = before._replace(done=True)
        elif "sealing" in entry:
            self.places[number] = before._replace(sealing=True)
        else:
            self.places[number] = Place(int(entry["at"]), int(entry["bytes"]), int(entry["records"]))


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
