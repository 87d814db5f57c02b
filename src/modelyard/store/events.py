"""Events in the database, bounded."""

from sqlalchemy import delete, func, insert, select

from modelyard.domain.names import name_key
from modelyard.store.database import Database
from modelyard.store.limits import EVENTS_MAX, SENTENCE_LENGTH_MAX
from modelyard.store.ports import Event
from modelyard.store.tables import events


class SqlEvents:
    """Implements `ports.Events`."""

    def __init__(self, history: Database, events_max: int = EVENTS_MAX) -> None:
        self._history = history
        self._events_max = events_max

    def add(self, kind: str, name: str, sentence: str, now: float) -> None:
        with self._history.write() as connection:
            result = connection.execute(
                insert(events).values(
                    at=now, kind=kind, name=name, name_key=name_key(name), sentence=sentence[:SENTENCE_LENGTH_MAX]
                )
            )
            # Numbers have no gaps, so the bound is a range of the primary key and costs nothing to keep.
            (number,) = result.inserted_primary_key or (0,)
            connection.execute(delete(events).where(events.c.number <= number - self._events_max))

    def count_before(self, at: float) -> int:
        with self._history.read() as connection:
            return connection.scalar(select(func.count()).where(events.c.at < at)) or 0

    def drop_before(self, at: float) -> int:
        with self._history.write() as connection:
            return connection.execute(delete(events).where(events.c.at < at)).rowcount

    def select(self, kind: str | None = None, name: str | None = None, limit: int = 100) -> list[Event]:
        wanted = select(events).order_by(events.c.number.desc()).limit(limit)
        if kind is not None:
            wanted = wanted.where(events.c.kind == kind)
        if name is not None:
            wanted = wanted.where(events.c.name_key == name_key(name))
        with self._history.read() as connection:
            return [Event(row.number, row.at, row.kind, row.name, row.sentence) for row in connection.execute(wanted)]
