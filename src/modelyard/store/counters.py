"""Numbers that count changes, so that who looks again sees at once whether there is anything new."""

from sqlalchemy import Connection, insert, select, update

from modelyard.store.tables import counters

FIRST = 1
"""What a counter is before anything was counted."""


def count_up(connection: Connection, name: str) -> int:
    """The counter's next value; part of the transaction that makes the change."""
    counted = update(counters).where(counters.c.name == name).values(value=counters.c.value + 1)
    value = connection.scalar(counted.returning(counters.c.value))
    if value is None:
        value = FIRST + 1
        connection.execute(insert(counters).values(name=name, value=value))
    return value


def counted(connection: Connection, name: str) -> int:
    """The counter's value."""
    value = connection.scalar(select(counters.c.value).where(counters.c.name == name))
    return FIRST if value is None else value
