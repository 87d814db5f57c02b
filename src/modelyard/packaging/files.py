"""Files on this machine as they are sent: with a relative path, a size and the sha256 of their content."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelyard.errors import InvalidValue, NotFound

FILES_MAX = 20_000
"""Most files of one tree: their list must fit into one request."""

Keep = Callable[[PurePosixPath, bool], bool]
"""Whether a path belongs to the tree; the second argument says that it is a folder."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file that can be sent. `path` is relative, with forward slashes; `source` is where it lies."""

    path: str
    source: Path
    size_bytes: int
    executable: bool

    def sha256(self) -> str:
        """Of the content as it is now, in hex. Raises NotFound where the file went away."""
        try:
            with self.source.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest()
        except OSError as error:
            raise NotFound(f"cannot read {self.source}: {error.strerror}") from error


def list_files(place: Path) -> list[LocalFile]:
    """The file at `place` alone, or every file below it: data to train on, a model's folder.

    Raises NotFound where nothing is there, InvalidValue for an empty folder, a link that leads outside, or more than
    FILES_MAX files.
    """
    if place.is_file():
        return [_local_file(place, place.name)]
    if not place.is_dir():
        raise NotFound(f"cannot find {place}", "paths are relative to the folder of the yard file")
    files = list(walk_files(place, lambda _path, _is_folder: True))
    if not files:
        raise InvalidValue(f"cannot use {place}: the folder holds no file")
    return files


def walk_files(root: Path, keep: Keep) -> Iterator[LocalFile]:
    """Every regular file below `root` that `keep` admits, by path. Raises InvalidValue as `list_files` does."""
    for count, file in enumerate(_walk(root, root.resolve(), PurePosixPath(), keep), start=1):
        if count > FILES_MAX:
            raise InvalidValue(
                f"cannot use {root}: it holds more than {FILES_MAX} files",
                "name what is not needed in .modelyardignore",
            )
        yield file


def _walk(root: Path, real_root: Path, folder: PurePosixPath, keep: Keep) -> Iterator[LocalFile]:
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except OSError as error:
        raise NotFound(f"cannot read the folder {root / folder}: {error.strerror}") from error
    for entry in entries:
        path = folder / entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if not keep(path, is_folder):
            continue
        if is_folder:
            yield from _walk(root, real_root, path, keep)
            continue
        if entry.is_symlink():
            _check_link(root / path, real_root)
        if entry.is_file():
            yield _local_file(root / path, str(path))


def _check_link(link: Path, real_root: Path) -> None:
    target = link.resolve()
    if not target.is_relative_to(real_root):
        raise InvalidValue(
            f"cannot send {link}: the link leads outside, to {target}", "copy the file, or name it in .modelyardignore"
        )
    if target.is_dir():
        raise InvalidValue(
            f"cannot send {link}: it is a link to a folder", "name it in .modelyardignore; the folder itself is sent"
        )


def _local_file(source: Path, path: str) -> LocalFile:
    found = source.stat()
    return LocalFile(path, source, found.st_size, bool(found.st_mode & stat.S_IXUSR))
