"""A home as one file, and back: databases, artifacts, data, what runs left; a tar that any tool can read.

    backup.json              what this is, first of all
    db/NAME.db               each database as it was at one moment, taken by SQLite while others write
    artifacts/ab/cdef...     every artifact
    dvc/..., invocations/..., runs/..., engine/jobs/..., apps/...
    mlflow/mlflow.db, mlflow/artifacts/...    the tracking server's, where there was one
    key, *.key                        only where they were asked for

Databases come first and files after them, so whatever a database names is there: artifacts only ever come, but for what
retention frees, and that waits meanwhile. Runs come before models, so a run that is not yet seen as ended may have
registered its model already; the yard then finds so, as it does after a crash. The tracking server's database comes
last: what it has beyond the yard's word for it is told to it again, which changes nothing.

What apps keep in their folders is taken as it is at that moment, which may be in the middle of a change.

What runs or can be made again is left out: replicas, packages laid out, inputs of runs, logs of the platform. Without
its keys a backup lets nobody in and gives no secret away.
"""

import io
import json
import os
import re
import secrets
import shutil
import sqlite3
import tarfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from modelyard.errors import Conflict, NotFound
from modelyard.settings import Home
from modelyard.store.copies import copy_database
from modelyard.store.disk import disk, sync_folder
from modelyard.store.file_locks import shared
from modelyard.store.migrate import DATABASES, database_path

FORMAT = "modelyard-backup-1"
DESCRIPTION = "backup.json"

LEFT_OF_RUNS = ("model", "output")
"""Folders of a run that are its own; the others are copies of what the store has."""

KEY_FILES = ("key", "secrets.key", "tokens.key", "webhooks.key")
"""Of the home; left out where a backup is to hold no keys."""

LEFT_OF_JOBS = re.compile(r"(order|exit)\.json|output\.log(\.1)?")

_IN_ORDER = ("queue", "yard", "history")
"""Runs before models; see above."""

_LETS_IN = ("owner_keys", "links", "sessions", "api_keys", "job_tokens")
"""Tables of what opens the yard's doors."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a backup says of itself."""

    format: str
    version: str
    """Of the Modelyard that wrote it."""
    created_at: float
    with_keys: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """What was written or read."""

    files: int
    size_bytes: int
    with_keys: bool


def back_up(home: Home, target: Path, description: Description) -> Contents:
    """Writes `target`, which appears whole or not at all, readable for its owner alone. The yard may go on meanwhile.

    Raises NotFound where the home has no databases, Conflict where the target is there already or lies in the home,
    StoreFailed where the disk refuses.
    """
    _check_target(home, target)
    if not all(database_path(home, name).exists() for name in DATABASES):
        raise NotFound(f"cannot back up {home.root}: no yard has run there", "set MODELYARD_HOME to a yard's home")
    with shared(home.retention_lock), _snapshots(home, description.with_keys) as snapshots, _aside(target) as tar:
        files = [*snapshots, *_files(home, description.with_keys)]
        _add_text(tar, DESCRIPTION, json.dumps(asdict(description)))
        size_bytes = sum(_add(tar, name, path) for name, path in files)
    return Contents(len(files), size_bytes, description.with_keys)


def _check_target(home: Home, target: Path) -> None:
    if target.exists():
        raise Conflict(f"cannot write {target}: it is there already", "name another file")
    if target.absolute().is_relative_to(home.root):
        raise Conflict(f"cannot write {target}: it would be lost with the home", "name a file on another disk")
    if not target.absolute().parent.is_dir():
        raise NotFound(f"cannot write {target}: its folder is not there", "make it, or name another file")


@contextmanager
def _snapshots(home: Home, with_keys: bool) -> Generator[list[tuple[str, Path]]]:
    """Copies of the databases, each as of one moment, as long as the block lasts."""
    folder = home.spool / f"backup-{secrets.token_hex(8)}"
    with disk("write", folder):
        folder.mkdir(mode=0o700)
    try:
        copies = [(f"db/{name}.db", folder / f"{name}.db") for name in _IN_ORDER]
        for (_, copy), name in zip(copies, _IN_ORDER, strict=True):
            copy_database(database_path(home, name), copy)
            if name == "yard" and not with_keys:
                _let_nobody_in(copy)
            _compact(copy)
        if home.tracking_database.exists():
            copy = folder / home.tracking_database.name
            copy_database(home.tracking_database, copy)
            copies.append((_name(home, home.tracking_database), copy))
        yield copies
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _let_nobody_in(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        for table in _LETS_IN:
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 (a constant's)
        connection.execute("UPDATE users SET password = NULL")


def _compact(copy: Path) -> None:
    """Leaves out what was deleted: its pages would go along otherwise."""
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("VACUUM")


def _files(home: Home, with_keys: bool) -> Iterator[tuple[str, Path]]:
    """Names in the backup and files of the home."""
    for name in KEY_FILES if with_keys else ():
        if (home.root / name).exists():
            yield name, home.root / name
    for folder in (home.artifacts, home.data_remotes, home.invocations, home.apps, *_logged(home)):
        yield from _below(home, folder)
    ended = [job for job in sorted((home.engine / "jobs").glob("*")) if (job / "exit.json").exists()]
    for job in ended:
        for file in sorted(job.iterdir()):
            if LEFT_OF_JOBS.fullmatch(file.name):
                yield _name(home, file), file
        for part in LEFT_OF_RUNS:
            yield from _below(home, home.runs / job.name / "ml" / part)


def _logged(home: Home) -> list[Path]:
    """Folders of what MLflow's clients have logged, without what is a copy and what is being made."""
    found = home.tracking_artifacts.iterdir() if home.tracking_artifacts.is_dir() else ()
    return sorted(one for one in found if one != home.tracking_registry and not one.name.startswith("."))


def _below(home: Home, folder: Path) -> Iterator[tuple[str, Path]]:
    """Every regular file, but what is just being written, which has no name yet."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one not in ("aside", ".aside"))
        for name in sorted(names):
            file = Path(place) / name
            if file.is_file() and not file.is_symlink():
                yield _name(home, file), file


def _name(home: Home, file: Path) -> str:
    return file.relative_to(home.root).as_posix()


@contextmanager
def _aside(target: Path) -> Generator[tarfile.TarFile]:
    aside = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    with disk("write", target):
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    yield tar
                file.flush()
                os.fsync(file.fileno())
            aside.rename(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        sync_folder(target.absolute().parent)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o600
    tar.addfile(member, io.BytesIO(content))


def _add(tar: tarfile.TarFile, name: str, path: Path) -> int:
    """Adds one file and returns its size. A data object that was deleted meanwhile is not missed."""
    try:
        content = path.open("rb")
    except FileNotFoundError:
        return 0
    with content:
        found = os.fstat(content.fileno())
        member = tarfile.TarInfo(name)
        member.size = found.st_size
        member.mtime = int(found.st_mtime)
        member.mode = found.st_mode & 0o777
        tar.addfile(member, cast("BinaryIO", _OfSize(content)))
    return found.st_size


class _OfSize:
    """A file that somebody may be cutting short: a tar wants as many bytes as it was told, so nulls follow."""

    def __init__(self, content: BinaryIO) -> None:
        self._content = content

    def read(self, size: int) -> bytes:
        return self._content.read(size).ljust(size, b"\0")
