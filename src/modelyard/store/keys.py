"""Hashes of keys, one-time links and sessions in the database."""

from sqlalchemy import Connection, Table, delete, insert, select

from modelyard.store.database import Database
from modelyard.store.limits import LINKS_MAX, SESSIONS_MAX
from modelyard.store.tables import links, owner_keys, sessions


class SqlKeys:
    """Implements `ports.Keys`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def put_owner(self, digest: str, now: float) -> None:
        with self._yard.write() as connection:
            connection.execute(delete(owner_keys))
            connection.execute(insert(owner_keys).values(digest=digest, created_at=now))

    def is_owner(self, digest: str) -> bool:
        with self._yard.read() as connection:
            found = connection.scalar(select(owner_keys.c.digest).where(owner_keys.c.digest == digest))
        return found is not None

    def put_link(self, digest: str, expires_at: float) -> None:
        with self._yard.write() as connection:
            _put(connection, links, digest, expires_at, LINKS_MAX)

    def take_link(self, digest: str, now: float) -> bool:
        with self._yard.write() as connection:
            good = delete(links).where(links.c.digest == digest, links.c.expires_at > now)
            taken = connection.execute(good).rowcount == 1
            connection.execute(delete(links).where(links.c.expires_at <= now))
        return taken

    def put_session(self, digest: str, expires_at: float) -> None:
        with self._yard.write() as connection:
            _put(connection, sessions, digest, expires_at, SESSIONS_MAX)

    def has_session(self, digest: str, now: float) -> bool:
        good = select(sessions.c.digest).where(sessions.c.digest == digest, sessions.c.expires_at > now)
        with self._yard.read() as connection:
            return connection.scalar(good) is not None


def _put(connection: Connection, table: Table, digest: str, expires_at: float, most: int) -> None:
    """Puts one and drops those that expire first beyond the bound."""
    connection.execute(delete(table).where(table.c.digest == digest))
    kept = select(table.c.digest).order_by(table.c.expires_at.desc()).limit(most - 1)
    connection.execute(delete(table).where(table.c.digest.not_in(kept)))
    connection.execute(insert(table).values(digest=digest, expires_at=expires_at))
