"""From a folder to a tree's files, and back: whole or not at all."""

import errno
import glob
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from modelyard.errors import Conflict, InvalidValue, NotFound
from modelyard.store.disk import ASIDE_SECONDS_MAX, disk_failed, sync_folder
from modelyard.store.ports import TreeFile
from modelyard.store.trees import parent_paths


def walk_folder(folder: Path) -> Iterator[tuple[str, Path, bool]]:
    """Every regular file below a folder: (path in the tree, path on disk, executable). Links are followed.

    Raises NotFound where there is no such folder, InvalidValue for a link that leads outside, to nothing, or in a
    circle.
    """
    if not folder.is_dir():
        raise NotFound(f"cannot store folder {folder}: there is none")
    root = folder.resolve()
    yield from _walk(root, root, "", frozenset({root}))


def _walk(root: Path, folder: Path, prefix: str, above: frozenset[Path]) -> Iterator[tuple[str, Path, bool]]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        path = prefix + entry.name
        real = Path(entry.path)
        if entry.is_symlink():
            real = real.resolve()
            _check_link(root, path, real, above)
        if real.is_dir():
            yield from _walk(root, real, f"{path}/", above | {real})
        elif real.is_file():
            yield path, real, os.access(real, os.X_OK)


def _check_link(root: Path, path: str, real: Path, above: frozenset[Path]) -> None:
    if not real.is_relative_to(root):
        raise InvalidValue(f"cannot store link {path!r}: it leads outside of {root}", "put a copy in its place")
    if not real.exists():
        raise InvalidValue(f"cannot store link {path!r}: it leads to nothing", "remove it")
    if real in above:
        raise InvalidValue(f"cannot store link {path!r}: it leads back to a folder that it is in", "remove it")


def build_folder(files: Sequence[TreeFile], folder: Path, place: Callable[[TreeFile, Path], None]) -> None:
    """Makes `folder` with `place` putting each file, aside at first and renamed when complete and on disk.

    Raises Conflict where the folder exists, StoreFailed where the disk refuses.
    """
    if os.path.lexists(folder):
        raise _folder_exists(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        aside = folder.parent / f"{_aside_prefix(folder)}{secrets.token_hex(8)}"
        aside.mkdir()
        try:
            _fill(files, aside, place)
            aside.rename(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        sync_folder(folder.parent)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise _folder_exists(folder) from error
        raise disk_failed("lay out", folder, error) from error


def _fill(files: Sequence[TreeFile], aside: Path, place: Callable[[TreeFile, Path], None]) -> None:
    folders = {aside}
    for one in files:
        target = aside / one.path
        if target.parent not in folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            folders.update(aside / parent for parent in parent_paths(one.path))
        place(one, target)
    for made in folders:
        sync_folder(made)


def _aside_prefix(folder: Path) -> str:
    return f".{folder.name[:64]}.aside-"


def _remove_leftovers(folder: Path) -> None:
    oldest = time.time() - ASIDE_SECONDS_MAX
    for left in folder.parent.glob(f"{glob.escape(_aside_prefix(folder))}*"):
        if left.lstat().st_mtime < oldest:
            shutil.rmtree(left, ignore_errors=True)


def _folder_exists(folder: Path) -> Conflict:
    return Conflict(f"cannot lay out into {folder}: it exists already", "remove it, or name another folder")
