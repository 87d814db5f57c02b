"""Runs migrations with Alembic. Imported only by `migrate`, and only when there is something to do."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from modelyard.store.database import Database


def upgrade(path: Path, revisions: Path) -> None:
    """Brings one database to the newest of these revisions in a single transaction. Raises StoreFailed."""
    config = Config()
    # Values go through ConfigParser, for which % begins an interpolation.
    config.set_main_option("script_location", str(revisions.parent).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(revisions).replace("%", "%%"))
    database = Database(path, synchronous="FULL")
    try:
        with database.write() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()
