"""Bounding a log that others write to: its content becomes the earlier part of itself, and the file begins anew.

The writers hold the file open for appending and know nothing of this, so it cannot be renamed: it is copied aside, the
copy takes the name `output.log.1`, and the file is truncated; an append then goes to its new end. What a writer adds
between the copy and the truncation is copied last; the rest of that instant, microseconds unless it writes faster than
a disk, is the price of asking nothing of the writers. Readers know the parts by their inodes (`logs`).

What is kept is the newest `bytes_max` bytes, at the places where they stood: before them the earlier part has a hole,
which takes no room, so that a reader goes on where it was. A script that prints a gigabyte between two looks leaves no
gigabyte behind.
"""

import os
from pathlib import Path

from modelyard.store.disk import disk

CHUNK_BYTES = 2**20
BLOCK_BYTES = 4096

ROUNDS_MAX = 4
"""How often a writer that is as fast as the copying is caught up with, before the file is cut all the same."""

NO_INODE = 0


def earlier_part(path: Path) -> Path:
    """Where the earlier part of a log is, where there is one."""
    return path.with_name(f"{path.name}.1")


def earlier_inode(path: Path) -> int:
    """What tells one earlier part from the next; 0 where there is none."""
    try:
        return earlier_part(path).stat().st_ino
    except FileNotFoundError:
        return NO_INODE


def rotate(path: Path, bytes_max: float) -> bool:
    """Whether the log was over its bound, and so begins anew. Harmless where it is not there. Raises StoreFailed."""
    with disk("rotate", path):
        try:
            if path.stat().st_size <= bytes_max:
                return False
            _rotate(path, int(bytes_max))
        except FileNotFoundError:
            # Its process was forgotten in between, folder and all.
            return False
    return True


def data_start(descriptor: int, at: int) -> int:
    """The first place from `at` on where an earlier part has anything; its end where nothing follows."""
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError:
        return os.fstat(descriptor).st_size


def _rotate(path: Path, keep_bytes: int) -> None:
    aside = path.with_name(f"{path.name}.1.tmp")
    aside.unlink(missing_ok=True)
    log = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        copy = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            rounds = 0
            _go_to_newest(log, copy, keep_bytes)
            while _copy_rest(log, copy) and rounds < ROUNDS_MAX:
                rounds += 1
            if rounds == ROUNDS_MAX:
                # The writer is as fast: what was copied first is no longer among the newest.
                os.ftruncate(copy, 0)
                _go_to_newest(log, copy, keep_bytes)
                _copy_rest(log, copy)
            aside.replace(earlier_part(path))
            if _rest_bytes(log) > keep_bytes:
                # It is faster than that: nor is all of what it has written meanwhile.
                _go_to_newest(log, copy, keep_bytes)
            _copy_rest(log, copy)
            os.ftruncate(log, 0)
        finally:
            os.close(copy)
    finally:
        os.close(log)


def _go_to_newest(log: int, copy: int, keep_bytes: int) -> None:
    begin = max(0, os.fstat(log).st_size - keep_bytes)
    # At the begin of a block: a hole has none of a block's bytes.
    begin -= begin % max(BLOCK_BYTES, os.fstat(copy).st_blksize)
    os.lseek(log, begin, os.SEEK_SET)
    os.lseek(copy, begin, os.SEEK_SET)


def _rest_bytes(log: int) -> int:
    return os.fstat(log).st_size - os.lseek(log, 0, os.SEEK_CUR)


def _copy_rest(log: int, copy: int) -> int:
    """Copies up to the present end and returns how many bytes that was."""
    copied = 0
    end = os.fstat(log).st_size
    while os.lseek(log, 0, os.SEEK_CUR) < end and (chunk := os.read(log, CHUNK_BYTES)):
        copied += len(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(copy, view) :]
    return copied
