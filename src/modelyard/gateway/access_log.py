"""The access log of an API gateway: a line of JSON for each request, written together once a second."""

import contextlib
import json
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 16 * 2**20
"""Then it is put aside, and the one that was put aside before goes."""

HELD_LINES_MAX = 10_000
"""What is held between two writes; beyond it lines are counted and not kept."""


class AccessLog:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[bytes] = []
        self._dropped = 0

    def note(self, **fields: Any) -> None:
        if len(self._lines) >= HELD_LINES_MAX:
            self._dropped += 1
            return
        self._lines.append(json.dumps(fields, separators=(",", ":")).encode() + b"\n")

    def flush(self) -> None:
        """Where the disk refuses, requests go on and their lines are lost."""
        if not self._lines:
            return
        written, self._lines = self._lines, []
        if self._dropped:
            written.append(json.dumps({"dropped": self._dropped}).encode() + b"\n")
            self._dropped = 0
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._path.exists() and self._path.stat().st_size > FILE_BYTES_MAX:
                self._path.replace(self._path.with_suffix(".1.jsonl"))
            with self._path.open("ab") as file:
                file.write(b"".join(written))
