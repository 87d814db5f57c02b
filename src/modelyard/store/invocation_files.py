"""Bodies and results of queued invocations that are too long for the database: a file each, under a name of its own.

Written aside, synced, renamed: a name that the database has is there with its whole content.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from modelyard.store.disk import ASIDE_SECONDS_MAX, disk, sync_folder

INLINE_BYTES_MAX = 64 * 2**10
"""Up to this size the database has the content."""

_ASIDE = ".aside"


class InvocationFiles:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        return self._folder / name

    def writing(self) -> "Writing":
        """A file that is gone at the end of the block unless `keep` has given it its name."""
        return Writing(self._folder)

    def link(self, blob: Path) -> str:
        """Keeps a file that must not change, such as an artifact, whatever becomes of its other name."""
        with disk("write", self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            name = secrets.token_hex(16)
            (self._folder / name).hardlink_to(blob)
            sync_folder(self._folder)
        return name

    def drop(self, names: Iterable[str | None]) -> None:
        for name in names:
            if name is not None:
                with disk("remove", self._folder / name):
                    (self._folder / name).unlink(missing_ok=True)

    def drop_leftovers(self, needed: set[str]) -> int:
        """Removes what no invocation has and what died while it was written; returns how many. What is young stays: its
        row may be about to come."""
        if not self._folder.is_dir():
            return 0
        oldest = time.time() - ASIDE_SECONDS_MAX
        dropped = 0
        with disk("read", self._folder):
            for path in self._folder.iterdir():
                if path.name not in needed and path.lstat().st_mtime < oldest:
                    path.unlink(missing_ok=True)
                    dropped += 1
        return dropped


class Writing:
    """Content while it is taken in: in memory as long as it is short, then in a file aside."""

    def __init__(self, folder: Path) -> None:
        self.size_bytes = 0
        self._folder = folder
        self._digest = hashlib.sha256()
        self._parts: list[bytes] = []
        self._aside: Path | None = None
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def is_long(self) -> bool:
        return self._aside is not None

    def write(self, chunk: bytes) -> None:
        """Raises StoreFailed."""
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        self._parts.append(chunk)
        if self.size_bytes > INLINE_BYTES_MAX:
            self._to_disk()

    def content(self) -> bytes:
        """All of it, where it is short."""
        return b"".join(self._parts)

    def keep(self) -> str | None:
        """The file's name, on disk; None where the content is short. Raises StoreFailed."""
        if self._aside is None:
            return None
        name = secrets.token_hex(16)
        with disk("write", self._folder):
            os.fsync(self._descriptor)
            self._aside.rename(self._folder / name)
            self._aside = None
            sync_folder(self._folder)
        return name

    def _to_disk(self) -> None:
        parts, self._parts = self._parts, []
        with disk("write", self._folder):
            if self._aside is None:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                self._aside = self._folder / f"{_ASIDE}-{secrets.token_hex(16)}"
                self._descriptor = os.open(self._aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            for part in parts:
                rest = memoryview(part)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
