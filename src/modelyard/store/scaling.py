"""What autoscaling saw and decided, in the database, bounded for each endpoint."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select

from modelyard.domain.autoscaling import Recommendation, recommendation_from
from modelyard.domain.names import name_key
from modelyard.domain.traces import LoadRecord
from modelyard.store.database import Database
from modelyard.store.limits import DECISIONS_PER_ENDPOINT_MAX, LOADS_PER_ENDPOINT_MAX
from modelyard.store.tables import loads as load_rows
from modelyard.store.tables import scaling_decisions


class SqlScaling:
    """Implements `ports.Scaling`."""

    def __init__(self, history: Database) -> None:
        self._history = history

    def add_decisions(self, decisions: Iterable[tuple[str, Recommendation]]) -> None:
        rows = [{"endpoint_key": name_key(name), "decision": asdict(one)} for name, one in decisions]
        self._add(scaling_decisions, rows, DECISIONS_PER_ENDPOINT_MAX)

    def decisions(self, name: str, limit: int = 100) -> list[Recommendation]:
        wanted = (
            select(scaling_decisions.c.decision)
            .where(scaling_decisions.c.endpoint_key == name_key(name))
            .order_by(scaling_decisions.c.number.desc())
            .limit(limit)
        )
        with self._history.read() as connection:
            return [recommendation_from(document) for document in connection.scalars(wanted)]

    def add_loads(self, loads: Iterable[tuple[str, LoadRecord]]) -> None:
        rows = [{"endpoint_key": name_key(name), **asdict(record)} for name, record in loads]
        self._add(load_rows, rows, LOADS_PER_ENDPOINT_MAX)

    def loads(self, name: str, since: float = 0.0, limit: int = 1000) -> list[LoadRecord]:
        wanted = (
            select(load_rows)
            .where(load_rows.c.endpoint_key == name_key(name), load_rows.c.at > since)
            .order_by(load_rows.c.number.desc())
            .limit(limit)
        )
        with self._history.read() as connection:
            found = [
                LoadRecord(row.at, row.seconds, row.in_flight, row.queued, row.arrivals, row.replicas)
                for row in connection.execute(wanted)
            ]
        return found[::-1]

    def _add(self, table: Table, rows: list[dict[str, Any]], most: int) -> None:
        if not rows:
            return
        with self._history.write() as connection:
            connection.execute(insert(table), rows)
            for key in {row["endpoint_key"] for row in rows}:
                _forget_beyond(connection, table, key, most)

    def forget(self, name: str) -> None:
        with self._history.write() as connection:
            for table in (scaling_decisions, load_rows):
                connection.execute(delete(table).where(table.c.endpoint_key == name_key(name)))


def _forget_beyond(connection: Connection, table: Table, key: str, most: int) -> None:
    """Keeps the newest rows of one endpoint."""
    newest_beyond = connection.scalar(
        select(table.c.number).where(table.c.endpoint_key == key).order_by(table.c.number.desc()).offset(most).limit(1)
    )
    if newest_beyond is not None:
        connection.execute(delete(table).where(table.c.endpoint_key == key, table.c.number <= newest_beyond))
