"""What the disk can refuse, and how something is made to stay."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from modelyard.errors import StoreFailed

ASIDE_SECONDS_MAX = 86400.0
"""Something written aside that is older was left behind by a process that died."""

FILES_SYNCED_ONE_BY_ONE_MAX = 64
"""Beyond so many, everything that the kernel holds back is written at once: that is sooner done."""

_HINTS = {
    errno.ENOSPC: "the disk is full: make room, then try again",
    errno.EDQUOT: "the disk quota is used up: make room, then try again",
}


def disk_failed(verb: str, path: Path, error: OSError) -> StoreFailed:
    """What a refusal of the disk is called."""
    hint = _HINTS.get(error.errno or 0, "see that the disk is well and that this user can use that place")
    return StoreFailed(f"cannot {verb} {path}: {error.strerror or error}", hint)


@contextmanager
def disk(verb: str, path: Path) -> Generator[None]:
    """Raises StoreFailed for whatever OSError the block raises."""
    try:
        yield
    except OSError as error:
        raise disk_failed(verb, path, error) from error


def sync_folder(folder: Path) -> None:
    """Makes a folder's entries survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_files(folder: Path) -> None:
    """Makes the files of a folder, and that they are there, survive a power cut. Raises OSError."""
    files = list(folder.iterdir())
    if len(files) > FILES_SYNCED_ONE_BY_ONE_MAX:
        os.sync()
    else:
        for file in files:
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    sync_folder(folder)
    sync_folder(folder.parent)
