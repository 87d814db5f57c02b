"""Whether the databases of a home are at this version's schema, and bringing them there.

Asked at every start, so this module is light: it reads three one-row tables with the standard library. Alembic, which
takes a second to come in and do its work, does so only for a database that is behind. One that is not there yet is
made from `schema.sql`, which holds what all revisions together lead to; a test compares the two, and where a revision
is newer than that file, Alembic makes the database too.

Each database has a history of its own, a folder of revisions under `migrations/`; a revision is named by the
beginning of its file's name.
"""

import contextlib
import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

from modelyard.errors import StoreFailed
from modelyard.settings import Home
from modelyard.store.copies import keep_before, kept_before

DATABASES = ("yard", "queue", "history")

MIGRATIONS = Path(__file__).parent / "migrations"

SCHEMA = "schema.sql"
STATEMENT_END = ";\n"

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
    Of one that is behind a copy is kept, `db/before-REVISION/NAME.db`.
    Harmless when several processes do it at once. Raises StoreFailed like `needs_migration`."""
    if not needs_migration(home):
        return
    create_missing(home)
    if not needs_migration(home):
        return
    from modelyard.store.upgrade import upgrade  # noqa: PLC0415 (Alembic is slow to import and seldom needed)

    for database in DATABASES:
        path = database_path(home, database)
        if _present_revision(path) is not None and _is_behind(path, _revisions(database)):
            keep_before(path, max(_revisions(database)))
        upgrade(path, MIGRATIONS / database)


def create_missing(home: Home) -> None:
    """Makes those databases that are not there, at the newest revision, with the standard library alone. Harmless when
    several processes do it at once. Raises StoreFailed."""
    for database in DATABASES:
        path = database_path(home, database)
        if _present_revision(path) is None:
            _create(path, MIGRATIONS / database / SCHEMA, max(_revisions(database)))


def _create(path: Path, schema: Path, revision: str) -> None:
    first, *statements = schema.read_text(encoding="utf-8").split(STATEMENT_END) if schema.exists() else [""]
    if first != schema_heading(revision):
        return
    # Aside, because a database that others open too may refuse to change its journal's mode, whatever the timeout says.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with closing(sqlite3.connect(aside, isolation_level=None)) as connection:
            # It stays with the file: from the first on, readers wait for nobody.
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in filter(str.strip, statements):
                connection.execute(statement)
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
            connection.execute("COMMIT")
        with contextlib.suppress(FileExistsError):
            # Another process may have been first.
            os.link(aside, path)
    except (sqlite3.Error, OSError) as error:
        raise StoreFailed(f"cannot make database {path}: {error}", "see that its folder is writable") from error
    finally:
        aside.unlink(missing_ok=True)


def schema_heading(revision: str) -> str:
    """How `schema.sql` begins: it says up to which revision it is good."""
    return f"-- What the revisions up to {revision} lead to, as SQLite writes it down. Made by contributing/schemas.py"


def _revisions(database: str) -> set[str]:
    return {file.name.partition("_")[0] for file in (MIGRATIONS / database).glob("r*.py")}


def _is_behind(path: Path, known: set[str]) -> bool:
    present = _present_revision(path)
    if present is not None and present not in known:
        raise StoreFailed(
            f"cannot use database {path}: a newer version of Modelyard has written it (revision {present})",
            _way_back(path, present),
        )
    return present != max(known)


def _way_back(path: Path, revision: str) -> str:
    """What to do about a database that a newer version has written."""
    copy = kept_before(path, revision)
    kept = f", or put back {copy}, which was kept before that upgrade" if copy.exists() else ""
    return f"install that version again{kept}, or set MODELYARD_HOME to another folder"


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
