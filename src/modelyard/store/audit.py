"""The audit log: who changed what and who was refused, bounded, oldest first to go."""

from sqlalchemy import delete, func, insert, or_, select

from modelyard.domain.audit import AUDIT_MAX, Audited
from modelyard.store.database import Database
from modelyard.store.tables import audit

_TRIM_EVERY = 256
"""Entries between two looks at the bound: it may be over by so many."""


class SqlAudit:
    """Implements `ports.Audit`."""

    def __init__(self, history: Database, audit_max: int = AUDIT_MAX) -> None:
        self._history = history
        self._audit_max = audit_max
        self._untrimmed = 0

    def add(self, *entries: Audited) -> None:
        rows = [
            {
                "at": one.at,
                "principal": one.principal,
                "action": one.action,
                "outcome": one.outcome,
                "address": one.address,
                "request_id": one.request_id,
            }
            for one in entries
        ]
        with self._history.write() as connection:
            connection.execute(insert(audit), rows)
            self._untrimmed += len(rows)
            if self._untrimmed >= min(_TRIM_EVERY, self._audit_max):
                newest = connection.scalar(select(func.max(audit.c.number))) or 0
                connection.execute(delete(audit).where(audit.c.number <= newest - self._audit_max))
                self._untrimmed = 0

    def select(
        self, text: str | None = None, since: float = 0.0, before: int | None = None, limit: int = 100
    ) -> list[Audited]:
        wanted = select(audit).where(audit.c.at >= since)
        if before is not None:
            wanted = wanted.where(audit.c.number < before)
        if text:
            columns = (audit.c.principal, audit.c.action, audit.c.outcome, audit.c.address, audit.c.request_id)
            wanted = wanted.where(or_(*(column.contains(text, autoescape=True) for column in columns)))
        with self._history.read() as connection:
            rows = connection.execute(wanted.order_by(audit.c.number.desc()).limit(limit)).all()
        return [
            Audited(row.at, row.principal, row.action, row.outcome, row.address, row.request_id, row.number)
            for row in rows
        ]
