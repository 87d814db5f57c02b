"""Versions that were registered before there were aliases and approvals."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config

from modelyard.domain.models import Approval, ModelReference
from modelyard.settings import Home
from modelyard.store.database import Database
from modelyard.store.migrate import MIGRATIONS, database_path, migrate
from modelyard.store.sqlite import open_store

BEFORE = "r0003"


def upgrade_to(path: Path, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(MIGRATIONS / "yard"))
    database = Database(path, synchronous="FULL")
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


def test_versions_of_an_older_yard_keep_what_they_are_and_wait_for_approval(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    upgrade_to(database_path(home, "yard"), BEFORE)
    with closing(sqlite3.connect(database_path(home, "yard"))) as connection, connection:
        connection.execute("INSERT INTO models VALUES ('price', 'Price', 'shop', 1)")
        connection.execute(
            "INSERT INTO model_versions VALUES ('price', 1, 'tree', 10, 'xgboost', 5.0, 'run-1', "
            """'{"run": "run-1", "inputs": {"train": "d"}}')"""
        )
    migrate(home)
    store = open_store(home)
    found = store.models.get("price", 1)
    assert (found.reference, found.tree, found.created_at, found.lineage.inputs) == (
        "Price:1",
        "tree",
        5.0,
        {"train": "d"},
    )
    assert (found.approval, found.tags, found.aliases) == (Approval(), {}, ())
    store.models.put_alias("price", "champion", 1, 6.0)
    assert store.models.resolve(ModelReference("price", alias="champion")).lineage.run == "run-1"
    store.close()
