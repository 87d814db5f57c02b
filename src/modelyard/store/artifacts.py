"""Artifacts as files: `ab/cdef...` for the blob with sha256 abcdef..., readable for its owner, writable for nobody.

A blob is written aside, synced, and renamed to its name, and then its folder is synced; so a name is there only with
its whole content, after a power cut too. Two writers of one blob do no harm: both bring the same content.
"""

import asyncio
import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelyard.domain.retention import StoredArtifact
from modelyard.errors import InvalidValue, NotFound
from modelyard.store.disk import ASIDE_SECONDS_MAX, disk, sync_folder
from modelyard.store.folders import build_folder, walk_folder
from modelyard.store.ports import TreeFile
from modelyard.store.trees import check_digest, check_size, check_tree_size, decode_tree, encode_tree

CHUNK_BYTES = 2**20
"""How much is gathered before it goes to the disk: large enough that handing it to a thread costs nothing beside it."""

_FOLDER_LENGTH = 2
"""Hexadecimal digits of the folder that a blob is in."""

_BLOB_MODE = 0o444
_EXECUTABLE_MODE = 0o555
_WRITABLE_MODE = 0o644
_WRITABLE_EXECUTABLE_MODE = 0o755

_COPY_BYTES = 2**30
"""How much the kernel is asked to copy at once."""

_NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""Between these two files the kernel does not copy by itself."""

_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.EACCES})
"""Another device, too many links, or a file system without them: then a copy does as well."""


class FileArtifacts:
    """Implements `ports.Artifacts` on a folder. Safe for many threads and processes at once."""

    def __init__(self, root: Path) -> None:
        """Makes the folder and removes what died while it was being written. Raises StoreFailed."""
        self._root = root
        self._aside = root / "aside"
        with disk("use", self._aside):
            self._aside.mkdir(parents=True, exist_ok=True)
            _remove_older(self._aside, time.time() - ASIDE_SECONDS_MAX)

    async def put(self, sha256: str, chunks: AsyncIterator[bytes]) -> int:
        check_digest(sha256)
        gathered = bytearray()
        with self._writing() as blob:
            async for chunk in chunks:
                gathered += chunk
                if len(gathered) >= CHUNK_BYTES:
                    await asyncio.to_thread(blob.write, bytes(gathered))
                    gathered.clear()
            await asyncio.to_thread(blob.write, bytes(gathered))
            if blob.sha256 != sha256:
                raise InvalidValue(f"cannot store {sha256}: the content's sha256 is {blob.sha256}", "send it again")
            await asyncio.to_thread(self._keep, blob)
        return blob.size_bytes

    def put_file(self, path: Path) -> tuple[str, int]:
        with self._writing() as blob:
            for chunk in _read_chunks(path):
                blob.write(chunk)
            self._keep(blob)
        return blob.sha256, blob.size_bytes

    def put_bytes(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        if not self._touch(sha256):
            with self._writing() as blob:
                blob.write(content)
                self._keep(blob)
        return sha256

    def has(self, sha256: str) -> bool:
        return self._path(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """The file of a blob, which must not be written to. Raises NotFound."""
        if not self._touch(sha256):
            raise _not_there(sha256)
        return self._path(sha256)

    def missing(self, digests: Iterable[str]) -> list[str]:
        return [sha256 for sha256 in digests if not self._touch(sha256)]

    def read(self, sha256: str) -> bytes:
        path = self._path(sha256)
        with disk("read", path):
            try:
                return path.read_bytes()
            except FileNotFoundError as error:
                raise _not_there(sha256) from error

    def put_tree(self, files: Sequence[TreeFile]) -> str:
        content = encode_tree(files)
        for one in files:
            check_size(one, self._size(one.sha256))
            self._touch(one.sha256)
        return self.put_bytes(content)

    def tree(self, digest: str) -> list[TreeFile]:
        check_tree_size(digest, self._size(digest))
        return decode_tree(digest, self.read(digest))

    def put_folder(self, folder: Path) -> str:
        files: list[TreeFile] = []
        for path, on_disk, executable in walk_folder(folder):
            sha256, size_bytes = self.put_file(on_disk)
            files.append(TreeFile(path, sha256, size_bytes, executable))
        return self.put_tree(files)

    def lay_out(self, digest: str, folder: Path, *, share: bool) -> None:
        build_folder(self.tree(digest), folder, self._share if share else self._copy)

    def stored(self) -> list[StoredArtifact]:
        with disk("read", self._root):
            folders = [folder for folder in self._root.iterdir() if len(folder.name) == _FOLDER_LENGTH]
            return [one for folder in folders for one in _stored(folder)]

    def drop(self, sha256: str, touched_before: float) -> bool:
        path = self._path(sha256)
        with disk("remove", path):
            try:
                if path.stat().st_mtime >= touched_before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    def _touch(self, sha256: str) -> bool:
        """Whether it is there; if so, it stays for a while, because somebody may be about to refer to it."""
        path = self._path(sha256)
        with disk("write", path):
            try:
                os.utime(path)
            except FileNotFoundError:
                return False
        return True

    def _path(self, sha256: str) -> Path:
        check_digest(sha256)
        return self._root / sha256[:2] / sha256[2:]

    def _size(self, sha256: str) -> int:
        path = self._path(sha256)
        with disk("read", path):
            try:
                return path.stat().st_size
            except FileNotFoundError as error:
                raise _not_there(sha256) from error

    @contextmanager
    def _writing(self) -> "Generator[_BlobAside]":
        """A blob aside that is gone at the end, unless `_keep` has given it its name."""
        blob = _BlobAside(self._aside / secrets.token_hex(16))
        try:
            yield blob
        finally:
            blob.discard()

    def _keep(self, blob: "_BlobAside") -> None:
        path = self._path(blob.sha256)
        if self._touch(blob.sha256):
            return
        blob.finish()
        with disk("write", path):
            if not path.parent.is_dir():
                path.parent.mkdir(exist_ok=True)
                sync_folder(self._root)
            blob.path.rename(path)
            sync_folder(path.parent)

    def _copy(self, one: TreeFile, target: Path) -> None:
        _copy(self._blob(one), target, _WRITABLE_EXECUTABLE_MODE if one.executable else _WRITABLE_MODE)

    def _blob(self, one: TreeFile) -> Path:
        blob = self._path(one.sha256)
        if not blob.is_file():
            raise _not_there(one.sha256)
        return blob

    def _share(self, one: TreeFile, target: Path) -> None:
        blob = self._blob(one)
        if one.executable:
            _copy(blob, target, _EXECUTABLE_MODE)
            return
        try:
            target.hardlink_to(blob)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            _copy(blob, target, _BLOB_MODE)


class _BlobAside:
    """A blob while it is written: its file, and what its content is so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        with disk("write", path):
            self._file = path.open("xb")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        with disk("write", self.path):
            self._file.write(chunk)

    def finish(self) -> None:
        with disk("write", self.path):
            self._file.flush()
            os.fchmod(self._file.fileno(), _BLOB_MODE)
            os.fsync(self._file.fileno())

    def discard(self) -> None:
        with disk("remove", self.path):
            self.path.unlink(missing_ok=True)
            self._file.close()


