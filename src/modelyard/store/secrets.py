"""Secrets in the database, sealed."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select

from modelyard.domain.names import name_key, not_found
from modelyard.domain.secrets import (
    SUPERSEDED_KEPT,
    Masks,
    Secret,
    check_count,
    check_secret_name,
    check_secret_value,
)
from modelyard.errors import StoreFailed
from modelyard.store.database import Database
from modelyard.store.seals import Seals
from modelyard.store.tables import secrets


class SqlSecrets:
    """Implements `ports.Secrets`."""

    def __init__(self, yard: Database, seals: Seals) -> None:
        self._yard = yard
        self._seals = seals
        self._masks: tuple[object, Masks] = (None, Masks([]))

    def put(self, name: str, value: str, now: float) -> Secret:
        check_secret_value(check_secret_name(name), value)
        key = name_key(name)
        sealed = self._seals.seal(value, key)
        with self._yard.write() as connection:
            before = _newest(connection, key)
            if before is None:
                check_count(name, connection.scalar(select(func.count(secrets.c.key.distinct()))) or 0)
            if before is not None and self._is(before, value):
                return _secret(before)
            made = Secret(
                name if before is None else before.name,
                1 if before is None else before.revision + 1,
                now if before is None else before.created_at,
                now,
            )
            connection.execute(
                insert(secrets).values(
                    key=key,
                    revision=made.revision,
                    name=made.name,
                    sealed=sealed,
                    created_at=made.created_at,
                    updated_at=made.updated_at,
                )
            )
            oldest = made.revision - SUPERSEDED_KEPT
            connection.execute(delete(secrets).where(secrets.c.key == key, secrets.c.revision < oldest))
        return made

    def select(self) -> list[Secret]:
        with self._yard.read() as connection:
            rows = connection.execute(select(secrets).order_by(secrets.c.key, secrets.c.revision)).all()
        return list({row.key: _secret(row) for row in rows}.values())

    def get(self, name: str) -> Secret:
        with self._yard.read() as connection:
            return _secret(_get(connection, name))

    def reveal(self, names: Iterable[str]) -> dict[str, str]:
        with self._yard.read() as connection:
            rows = {name: _get(connection, name) for name in names}
        return {name: self._seals.open(row.sealed, row.key) for name, row in rows.items()}

    def delete(self, name: str) -> None:
        with self._yard.write() as connection:
            found = _get(connection, name)
            connection.execute(delete(secrets).where(secrets.c.key == found.key))

    def masks(self) -> Masks:
        with self._yard.read() as connection:
            # Whatever changes the values changes this: a put stamps the time, a delete drops rows.
            there = connection.execute(select(func.count(), func.max(secrets.c.updated_at))).one()
            state = (there[0], there[1])
            if state == self._masks[0]:
                return self._masks[1]
            rows = connection.execute(select(secrets)).all()
        # A value whose key is lost can have been given to nobody since, and cannot be looked for.
        values = [value for row in rows if (value := self._opened(row)) is not None]
        self._masks = (state, Masks(values))
        return self._masks[1]

    def _is(self, row: Row[Any], value: str) -> bool:
        return self._opened(row) == value

    def _opened(self, row: Row[Any]) -> str | None:
        try:
            return self._seals.open(row.sealed, row.key)
        except StoreFailed:
            return None


def _newest(connection: Connection, key: str) -> Row[Any] | None:
    wanted = select(secrets).where(secrets.c.key == key).order_by(secrets.c.revision.desc()).limit(1)
    return connection.execute(wanted).first()


def _get(connection: Connection, name: str) -> Row[Any]:
    row = _newest(connection, name_key(name))
    if row is None:
        raise not_found("secret", name, set(connection.scalars(select(secrets.c.name))))
    return row


def _secret(row: Row[Any]) -> Secret:
    return Secret(row.name, row.revision, row.created_at, row.updated_at)
