"""Lines of a replica's output, stamped where they are printed: nobody can tell afterwards when a line was.

    2026-01-31T12:00:00.123Z ERROR 1f2e3d4c0000000000000007 ValueError: no such currency

That is the time in UTC, the level, the ids of the requests in the call that printed (`-` outside of any), and the text.
What goes to standard output is INFO and to standard error ERROR, but what comes through `logging` or `warnings` has
the level of its record. What a library writes past Python has no stamp; whoever reads it gives it the stamp of the line
before.
"""

import contextlib
import contextvars
import logging
import os
import re
import sys
import threading
import time
import warnings
from typing import Any, List, NamedTuple, Optional, Sequence

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""In rising order."""

LINE_LENGTH_MAX = 1024 * 1024
"""Characters that are kept for a line's end to come; a longer line is written in pieces."""

REQUESTS_SHOWN_MAX = 32
"""Request ids in one stamp: as many as a call holds by default."""

_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (\S+) (.*)", re.DOTALL
)

_NONE: Sequence[Any] = ()

running: "contextvars.ContextVar[Sequence[Any]]" = contextvars.ContextVar("running", default=_NONE)
"""The requests in the call that runs here; each has an `id`. Asked only when something is printed."""

heard: "contextvars.ContextVar[Optional[List[str]]]" = contextvars.ContextVar("heard", default=None)
"""Where what is printed here is written down as well, without its stamps; nowhere by default."""


class Stamped(NamedTuple):
    """One line, taken apart. `requests` is `-` or ids with commas between."""

    at: str
    level: str
    requests: str
    text: str


def read_stamp(line: str) -> Optional[Stamped]:
    """None where the line has no stamp."""
    found = _STAMP.match(line)
    return Stamped(found[1], found[2], found[3], found[4]) if found else None


def without_stamps(text: str) -> str:
    """Lines as they were printed."""
    lines = text.split("\n")
    return "\n".join(found.text if (found := read_stamp(line)) else line for line in lines)


def stamped(level: str, text: str) -> str:
    """A line of somebody else's for a replica's output, with its end."""
    return f"{_now()} {level} - {text}\n"


def stamp_output() -> None:
    """From here on, what this process prints is stamped."""
    turn = _Turn()
    for name, level in (("stdout", "INFO"), ("stderr", "ERROR")):
        stream = getattr(sys, name)
        stream.flush()
        setattr(sys, name, StampedOutput(stream, level, turn))
    _learn_levels_of_records()


class _Turn:
    """Whose line it is: several threads print, and a child that is forked meanwhile must not wait for its parent."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self.lock = threading.RLock()


class StampedOutput:
    """Stands in the place of a text stream; everything but text goes to the stream itself."""

    def __init__(self, stream: Any, level: str, turn: _Turn) -> None:
        self._stream = stream
        self._descriptor = stream.fileno()
        self._level = level
        self._turn = turn
        self._kept = ""

    def write(self, text: str) -> int:
        """Writes the lines that are complete; the rest waits for its end, or for a flush."""
        with self._turn.lock:
            whole, ended, rest = (self._kept + text).rpartition("\n")
            if ended:
                self._put(whole)
            if len(rest) > LINE_LENGTH_MAX:
                self._put(rest)
                rest = ""
            self._kept = rest
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Puts everything into the file. A line that was not ended ends here: what was flushed must not be lost."""
        with self._turn.lock:
            kept, self._kept = self._kept, ""
            if kept:
                self._put(kept)
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _put(self, text: str) -> None:
        stamp = f"{_now()} {getattr(_level_of_record, 'name', None) or self._level} {_requests()} "
        printed = text.split("\n")
        also = heard.get()
        if also is not None:
            also += printed
        lines = "".join(f"{stamp}{line.strip(chr(13))}\n" for line in printed)
        rest = lines.encode("utf-8", "backslashreplace")
        # A full disk must not make a prediction fail for the sake of a print.
        with contextlib.suppress(OSError):
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


_level_of_record = threading.local()
"""`name` is the level of the record that this thread is just writing."""


def _learn_levels_of_records() -> None:
    """Handlers of the user's own making write to the streams; only while they do is a record's level known."""
    handler: Any = logging.StreamHandler
    handler.emit = _with_level(handler.emit)
    warnings.showwarning = _with_level_of_warnings(warnings.showwarning)


def _with_level(emit: Any) -> Any:
    def emit_with_level(handler: Any, record: Any) -> None:
        _level_of_record.name = _level(record.levelno)
        try:
            emit(handler, record)
        finally:
            _level_of_record.name = None

    return emit_with_level


def _with_level_of_warnings(show: Any) -> Any:
    def show_with_level(*told: Any, **named: Any) -> None:
        _level_of_record.name = "WARNING"
        try:
            show(*told, **named)
        finally:
            _level_of_record.name = None

    return show_with_level


def _level(number: int) -> str:
    return LEVELS[min(max(number // 10 - 1, 0), len(LEVELS) - 1)]


def _now() -> str:
    now = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1000):03d}Z"


def _requests() -> str:
    found = running.get()
    return ",".join(str(one.id) for one in found[:REQUESTS_SHOWN_MAX]) or "-"
