"""Objects of a bucket on this machine: brought when they are wanted, kept until others need the room.

    DIGEST/NAME         one object, or a folder of several, as it was at one moment: the digest is of names and contents
    DIGEST.part/NAME    the same on its way; a copy that broke off goes on where it stopped

All replicas of a yard share one such folder, each a process of its own: whoever brings something holds a lock on its
folder, the others wait for it, and what somebody is reading is not removed.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from typing import Callable, Generator, Iterator, List, NamedTuple, Optional, Sequence

from modelyard_worker.object_store import Listed
from modelyard_worker.transform.remote import object_identity, stream

PART = ".part"
GONE = ".gone"
PART_SECONDS_MAX = 86400.0
"""A copy that nobody has gone on with for so long is given up."""


Read = Callable[[str, int, str], Iterator[bytes]]
"""An object's bytes from a position on, if it still has this identity: (URL, position, identity). Raises OSError."""


class Kept(NamedTuple):
    """One entry of the cache's folder."""

    path: str
    used_at: float
    size_bytes: int


class Wanted(NamedTuple):
    """One object, and where it belongs below the name under which it is kept; empty for the object alone."""

    listed: Listed
    relative: str


class ObjectCache:
    def __init__(self, folder: str, bytes_max: int, read: Read = stream) -> None:
        """`bytes_max` is what all of it may take; what is being brought or read may take more."""
        self._folder = folder
        self._bytes_max = bytes_max
        self._read = read

    @contextlib.contextmanager
    def brought(self, name: str, wanted: Sequence[Wanted]) -> "Generator[str]":
        """The path of a file or folder that is called `name`. Raises OSError."""
        digest = _digest(name, wanted)
        with self._held(name, wanted, os.path.join(self._folder, digest)) as folder:
            yield os.path.join(folder, name)

    @contextlib.contextmanager
    def _held(self, name: str, wanted: Sequence[Wanted], folder: str) -> "Generator[str]":
        while True:
            held = _lock(folder, fcntl.LOCK_SH)
            if held is not None:
                break
            self._bring(name, wanted, folder)
        try:
            with contextlib.suppress(OSError):
                os.utime(folder)
            yield folder
        finally:
            os.close(held)

    def _bring(self, name: str, wanted: Sequence[Wanted], folder: str) -> None:
        aside = folder + PART
        os.makedirs(aside, mode=0o700, exist_ok=True)
        held = _lock(aside, fcntl.LOCK_EX)
        if held is None:
            return  # another process has just finished it, or given it up
        try:
            if os.path.exists(folder):
                os.rmdir(aside)  # it was finished just before this folder was made anew
                return
            self.make_room(sum(one.listed.size_bytes for one in wanted))
            for one in wanted:
                self._fetch(one.listed, os.path.join(aside, name, one.relative) if one.relative else f"{aside}/{name}")
            os.rename(aside, folder)
        finally:
            os.close(held)

    def _fetch(self, listed: Listed, target: str) -> None:
        """One object, durably, from where an earlier attempt stopped."""
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        identity = object_identity(listed.etag, listed.size_bytes)
        with open(target, "ab") as file:
            if file.tell() < listed.size_bytes:
                file.writelines(self._read(listed.place.url, file.tell(), identity))
            file.flush()
            os.fsync(file.fileno())
        if os.path.getsize(target) != listed.size_bytes:
            os.unlink(target)
            raise OSError(f"{listed.place.url} came with another size than it was listed with")

    def make_room(self, size_bytes: int = 0) -> None:
        """Removes what was used longest ago until so much more fits; what somebody holds stays."""
        kept = sorted(self._kept(), key=lambda one: one.used_at)
        total = size_bytes + sum(one.size_bytes for one in kept)
        for one in kept:
            given_up = one.path.endswith(PART) and time.time() - one.used_at > PART_SECONDS_MAX
            if total <= self._bytes_max and not given_up:
                continue
            if one.path.endswith(PART) and not given_up:
                continue
            if _remove(one.path):
                total -= one.size_bytes

    def _kept(self) -> List[Kept]:
        found: List[Kept] = []
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for one in entries:
                if one.name.endswith(GONE):
                    shutil.rmtree(one.path, ignore_errors=True)
                    continue
                with contextlib.suppress(OSError):
                    found.append(Kept(one.path, one.stat().st_mtime, _size(one.path)))
        return found


def _lock(folder: str, kind: int) -> Optional[int]:
    """A descriptor that holds the folder which has that name now; None where none has."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(held, kind)
        if os.path.samestat(os.fstat(held), os.stat(folder)):
            return held
    except FileNotFoundError:
        pass  # it was renamed or removed while somebody else held it
    except BaseException:
        os.close(held)
        raise
    os.close(held)
    return None


def _remove(folder: str) -> bool:
    """False where somebody holds it. Renamed first, so that nobody finds half of it."""
    try:
        held = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    if held is None:
        return True
    try:
        os.rename(folder, folder + GONE)
    except OSError:
        return False
    finally:
        os.close(held)
    shutil.rmtree(folder + GONE, ignore_errors=True)
    return True


def _size(folder: str) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(path, name)).st_size
    return total


def _digest(name: str, wanted: Sequence[Wanted]) -> str:
    lines = [f"{one.listed.place.url}\0{one.listed.etag}\0{one.listed.size_bytes}\0{one.relative}\n" for one in wanted]
    return hashlib.sha256("".join([f"{name}\n", *sorted(lines)]).encode()).hexdigest()
