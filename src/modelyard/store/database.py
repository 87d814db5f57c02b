"""One SQLite file: its engine, its two kinds of transaction, and what its failures are called.

A transaction that begins as a reader and then writes fails at once with "database is locked" when another process has
written in between, whatever the busy timeout says: SQLite cannot let it go on from an old snapshot. So whoever will
write says so first: `write` is BEGIN IMMEDIATE, which waits for its turn; `read` is a snapshot that waits for nobody.
"""

import sqlite3
import threading
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from sqlalchemy import URL, Connection, Engine, PoolProxiedConnection, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from modelyard.errors import StoreFailed

BUSY_SECONDS_MAX = 15.0
"""How long a writer waits for its turn. Transactions take milliseconds, so beyond it something is wrong."""

CONNECTIONS_KEPT = 4
CONNECTIONS_MAX = 16
"""Connections of one process to one file; whoever needs one more waits for its turn."""

_BEGIN = "begin_mode"

Found = TypeVar("Found")

_HINTS = {
    "SQLITE_FULL": "the disk is full: make room, then try again",
    "SQLITE_IOERR": "the disk answered with an error: look at the system's log",
    "SQLITE_READONLY": "make the file and its folder writable for this user",
    "SQLITE_CANTOPEN": "see that the folder exists, that this user can write it, and that open files are not exhausted",
    "SQLITE_BUSY": "another process holds it: try again; if it stays so, `modelyard down`, then `modelyard up`",
    "SQLITE_CORRUPT": "the file is damaged: restore it from a backup",
    "SQLITE_NOTADB": "the file is not a database: restore it from a backup",
}


class Database:
    """A SQLite file in WAL mode. Safe for many threads; other processes may use the same file at once."""

    def __init__(self, path: Path, *, synchronous: Literal["FULL", "NORMAL"]) -> None:
        """`FULL`: a commit that returned survives a power cut. `NORMAL`: it survives a crash of the process."""
        self.path = path
        self._engine = _create_engine(path, synchronous)
        self._standing: dict[Hashable, tuple[int, Any]] = {}
        self._watching: PoolProxiedConnection | None = None
        self._watched = threading.Lock()

    @contextmanager
    def read(self) -> Generator[Connection]:
        """A transaction that sees one state throughout. Raises StoreFailed."""
        with self._transaction("DEFERRED") as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """A transaction that alone may write; committed at the end, undone where the block raises.
        Raises StoreFailed."""
        with self._transaction("IMMEDIATE") as connection:
            yield connection

    def standing(self, question: Hashable, find: Callable[[Connection], Found]) -> Found:
        """What `find` finds, found anew only where somebody has written since: for what a loop asks again and again,
        and what hardly changes. A question is a word of the code's, not of a caller's, so there are few. What was found
        is shared: nobody may change it. Raises StoreFailed."""
        revision = self._revision()
        kept = self._standing.get(question)
        if kept is not None and kept[0] == revision:
            return kept[1]
        with self.read() as connection:
            found = find(connection)
        if revision is not None:
            self._standing[question] = revision, found
        return found

    def _revision(self) -> int | None:
        """Another number after each commit of any process. SQLite tells a connection of the commits of all others, so
        one is kept that does nothing else. None where it cannot be asked: whoever reads then hears why."""
        with self._watched:
            try:
                if self._watching is None:
                    self._watching = self._engine.raw_connection()
                return int(self._watching.cursor().execute("PRAGMA data_version").fetchone()[0])
            except (sqlite3.Error, SQLAlchemyError):
                return None

    def close(self) -> None:
        with self._watched:
            if self._watching is not None:
                self._watching.close()
                self._watching = None
        self._engine.dispose()

    @contextmanager
    def _transaction(self, mode: str) -> Generator[Connection]:
        try:
            with self._engine.connect() as connection, connection.execution_options(**{_BEGIN: mode}).begin():
                yield connection
        except SQLAlchemyError as error:
            raise _store_failed(self.path, error) from error


def _create_engine(path: Path, synchronous: str) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS_MAX},
        pool_size=CONNECTIONS_KEPT,
        max_overflow=CONNECTIONS_MAX - CONNECTIONS_KEPT,
        pool_timeout=BUSY_SECONDS_MAX,
    )

    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        # The driver would begin deferred transactions on its own; with None it leaves them to `begin` below.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA journal_mode=WAL")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options()[_BEGIN]}")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _store_failed(path: Path, error: SQLAlchemyError) -> StoreFailed:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    name = str(getattr(cause, "sqlite_errorname", ""))
    hint = next((text for code, text in _HINTS.items() if name.startswith(code)), None)
    return StoreFailed(f"cannot use database {path}: {cause}", hint)
