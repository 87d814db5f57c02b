"""Writes `schema.sql` of each database anew: to be run after a revision was added under store/migrations.

python contributing/schemas.py
"""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from modelyard.store.migrate import DATABASES, MIGRATIONS, SCHEMA, STATEMENT_END, schema_heading
from modelyard.store.upgrade import upgrade

OBJECTS = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
REVISION = "SELECT version_num FROM alembic_version"


def schema_text(database: str) -> str:
    """What all revisions of a database lead to, from an empty one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{database}.db"
        upgrade(path, MIGRATIONS / database)
        with closing(sqlite3.connect(path)) as connection:
            (revision,) = connection.execute(REVISION).fetchone()
            statements = [row[0] for row in connection.execute(OBJECTS)]
    return "".join(part + STATEMENT_END for part in (schema_heading(revision), *statements))


if __name__ == "__main__":
    for name in DATABASES:
        (MIGRATIONS / name / SCHEMA).write_text(schema_text(name), encoding="utf-8")
