"""Copies of databases that are in use: each as of one moment, in one file."""

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from modelyard.errors import StoreFailed
from modelyard.store.disk import disk, sync_folder

PAGES_AT_ONCE = -1
"""All: in write-ahead mode a reader that stays long holds up nobody."""

UPGRADES_KEPT = 3
"""Upgrades of one database whose copy from before is kept."""

_BEFORE = "before-"


def copy_database(source: Path, target: Path) -> None:
    """Others may write meanwhile. Raises StoreFailed."""
    try:
        with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.backup(writing, pages=PAGES_AT_ONCE)
            writing.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise StoreFailed(f"cannot copy database {source}: {error}", "see that the disk has room for a copy") from error
    with disk("write", target):
        target.chmod(0o600)


def kept_before(path: Path, revision: str) -> Path:
    """Where the copy of a database is that was made before it came to `revision`."""
    return path.parent / f"{_BEFORE}{revision}" / path.name


def keep_before(path: Path, revision: str) -> None:
    """Copies a database that is about to come to `revision`; the oldest of such copies goes. Raises StoreFailed."""
    copy = kept_before(path, revision)
    aside = copy.with_name(f".{copy.name}.{secrets.token_hex(8)}.tmp")
    with disk("write", copy):
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            copy_database(path, aside)
            _sync(aside)
            aside.replace(copy)
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(copy.parent)
        kept = sorted(path.parent.glob(f"{_BEFORE}*/{path.name}"), key=lambda one: one.stat().st_mtime_ns)
        for old in kept[:-UPGRADES_KEPT]:
            old.unlink(missing_ok=True)
            if not any(old.parent.iterdir()):
                shutil.rmtree(old.parent, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
