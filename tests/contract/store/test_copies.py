"""What is kept of a database before an upgrade."""

import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.config import Config

from modelyard.domain.models import Lineage
from modelyard.errors import StoreFailed
from modelyard.store.copies import UPGRADES_KEPT, keep_before, kept_before
from modelyard.store.database import Database
from modelyard.store.migrate import MIGRATIONS, database_path, migrate, needs_migration
from modelyard.store.sqlite import open_store


@pytest.fixture
def old(home):
    """A home whose wishes are at the first revision, as an earlier version left them."""
    path = database_path(home, "yard")
    for part in path.parent.glob("yard.db*"):
        part.unlink()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(MIGRATIONS / "yard"))
    database = Database(path, synchronous="FULL")
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "r0001")
        connection.exec_driver_sql("INSERT INTO endpoints (key, name, project) VALUES ('price', 'price', 'shop')")
        connection.exec_driver_sql(
            "INSERT INTO endpoint_versions (endpoint_key, number, spec, created_at, state)"
            " VALUES ('price', 1, '{\"package\": \"a\"}', 1.0, 'ready')"
        )
    database.close()
    return home


def newest():
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "yard").glob("r*.py"))


def revision_of(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]


def test_an_upgrade_keeps_what_was_there_and_a_copy_from_before(old):
    assert needs_migration(old)
    migrate(old)
    store = open_store(old)
    assert store.endpoints.get("price").wished.spec.package == "a"
    store.close()
    copy = kept_before(database_path(old, "yard"), newest())
    assert revision_of(copy) == "r0001"
    assert revision_of(database_path(old, "yard")) == newest()
    # The others were not behind.
    assert not list(old.databases.glob("before-*/queue.db"))


def test_going_back_is_refused_with_where_the_copy_is(old):
    migrate(old)
    path = database_path(old, "yard")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    with pytest.raises(StoreFailed) as refused:
        needs_migration(old)
    assert "before-" not in str(refused.value.hint)
    keep_before(path, "r9999")
    with pytest.raises(StoreFailed) as refused:
        needs_migration(old)
    assert "install that version again" in str(refused.value.hint)
    assert str(kept_before(path, "r9999")) in str(refused.value.hint)


def test_a_copy_has_what_is_not_in_the_database_s_own_file_yet(home):
    store = open_store(home)
    store.models.register("price", "shop", "t" * 64, 1, None, Lineage(), 1.0)
    path = database_path(home, "yard")
    keep_before(path, "r9999")
    with closing(sqlite3.connect(kept_before(path, "r9999"))) as connection:
        assert connection.execute("SELECT count(*) FROM model_versions").fetchone()[0] == 1
    store.close()


def test_copies_of_the_last_few_upgrades_are_kept(home):
    path = database_path(home, "yard")
    for number in range(UPGRADES_KEPT + 2):
        keep_before(path, f"r900{number}")
    kept = sorted(one.name for one in home.databases.glob("before-*"))
    assert kept == [f"before-r900{number}" for number in range(2, UPGRADES_KEPT + 2)]
