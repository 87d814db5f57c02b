"""Locks between processes, as files: held as long as a block lasts, let go by the system when a process dies."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from modelyard.store.disk import disk


@contextmanager
def shared(path: Path) -> Generator[None]:
    """Waits until nobody holds it alone. Raises StoreFailed."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone_or_not(path: Path) -> Generator[bool]:
    """Whether it is held alone; where others hold it, it is not waited for. Raises StoreFailed."""
    descriptor = _open(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    with disk("lock", path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
