"""How far schedules were followed, in the database."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from modelyard.domain.names import name_key
from modelyard.domain.schedules import Schedule
from modelyard.store.database import Database
from modelyard.store.tables import schedules


class SqlSchedules:
    """Implements `ports.Schedules`."""

    def __init__(self, queue: Database) -> None:
        self._queue = queue

    def get(self, kind: str, name: str) -> Schedule | None:
        with self._queue.read() as connection:
            row = connection.execute(select(schedules).where(*_place(kind, name))).first()
        return None if row is None else _schedule(row)

    def select(self) -> list[Schedule]:
        def find(connection: Connection) -> list[Schedule]:
            return [_schedule(row) for row in connection.execute(select(schedules))]

        return list(self._queue.standing("schedules", find))

    def put(self, schedule: Schedule) -> None:
        with self._queue.write() as connection:
            connection.execute(delete(schedules).where(*_place(schedule.kind, schedule.name)))
            connection.execute(insert(schedules).values(**_columns(schedule)))

    def drop(self, kind: str, name: str) -> None:
        with self._queue.write() as connection:
            connection.execute(delete(schedules).where(*_place(kind, name)))


def _place(kind: str, name: str) -> tuple[Any, Any]:
    return schedules.c.kind == kind, schedules.c.key == name_key(name)


def _columns(schedule: Schedule) -> dict[str, Any]:
    return {
        "kind": schedule.kind,
        "key": name_key(schedule.name),
        "name": schedule.name,
        "timing": schedule.timing,
        "looked_at": schedule.looked_at,
        "planned_at": schedule.planned_at,
        "started_at": schedule.started_at,
        "started": schedule.started,
        "sentence": schedule.sentence,
    }


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        kind=row.kind,
        name=row.name,
        timing=row.timing,
        looked_at=row.looked_at,
        planned_at=row.planned_at,
        started_at=row.started_at,
        started=row.started,
        sentence=row.sentence,
    )
