"""Who is behind a digest: the one look-up that everything asks which has to recognise somebody."""

from typing import NamedTuple

from sqlalchemy import Connection

from modelyard.domain.access import OWNER, Grant, Principal
from modelyard.domain.users import Session, User, user_principal
from modelyard.store.counters import count_up, counted

RECOGNISED_MAX = 4096
"""Credentials that one process remembers."""


class Known(NamedTuple):
    """Who is known by a digest."""

    principal: Principal
    expires_at: float | None
    host: str | None = None
    """The one host where it counts; None is the yard's own."""


class Recognised:
    """Who was recognised since the last change of who may do what, so that a page of many requests looks each person up
    once. It forgets all at a change, and never holds whom nobody knows: a stranger's guesses fill nothing."""

    def __init__(self) -> None:
        # One value, so that no thread ever sees who was known with another's revision.
        self._at: tuple[int, dict[str, Known]] = (0, {})

    def get(self, digest: str, revision: int) -> Known | None:
        known_revision, known = self._at
        return known.get(digest) if revision == known_revision else None

    def put(self, digest: str, revision: int, found: Known) -> None:
        known_revision, known = self._at
        if revision < known_revision:
            return
        if revision > known_revision or len(known) >= RECOGNISED_MAX:
            known = dict[str, Known]()
            self._at = (revision, known)
        known[digest] = found


def access_changed(connection: Connection) -> None:
    """Part of each transaction that changes who may do what, so that others see that something did."""
    count_up(connection, "access")


def access_revision(connection: Connection) -> int:
    return counted(connection, "access")


def person(user: User | None, groups: dict[str, tuple[Grant, ...]]) -> Principal | None:
    """A user with what their groups give them; `groups` by name."""
    if user is None:
        return None
    return user_principal(user, tuple(grant for name in user.groups for grant in groups.get(name, ())))


def session_principal(session: Session, user: Principal | None) -> Principal | None:
    """Who a session is: its user, or the owner where it has none."""
    return OWNER if session.user is None else user
