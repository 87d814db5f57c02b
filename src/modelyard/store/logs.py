"""Reading what processes print: their output goes to files, so that a reader that dies breaks nobody's `print`.

A file may not be there yet, may grow while it is read, be truncated, or be replaced by another of the same name.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import IO

from modelyard_worker import records
from modelyard_worker.records import TAIL_BYTES_MAX, tail_start

CHUNK_BYTES = 64 * 2**10

POLL_SECONDS = 0.2
"""How long to wait before looking again for new output; a person does not notice it."""


def tail(path: Path, lines: int, bytes_max: int = TAIL_BYTES_MAX) -> str:
    """The last `lines` lines within the last `bytes_max` bytes; empty where there is no such file. What is not UTF-8
    is replaced."""
    return records.tail(str(path), lines, bytes_max)


async def follow(
    path: Path, *, lines: int, ended: Callable[[], bool], poll_seconds: float = POLL_SECONDS
) -> AsyncGenerator[bytes]:
    """The last `lines` lines that are there, then whatever is added, until `ended()` and nothing is left.

    Chunks have at most `CHUNK_BYTES` bytes and may end inside a line or a character. A file that is not there yet is
    waited for; one that was truncated or replaced is read on from its beginning.
    """
    file: IO[bytes] | None = None
    try:
        while True:
            # Asked before reading: what is written up to the end is then sure to be read after it.
            last_round = ended()
            if file is None:
                file = _open(path)
                if file is not None:
                    file.seek(tail_start(file, lines))
            while file is not None:
                for chunk in _chunks(file):
                    yield chunk
                    await asyncio.sleep(0)
                replaced = _reopen(path, file)
                if replaced is None:
                    break
                file = replaced
            if last_round:
                return
            await asyncio.sleep(poll_seconds)
    finally:
        if file is not None:
            file.close()


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