def _stored(folder: Path) -> Iterator[StoredArtifact]:
    for entry in os.scandir(folder):
        try:
            found = entry.stat()
        except FileNotFoundError:
            # Dropped by another process in between.
            continue
        yield StoredArtifact(folder.name + entry.name, found.st_size, found.st_mtime)


def _not_there(sha256: str) -> NotFound:
    return NotFound(f"cannot find artifact {sha256}", "upload it first")


def _read_chunks(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise NotFound(f"cannot store file {path}: there is none")
    with disk("read", path), path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _copy(blob: Path, target: Path, mode: int) -> None:
    with blob.open("rb") as source, target.open("xb") as copy:
        if not _copied_by_kernel(source.fileno(), copy.fileno()):
            shutil.copyfileobj(source, copy, CHUNK_BYTES)
        copy.flush()
        os.fchmod(copy.fileno(), mode)
        os.fsync(copy.fileno())


def _copied_by_kernel(source: int, target: int) -> bool:
    """Lets the kernel copy: file systems that can do so only note that the content is the same, until one is written
    to. False where it does not do it between these two, and then nothing was copied."""
    copied = 0
    try:
        while count := os.copy_file_range(source, target, _COPY_BYTES):
            copied += count
    except OSError as error:
        if copied or error.errno not in _NO_KERNEL_COPY:
            raise
        return False
    return True


def _remove_older(folder: Path, oldest: float) -> None:
    for left in folder.iterdir():
        try:
            if left.lstat().st_mtime < oldest:
                left.unlink()
        except FileNotFoundError:
            # Another process has renamed or removed it in between.
            continue
