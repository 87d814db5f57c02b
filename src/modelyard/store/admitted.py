"""Whether anybody but the owner could come in, asked by a process that does not load a database's library for it."""

import sqlite3
from contextlib import closing

from modelyard.errors import StoreFailed
from modelyard.settings import Home
from modelyard.store.migrate import database_path

_ANYBODY = "SELECT EXISTS (SELECT 1 FROM users WHERE NOT disabled) OR EXISTS (SELECT 1 FROM api_keys)"


def anybody_is_admitted(home: Home) -> bool:
    """Raises StoreFailed where the database cannot be read."""
    try:
        with closing(sqlite3.connect(database_path(home, "yard"))) as connection:
            (found,) = connection.execute(_ANYBODY).fetchone()
    except sqlite3.Error as error:
        raise StoreFailed(f"cannot read who may come in: {error}", "look at the home's databases") from error
    return bool(found)
