"""Whether the databases of a home are at this version's schema, and bringing them there.

Asked at every start, so this module is light: it reads three one-row tables with the standard library. Alembic, which
takes a third of a second to import, comes in only when there is something to do.

Each database has a history of its own, a folder of revisions under `migrations/`; a revision is named by the
beginning of its file's name.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from modelyard.errors import StoreFailed
from modelyard.settings import Home

DATABASES = ("yard", "queue", "history")

MIGRATIONS = Path(__file__).parent / "migrations"

READ_SECONDS_MAX = 15.0
"""How long to wait for a database that another process is just changing."""


def database_path(home: Home, database: str) -> Path:
    return home.databases / f"{database}.db"


def needs_migration(home: Home) -> bool:
    """Whether `migrate` has anything to do. Raises StoreFailed where a database cannot be read or is newer than this
    version of Modelyard."""
    # A list, so that each database is looked at: one that is behind must not hide one that is newer.
    return True in [_is_behind(database_path(home, database), _revisions(database)) for database in DATABASES]


def migrate(home: Home) -> None:
    """Brings every database of a home to the newest revision, each whole or not at all; makes those that are not there.
    Harmless when several processes do it at once. Raises StoreFailed like `needs_migration`."""
    if not needs_migration(home):
        return
    from modelyard.store.upgrade import upgrade  # noqa: PLC0415 (Alembic is slow to import and seldom needed)

    for database in DATABASES:
        upgrade(database_path(home, database), MIGRATIONS / database)


def _revisions(database: str) -> set[str]:
    return {file.name.partition("_")[0] for file in (MIGRATIONS / database).glob("r*.py")}


def _is_behind(path: Path, known: set[str]) -> bool:
    present = _present_revision(path)
    if present is not None and present not in known:
        raise StoreFailed(
            f"cannot use database {path}: a newer version of Modelyard has written it (revision {present})",
            "install that version again, or set MODELYARD_HOME to another folder",
        )
    return present != max(known)


def _present_revision(path: Path) -> str | None:
    """The revision that a database is at; None where it is not there or empty."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=READ_SECONDS_MAX)) as connection:
            tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone() if tables else None
    except sqlite3.Error as error:
        raise StoreFailed(
            f"cannot read database {path}: {error}", "restore it from a backup, or set MODELYARD_HOME to another folder"
        ) from error
    return None if found is None else str(found[0])
