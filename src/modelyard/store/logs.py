"""Reading what processes print: their output goes to files, so that a reader that dies breaks nobody's `print`.

A file may not be there yet, may grow while it is read, be truncated, or be replaced by another of the same name.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import IO

TAIL_BYTES_MAX = 256 * 2**10
"""How far from its end a file's last lines are looked for."""

CHUNK_BYTES = 64 * 2**10

POLL_SECONDS = 0.2
"""How long to wait before looking again for new output; a person does not notice it."""


def tail(path: Path, lines: int, bytes_max: int = TAIL_BYTES_MAX) -> str:
    """The last `lines` lines within the last `bytes_max` bytes; empty where there is no such file. What is not UTF-8
    is replaced."""
    file = _open(path)
    if file is None:
        return ""
    with file:
        start = _tail_start(file, lines, bytes_max)
        file.seek(start)
        content = file.read(bytes_max)
    return _whole_characters(content).decode(errors="replace")


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
                    file.seek(_tail_start(file, lines, TAIL_BYTES_MAX))
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


def _tail_start(file: IO[bytes], lines: int, bytes_max: int) -> int:
    """Where the last lines begin, looking back at most `bytes_max` bytes; leaves the file's position anywhere."""
    end = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    earliest = max(0, end - bytes_max)
    wanted = lines
    at = end
    while at > earliest:
        begin = max(earliest, at - CHUNK_BYTES)
        file.seek(begin)
        block = file.read(at - begin)
        # The line feed that ends the file ends its last line; it begins none.
        upto = len(block) - 1 if at == end and block.endswith(b"\n") else len(block)
        while (found := block.rfind(b"\n", 0, upto)) != -1:
            wanted -= 1
            if wanted == 0:
                return begin + found + 1
            upto = found
        at = begin
    return earliest


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


def _whole_characters(content: bytes) -> bytes:
    """Without the rest of a character that the beginning cuts through: continuation bytes are 10xxxxxx."""
    cut = 0
    while cut < min(3, len(content)) and content[cut] & 0xC0 == 0x80:
        cut += 1
    return content[cut:]
