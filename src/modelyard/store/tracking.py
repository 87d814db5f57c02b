"""Metrics of runs in the database: every point, and how far each run's came."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from modelyard.domain.names import name_key
from modelyard.domain.tracking import Point, Progress
from modelyard.store.database import Database
from modelyard.store.limits import POINTS_MAX, POINTS_OF_A_RUN_MAX
from modelyard.store.tables import run_points, run_tracking


class SqlTracking:
    """Implements `ports.Tracking`."""

    def __init__(
        self, history: Database, points_max: int = POINTS_MAX, points_of_a_run_max: int = POINTS_OF_A_RUN_MAX
    ) -> None:
        self._history = history
        self._points_max = points_max
        self._points_of_a_run_max = points_of_a_run_max

    def progress(self, run: str) -> Progress:
        with self._history.read() as connection:
            return _progress(connection, run)

    def open(self, run: str) -> None:
        with self._history.write() as connection:
            _put(connection, run, {})

    def unread(self) -> list[str]:
        wanted = select(run_tracking.c.run).where(run_tracking.c.read_all.is_(False)).order_by(run_tracking.c.sequence)
        with self._history.read() as connection:
            return list(connection.scalars(wanted))

    def unsent(self, limit: int) -> list[Progress]:
        wanted = (
            select(run_tracking).where(run_tracking.c.closed.is_(False)).order_by(run_tracking.c.sequence).limit(limit)
        )
        with self._history.read() as connection:
            return [_from(row) for row in connection.execute(wanted)]

    def add(self, run: str, points: Sequence[Point], read_bytes: int, *, read_all: bool) -> Progress:
        with self._history.write() as connection:
            before = _progress(connection, run)
            kept = points[: max(0, self._points_of_a_run_max - before.count)]
            if kept:
                rows = [
                    {"run_key": name_key(run), "name": p.name, "value": _stored(p.value), "step": p.step, "at": p.at}
                    for p in kept
                ]
                connection.execute(insert(run_points), rows)
            values = {
                "read_bytes": read_bytes,
                "read_all": read_all,
                "kept": before.count + len(kept),
                "dropped": before.dropped + len(points) - len(kept),
            }
            _put(connection, run, values)
            if kept:
                self._bound(connection, run)
            return _progress(connection, run)

    def note_sent(self, run: str, *, sent: int | None = None, begun: bool = False, closed: bool = False) -> None:
        values: dict[str, Any] = {} if sent is None else {"sent": sent}
        values |= {name: True for name, said in (("begun", begun), ("closed", closed)) if said}
        with self._history.write() as connection:
            _put(connection, run, values)

    def points(
        self, run: str, *, name: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, Point]]:
        wanted = select(run_points).where(run_points.c.run_key == name_key(run), run_points.c.number > after)
        if name is not None:
            wanted = wanted.where(run_points.c.name == name)
        with self._history.read() as connection:
            rows = connection.execute(wanted.order_by(run_points.c.number).limit(limit))
            return [(row.number, Point(row.name, _read(row.value), row.step, row.at)) for row in rows]

    def series(self, run: str) -> dict[str, int]:
        wanted = (
            select(run_points.c.name, func.count())
            .where(run_points.c.run_key == name_key(run))
            .group_by(run_points.c.name)
            .order_by(run_points.c.name)
        )
        with self._history.read() as connection:
            return {str(row[0]): int(row[1]) for row in connection.execute(wanted)}

    def _bound(self, connection: Connection, run: str) -> None:
        """Beyond the bound the points of the runs that began first go, a whole run at a time."""
        total = int(connection.scalar(select(func.sum(run_tracking.c.kept))) or 0)
        while total > self._points_max:
            oldest = connection.execute(
                select(run_tracking)
                .where(run_tracking.c.kept > 0, run_tracking.c.key != name_key(run))
                .order_by(run_tracking.c.sequence)
                .limit(1)
            ).first()
            if oldest is None:
                return
            connection.execute(delete(run_points).where(run_points.c.run_key == oldest.key))
            dropped = oldest.dropped + oldest.kept
            _put(connection, oldest.run, {"kept": 0, "dropped": dropped})
            total -= oldest.kept


def _progress(connection: Connection, run: str) -> Progress:
    row = connection.execute(select(run_tracking).where(run_tracking.c.key == name_key(run))).first()
    return Progress(run) if row is None else _from(row)


def _from(row: Row[Any]) -> Progress:
    return Progress(
        row.run, row.read_bytes, row.read_all, row.kept, row.dropped, row.sent, begun=row.begun, closed=row.closed
    )


def _put(connection: Connection, run: str, values: dict[str, Any]) -> None:
    where = run_tracking.c.key == name_key(run)
    if connection.execute(update(run_tracking).where(where).values(**values, key=name_key(run))).rowcount == 0:
        empty = {"read_bytes": 0, "read_all": False, "kept": 0, "dropped": 0, "sent": 0, "begun": False}
        connection.execute(
            insert(run_tracking).values(**{**empty, "closed": False, **values, "key": name_key(run), "run": run})
        )


def _stored(value: float) -> str:
    """Text, because SQLite has no NaN."""
    return repr(value)


def _read(text: str) -> float:
    return float(text)
