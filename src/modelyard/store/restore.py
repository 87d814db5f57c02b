"""From a backup to a home: beside its place at first, checked file by file, and then at once."""

import hashlib
import json
import os
import re
import secrets
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

from modelyard.errors import Conflict, InvalidValue, NotFound, StoreFailed
from modelyard.settings import Home
from modelyard.store.backup import DESCRIPTION, FORMAT, KEY_FILES, Contents, Description
from modelyard.store.disk import disk, sync_folder
from modelyard.store.migrate import DATABASES, database_path, needs_migration
from modelyard.store.trees import check_path

CHUNK_BYTES = 2**20

DESCRIPTION_BYTES_MAX = 64 * 2**10

_ARTIFACT = re.compile(r"artifacts/([0-9a-f]{2})/([0-9a-f]{62})")
_PLACES = re.compile(
    r"(db/(yard|queue|history)\.db|(artifacts|dvc|invocations|runs|engine/jobs)/.+|mlflow/(mlflow\.db|artifacts/.+))"
)
"""What a backup may hold; whatever else is in the file is not from here."""

_READ_ONLY = re.compile(r"(artifacts|dvc)/.+")


def restore(source: Path, home: Home) -> Contents:
    """Makes the home from a backup: whole, or not at all.

    Raises NotFound where there is no such file, Conflict where the home has something in it already, InvalidValue for
    a file that is no backup or is damaged, StoreFailed where the disk refuses or a newer version wrote the backup.
    """
    _check_home(home)
    if not source.is_file():
        raise NotFound(f"cannot find the backup {source}", "name the file that `modelyard backup` wrote")
    aside = home.root.with_name(f".{home.root.name}.restoring-{secrets.token_hex(8)}")
    with disk("write", home.root):
        aside.mkdir(mode=0o700, parents=True)
        try:
            contents = _unpack(source, aside)
            _check_databases(Home(aside), source)
            aside.rename(home.root)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        sync_folder(home.root.parent)
    return contents


def _check_home(home: Home) -> None:
    with disk("read", home.root):
        if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
            raise Conflict(
                f"cannot restore into {home.root}: something is there already",
                "set MODELYARD_HOME to a folder that is empty or not there yet",
            )


def _unpack(source: Path, aside: Path) -> Contents:
    files = size_bytes = 0
    folders = {aside}
    try:
        with tarfile.open(source, mode="r|") as tar:
            description = _description(tar, source)
            while (member := tar.next()) is not None:
                _check_member(source, member)
                target = aside / member.name
                if target.parent not in folders:
                    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    folders.add(target.parent)
                _write(source, tar, member, target)
                files += 1
                size_bytes += member.size
    except tarfile.TarError as error:
        raise _damaged(source, str(error)) from error
    for folder in folders:
        sync_folder(folder)
    return Contents(files, size_bytes, description.with_keys)


def _description(tar: tarfile.TarFile, source: Path) -> Description:
    first = tar.next()
    content = tar.extractfile(first) if first is not None and first.name == DESCRIPTION else None
    if content is None:
        raise InvalidValue(
            f"cannot restore {source}: it is not a backup", "name the file that `modelyard backup` wrote"
        )
    try:
        found: dict[str, Any] = json.loads(content.read(DESCRIPTION_BYTES_MAX))
        description = Description(**{name: found[name] for name in Description.__dataclass_fields__})
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(source, f"{DESCRIPTION} cannot be read") from error
    if description.format != FORMAT:
        raise InvalidValue(
            f"cannot restore {source}: its format is {description.format}", "restore it with a newer Modelyard"
        )
    return description


def _check_member(source: Path, member: tarfile.TarInfo) -> None:
    """Only plain files, only below the home, only where backups have them."""
    try:
        check_path(member.name)
    except InvalidValue as error:
        raise _damaged(source, error.message) from error
    if not member.isreg() or not (member.name in KEY_FILES or _PLACES.fullmatch(member.name)):
        raise _damaged(source, f"{member.name!r} has no place in a backup")


def _write(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None
    digest = hashlib.sha256()
    mode = 0o444 if _READ_ONLY.fullmatch(member.name) else 0o600
    with target.open("xb") as file:
        while chunk := content.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    artifact = _ARTIFACT.fullmatch(member.name)
    if artifact and digest.hexdigest() != artifact[1] + artifact[2]:
        raise _damaged(source, f"{member.name} has another content than its name says")


def _check_databases(home: Home, source: Path) -> None:
    for name in DATABASES:
        path = database_path(home, name)
        if not path.is_file():
            raise _damaged(source, f"db/{name}.db is not in it")
        try:
            with closing(sqlite3.connect(path)) as connection:
                found = str(connection.execute("PRAGMA quick_check").fetchone()[0])
        except sqlite3.Error as error:
            raise _damaged(source, f"db/{name}.db: {error}") from error
        if found != "ok":
            raise _damaged(source, f"db/{name}.db: {found}")
    try:
        # An older one is brought up to date by the next `up`; a newer one is refused here.
        needs_migration(home)
    except StoreFailed as error:
        raise StoreFailed(
            f"cannot restore {source}: a newer version of Modelyard has written it", error.hint
        ) from error


def _damaged(source: Path, what: str) -> InvalidValue:
    return InvalidValue(f"cannot restore {source}: it is damaged: {what}", "take another backup")
