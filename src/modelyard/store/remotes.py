"""Data remotes: objects by the MD5 of their content, laid out as DVC lays out any remote of its own.

    NAME/files/md5/ab/cdef...        a file whose MD5 is abcdef...
    NAME/files/md5/ab/cdef....dir    the list of a folder's files, as JSON
    .aside/                          what is just being written

An object is written aside, verified, synced and renamed to its name, so a name is there only with its whole content.
Two writers of one object do no harm: both bring the same content.
"""

import asyncio
import errno
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.domain.names import check_name, name_key, not_found
from modelyard.errors import InvalidValue, NoRoom, NotFound, StoreFailed
from modelyard.store.disk import ASIDE_SECONDS_MAX, disk_failed, sync_folder
from modelyard.store.trees import check_path

CHUNK_BYTES = 2**20
"""How much is gathered before it goes to the disk; an object that is smaller costs one hand-over to a thread."""

FOLDER_LIST_BYTES_MAX = 256 * 2**20
"""A `.dir` object that is read as a list: about two million files."""

_OBJECT_MODE = 0o444
_ASIDE = ".aside"
_MD5 = re.compile(r"([0-9a-f]{2})([0-9a-f]{30})(\.dir)?")
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One file of a folder: its path below it, and the MD5 that its object has."""

    path: str
    md5: str


class DataRemotes:
    """Every data remote of a yard, in one folder. Safe for many threads and processes at once.

    Names of remotes are DNS labels and compared without case; a remote is there from its first object on. Objects are
    named by 32 lower-case hexadecimal digits, with `.dir` behind them for the list of a folder. Any method raises
    InvalidValue for another name, NoRoom where the disk is full, StoreFailed where it refuses otherwise.
    """

    def __init__(self, root: Path) -> None:
        """Touches nothing: a yard without data has no folder for it."""
        self._root = root

    async def put(self, remote: str, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Stores an object and returns its size in bytes. Raises InvalidValue where the content has another MD5; then
        nothing is kept. What `chunks` raises goes on, and nothing is kept either."""
        target = self._path(remote, name)
        gathered = bytearray()
        with self._writing() as aside:
            async for chunk in chunks:
                gathered += chunk
                if len(gathered) >= CHUNK_BYTES:
                    await asyncio.to_thread(aside.write, bytes(gathered))
                    gathered.clear()
            await asyncio.to_thread(aside.keep, bytes(gathered), name.removesuffix(".dir"), target)
        return aside.size_bytes

    def path(self, remote: str, name: str) -> Path:
        """Where an object lies, to be read and never written. Raises NotFound."""
        found = self._path(remote, name)
        if not found.is_file():
            raise NotFound(
                f"cannot find object {name} in data remote {remote}",
                "`dvc push` sends what the project has, `dvc status --cloud` compares",
            )
        return found

    def names(self) -> list[str]:
        """Remotes that are there, by name."""
        if not self._root.is_dir():
            return []
        return sorted(one.name for one in self._root.iterdir() if one.is_dir() and one.name != _ASIDE)

    def check_remote(self, remote: str) -> None:
        """Raises NotFound, with the nearest name as hint, where there is no such remote."""
        there = self.names()
        if name_key(check_name(remote, "data remote")) not in there:
            raise not_found("data remote", remote, there)

    def folder(self, remote: str, name: str) -> list[FolderEntry]:
        """The files that a `.dir` object lists, in its order. Raises NotFound, InvalidValue where it is no such list or
        a path in it could leave the folder."""
        found = self.path(remote, name)
        if found.stat().st_size > FOLDER_LIST_BYTES_MAX:
            raise InvalidValue(
                f"cannot read {name}: a list of more than {FOLDER_LIST_BYTES_MAX} bytes", "split the data"
            )
        try:
            document: Any = json.loads(found.read_bytes())
            entries = [FolderEntry(str(one["relpath"]), str(one["md5"])) for one in document]
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidValue(f"cannot read {name} in data remote {remote}: it is no list of files") from error
        for entry in entries:
            check_path(entry.path)
        return entries

    def _path(self, remote: str, name: str) -> Path:
        parts = _MD5.fullmatch(name)
        if parts is None:
            raise InvalidValue(
                f"cannot use {name[:80]!r} as an object's name",
                "write 32 hexadecimal digits in lower case, or with .dir",
            )
        label = name_key(check_name(remote, "data remote"))
        return self._root / label / "files" / "md5" / parts[1] / f"{parts[2]}{parts[3] or ''}"

    @contextmanager
    def _writing(self) -> "Generator[_Aside]":
        folder = self._root / _ASIDE
        with _disk("write", folder):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = _Aside(folder / secrets.token_hex(16))
        try:
            yield aside
        finally:
            aside.discard()

    def remove_leftovers(self, now: float | None = None) -> None:
        """Removes what died while it was being written, when that is long ago. Raises StoreFailed."""
        folder = self._root / _ASIDE
        oldest = (time.time() if now is None else now) - ASIDE_SECONDS_MAX
        with _disk("remove what was left in", folder):
            for left in folder.iterdir() if folder.is_dir() else ():
                if left.lstat().st_mtime < oldest:
                    left.unlink(missing_ok=True)


class _Aside:
    """An object while it is written: its file, and what its content is so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._digest = hashlib.md5(usedforsecurity=False)
        self._file = path.open("xb")

    def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        with _disk("write", self.path):
            self._file.write(chunk)

    def keep(self, last: bytes, md5: str, target: Path) -> None:
        """Writes the last chunk and gives the object its name, where its content is what the name says."""
        self.write(last)
        if self._digest.hexdigest() != md5:
            raise InvalidValue(f"cannot store {md5}: the content's MD5 is {self._digest.hexdigest()}", "send it again")
        with _disk("write", target):
            self._file.flush()
            os.fchmod(self._file.fileno(), _OBJECT_MODE)
            os.fsync(self._file.fileno())
            _make_folder(target.parent)
            self.path.rename(target)
            sync_folder(target.parent)

    def discard(self) -> None:
        with _disk("remove", self.path):
            self.path.unlink(missing_ok=True)
            self._file.close()


def _make_folder(folder: Path) -> None:
    """Makes a folder and those above it, each on disk before anything is in it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


@contextmanager
def _disk(verb: str, path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _refused(verb, path, error) from error


def _refused(verb: str, path: Path, error: OSError) -> NoRoom | StoreFailed:
    if error.errno in _NO_SPACE:
        return NoRoom(f"cannot {verb} {path}: {error.strerror}", "make room on the yard's disk, then try again")
    return disk_failed(verb, path, error)
