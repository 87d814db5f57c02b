"""Reading what processes print: their output goes to files, so that a reader that dies breaks nobody's `print`.

A file may not be there yet, may grow while it is read, be truncated, or be replaced by another of the same name. When
it grows over its bound its content becomes its earlier part (`rotation`), and readers follow across.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import IO

from modelyard_worker import records
from modelyard_worker.records import TAIL_BYTES_MAX, tail_start

from modelyard.store.rotation import NO_INODE, data_start, earlier_inode, earlier_part

CHUNK_BYTES = 64 * 2**10

POLL_SECONDS = 0.2
"""How long to wait before looking again for new output; a person does not notice it."""


def tail(path: Path, lines: int, bytes_max: int = TAIL_BYTES_MAX) -> str:
    """The last `lines` lines within the last `bytes_max` bytes, the earlier part included; empty where there is no such
    file. What is not UTF-8 is replaced."""
    text = records.tail(str(path), lines, bytes_max)
    lines_missing, bytes_left = lines - len(text.splitlines()), bytes_max - len(text.encode())
    if lines_missing <= 0 or bytes_left <= 0:
        return text
    return records.tail(str(earlier_part(path)), lines_missing, bytes_left) + text


async def follow(
    path: Path, *, lines: int, ended: Callable[[], bool], poll_seconds: float = POLL_SECONDS
) -> AsyncGenerator[bytes]:
    """The last `lines` lines that are there, then whatever is added, until `ended()` and nothing is left.

    Chunks have at most `CHUNK_BYTES` bytes and may end inside a line or a character. A file that is not there yet is
    waited for; one that was truncated or replaced is read on from its beginning; of one that was rotated, first what is
    left of its earlier part.
    """
    followed = _Followed(path, lines)
    try:
        while True:
            # Asked before reading: what is written up to the end is then sure to be read after it.
            last_round = ended()
            for chunk in followed.news():
                yield chunk
                await asyncio.sleep(0)
            if last_round and not followed.cut:
                return
            await asyncio.sleep(poll_seconds)
    finally:
        followed.close()


class _Followed:
    """A file that is read as it grows, across its rotations."""

    def __init__(self, path: Path, lines: int) -> None:
        self._path = path
        self._lines = lines
        self._file: IO[bytes] | None = None
        self._earlier = NO_INODE
        self.cut = False
        """A new earlier part was seen; whether the file has been truncated already, the next look tells."""

    def news(self) -> Iterator[bytes]:
        """What was added since the last look."""
        if self._file is None:
            yield from self._begin()
        if self._file is None:
            return
        if self._is_rotated():
            if not self.cut:
                # The earlier part has its name; the file itself is truncated within microseconds.
                self.cut = True
                return
            yield from self._rest_of_earlier(self._file)
            self.cut = False
        while True:
            yield from self._added(self._file)
            if self._is_rotated():
                self.cut = True
                return
            replaced = _reopen(self._path, self._file)
            if replaced is None:
                return
            self._file = replaced

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> Iterator[bytes]:
        self._earlier = earlier_inode(self._path)
        self._file = _open(self._path)
        if self._file is None:
            return
        start = tail_start(self._file, self._lines)
        self._file.seek(start)
        if start == 0 and self._lines:
            lines_missing = self._lines - len(records.tail(str(self._path), self._lines).splitlines())
            if lines_missing > 0:
                yield records.tail(str(earlier_part(self._path)), lines_missing).encode()

    def _is_rotated(self) -> bool:
        return earlier_inode(self._path) not in (NO_INODE, self._earlier)

    def _added(self, file: IO[bytes]) -> Iterator[bytes]:
        """What the file has beyond the place that was come to. A rotation first gives the earlier part its name, then
        truncates: what was read before the name changed was still there, and anything else may be of later lines."""
        at = file.tell()
        while chunk := file.read(CHUNK_BYTES):
            if self._is_rotated():
                file.seek(at)
                return
            at += len(chunk)
            yield chunk

    def _rest_of_earlier(self, file: IO[bytes]) -> Iterator[bytes]:
        self._earlier = earlier_inode(self._path)
        earlier = _open(earlier_part(self._path))
        if earlier is not None:
            with earlier:
                earlier.seek(data_start(earlier.fileno(), file.tell()))
                yield from _chunks(earlier)
        file.seek(0)


def _open(path: Path) -> IO[bytes] | None:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        return None


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _reopen(path: Path, file: IO[bytes]) -> IO[bytes] | None:
    """The file to go on with at its beginning where this one, read to its end, was truncated or replaced; else None."""
    present = os.fstat(file.fileno())
    if present.st_size < file.tell():
        file.seek(0)
        return file
    try:
        named = path.stat()
    except FileNotFoundError:
        return None
    if (named.st_dev, named.st_ino) == (present.st_dev, present.st_ino):
        return None
    successor = _open(path)
    if successor is not None:
        file.close()
    return successor
