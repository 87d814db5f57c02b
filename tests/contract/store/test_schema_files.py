"""A new database is made from `schema.sql`; it is the same as if every revision had been run."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from contributing.schemas import schema_text
from modelyard.settings import Home
from modelyard.store.migrate import DATABASES, MIGRATIONS, SCHEMA, create_missing, database_path, needs_migration
from modelyard.store.upgrade import upgrade

CREATE = """
import sys
from pathlib import Path
from modelyard.settings import Home
from modelyard.store.migrate import create_missing

create_missing(Home(Path(sys.argv[1])))
print("alembic" in sys.modules or "sqlalchemy" in sys.modules)
"""


@pytest.fixture
def new_home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "new")
    home.make()
    return home


def everything(path: Path) -> list[tuple[object, ...]]:
    """Every object of a database as SQLite writes it down, its revision, and what else stays with the file."""
    with closing(sqlite3.connect(path)) as connection:
        objects = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
        kept = ("journal_mode", "page_size", "encoding", "auto_vacuum", "user_version", "application_id")
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone() for name in kept]
        return [*objects, *connection.execute("SELECT version_num FROM alembic_version").fetchall(), *pragmas]


@pytest.mark.parametrize("database", DATABASES)
def test_the_schema_file_is_what_the_revisions_lead_to(database: str) -> None:
    written = (MIGRATIONS / database / SCHEMA).read_text(encoding="utf-8")
    assert written == schema_text(database), "a revision was added: run `python contributing/schemas.py`"


@pytest.mark.parametrize("database", DATABASES)
def test_a_new_database_is_the_same_either_way(database: str, new_home: Home, tmp_path: Path) -> None:
    create_missing(new_home)
    upgrade(tmp_path / "by-revisions.db", MIGRATIONS / database)
    assert everything(database_path(new_home, database)) == everything(tmp_path / "by-revisions.db")


def test_several_processes_may_make_new_databases_at_once_with_the_standard_library_alone(new_home: Home) -> None:
    command = [sys.executable, "-W", "error", "-c", CREATE, str(new_home.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(one.communicate(timeout=60)[0].strip(), one.returncode) for one in running] == [("False", 0)] * 4
    assert not needs_migration(new_home)


def test_a_database_that_is_there_is_left_alone(new_home: Home) -> None:
    create_missing(new_home)
    with closing(sqlite3.connect(database_path(new_home, "yard"))) as connection:
        connection.execute("INSERT INTO owner_keys VALUES ('d', 1.0)")
        connection.commit()
    create_missing(new_home)
    with closing(sqlite3.connect(database_path(new_home, "yard"))) as connection:
        assert connection.execute("SELECT digest FROM owner_keys").fetchall() == [("d",)]


def test_where_a_revision_is_newer_than_the_file_nothing_is_made_of_it(
    new_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.store.migrate.schema_heading", lambda _revision: "another")
    create_missing(new_home)
    assert needs_migration(new_home)
