"""States of alarms and the messages that tell of them, in the database, bounded."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from modelyard.domain.alarms import AlarmChange, AlarmState, Delivery
from modelyard.domain.names import name_key
from modelyard.store.database import Database
from modelyard.store.limits import CHANGES_PER_ALARM_MAX, DELIVERIES_MAX, SENTENCE_LENGTH_MAX
from modelyard.store.tables import alarm_changes, deliveries


class SqlAlarms:
    """Implements `ports.Alarms`."""

    def __init__(self, history: Database) -> None:
        self._history = history

    def move(self, change: AlarmChange, messages: Sequence[Delivery] = ()) -> None:
        key = name_key(change.alarm)
        with self._history.write() as connection:
            connection.execute(
                insert(alarm_changes).values(
                    alarm_key=key,
                    alarm=change.alarm,
                    endpoint=change.endpoint,
                    endpoint_key=name_key(change.endpoint),
                    state=change.state.value,
                    at=change.at,
                    sentence=change.sentence[:SENTENCE_LENGTH_MAX],
                    value=change.value,
                )
            )
            beyond = connection.scalar(
                select(alarm_changes.c.number)
                .where(alarm_changes.c.alarm_key == key)
                .order_by(alarm_changes.c.number.desc())
                .offset(CHANGES_PER_ALARM_MAX)
                .limit(1)
            )
            if beyond is not None:
                old = (alarm_changes.c.alarm_key == key) & (alarm_changes.c.number <= beyond)
                connection.execute(delete(alarm_changes).where(old))
            _add_deliveries(connection, messages)

    def add_deliveries(self, messages: Sequence[Delivery]) -> None:
        with self._history.write() as connection:
            _add_deliveries(connection, messages)

    def states(self) -> dict[str, AlarmChange]:
        newest = select(func.max(alarm_changes.c.number)).group_by(alarm_changes.c.alarm_key)
        with self._history.read() as connection:
            found = connection.execute(select(alarm_changes).where(alarm_changes.c.number.in_(newest)))
            return {row.alarm_key: _change(row) for row in found}

    def firing(self) -> frozenset[str]:
        return frozenset(one.alarm for one in self.states().values() if one.state is AlarmState.ALARM)

    def history(self, alarm: str, limit: int = 100) -> list[AlarmChange]:
        wanted = (
            select(alarm_changes)
            .where(alarm_changes.c.alarm_key == name_key(alarm))
            .order_by(alarm_changes.c.number.desc())
            .limit(limit)
        )
        with self._history.read() as connection:
            return [_change(row) for row in connection.execute(wanted)]

    def due(self, now: float, limit: int = 100) -> list[Delivery]:
        wanted = select(deliveries).where(deliveries.c.due_at <= now).order_by(deliveries.c.due_at).limit(limit)
        with self._history.read() as connection:
            return [_delivery(row) for row in connection.execute(wanted)]

    def put_delivery(self, delivery: Delivery) -> None:
        changed = {"attempts": delivery.attempts, "due_at": delivery.due_at, "outcome": delivery.outcome}
        with self._history.write() as connection:
            connection.execute(update(deliveries).where(deliveries.c.id == delivery.id).values(changed))

    def deliveries(self, alarm: str, limit: int = 100) -> list[Delivery]:
        wanted = (
            select(deliveries)
            .where(deliveries.c.alarm_key == name_key(alarm))
            .order_by(deliveries.c.number.desc())
            .limit(limit)
        )
        with self._history.read() as connection:
            return [_delivery(row) for row in connection.execute(wanted)]

    def forget(self, alarm: str) -> None:
        with self._history.write() as connection:
            for table in (alarm_changes, deliveries):
                connection.execute(delete(table).where(table.c.alarm_key == name_key(alarm)))


def _add_deliveries(connection: Connection, messages: Sequence[Delivery]) -> None:
    if not messages:
        return
    rows = [{"alarm_key": name_key(one.alarm), **asdict(one)} for one in messages]
    connection.execute(insert(deliveries), rows)
    newest = connection.scalar(select(func.max(deliveries.c.number))) or 0
    connection.execute(delete(deliveries).where(deliveries.c.number <= newest - DELIVERIES_MAX))


def _change(row: Row[tuple[object, ...]]) -> AlarmChange:
    return AlarmChange(row.alarm, row.endpoint, AlarmState(row.state), row.at, row.sentence, row.value)


def _delivery(row: Row[tuple[object, ...]]) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__dataclass_fields__})
