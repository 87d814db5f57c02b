"""Alembic runs this file for each upgrade. The connection is handed in, inside a transaction that is begun already."""

from alembic import context

# SQLite undoes changes of the schema like any other, which Alembic does not assume of it.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
