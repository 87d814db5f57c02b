"""Hashes of keys, one-time links and sessions in the database, and who is behind each."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select, true, update

from modelyard.domain.access import OWNER, Principal
from modelyard.domain.names import not_found
from modelyard.domain.tokens import JobToken, job_principal
from modelyard.domain.users import (
    KEYS_PER_OWNER_MAX,
    ApiKey,
    EntryCode,
    Session,
    grant_document,
    grant_from,
    key_principal,
)
from modelyard.errors import Conflict
from modelyard.store.access import Known, Recognised, access_changed, access_revision, person, session_principal
from modelyard.store.database import Database
from modelyard.store.limits import LINKS_MAX, SESSIONS_MAX
from modelyard.store.tables import api_keys, entry_codes, job_tokens, links, owner_keys, sessions, users
from modelyard.store.users import group_grants, load_users


class SqlKeys:
    """Implements `ports.Keys`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard
        self._recognised = Recognised()

    def put_owner(self, digest: str, now: float) -> None:
        with self._yard.write() as connection:
            connection.execute(delete(owner_keys))
            connection.execute(insert(owner_keys).values(digest=digest, created_at=now))
            access_changed(connection)

    def is_owner(self, digest: str) -> bool:
        with self._yard.read() as connection:
            found = connection.scalar(select(owner_keys.c.digest).where(owner_keys.c.digest == digest))
        return found is not None

    def principal(self, digest: str, now: float) -> Principal | None:
        with self._yard.read() as connection:
            revision = access_revision(connection)
            known = self._recognised.get(digest, revision)
            if known is None:
                known = _known(connection, digest, now)
                if known is None:
                    return None
                self._recognised.put(digest, revision, known)
        return known.principal if known.expires_at is None or known.expires_at > now else None

    def credentials(self, now: float) -> dict[str, Known]:
        with self._yard.read() as connection:
            groups = group_grants(connection)
            people = {email: person(user, groups) for email, user in load_users(connection, true()).items()}
            found: dict[str, Known] = {}
            for row in connection.execute(select(api_keys)):
                principal = key_principal(_key(row), people.get(row.owner_key), now)
                if principal is not None:
                    found[row.digest] = Known(principal, row.expires_at)
            for row in connection.execute(select(sessions).where(sessions.c.expires_at > now)):
                principal = session_principal(_session(row), people.get(row.user_key))
                if principal is not None:
                    found[row.digest] = Known(principal, row.expires_at, row.host)
            for row in connection.execute(select(job_tokens).where(job_tokens.c.expires_at > now)):
                found[row.digest] = Known(job_principal(_job_token(row)), row.expires_at)
        return found

    def revision(self) -> int:
        with self._yard.read() as connection:
            return access_revision(connection)

    # Links and sessions

    def put_link(self, digest: str, expires_at: float) -> None:
        with self._yard.write() as connection:
            _make_room(connection, links, digest, LINKS_MAX)
            connection.execute(insert(links).values(digest=digest, expires_at=expires_at))

    def take_link(self, digest: str, now: float) -> bool:
        with self._yard.write() as connection:
            good = delete(links).where(links.c.digest == digest, links.c.expires_at > now)
            taken = connection.execute(good).rowcount == 1
            connection.execute(delete(links).where(links.c.expires_at <= now))
        return taken

    def put_code(self, digest: str, code: EntryCode) -> None:
        with self._yard.write() as connection:
            _make_room(connection, entry_codes, digest, LINKS_MAX)
            connection.execute(insert(entry_codes).values(digest=digest, **asdict(code)))

    def take_code(self, digest: str, now: float) -> tuple[EntryCode, Session] | None:
        with self._yard.write() as connection:
            row = connection.execute(select(entry_codes).where(entry_codes.c.digest == digest)).first()
            stale = (entry_codes.c.digest == digest) | (entry_codes.c.expires_at <= now)
            connection.execute(delete(entry_codes).where(stale))
            if row is None or row.expires_at <= now:
                return None
            good = (sessions.c.id == row.session) & (sessions.c.expires_at > now)
            session = connection.execute(select(sessions).where(good)).first()
        code = EntryCode(row.host, row.state, row.session, row.expires_at)
        return (code, _session(session)) if session is not None else None

    def put_session(self, digest: str, session: Session) -> None:
        with self._yard.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= session.created_at))
            _make_room(connection, sessions, digest, SESSIONS_MAX)
            connection.execute(
                insert(sessions).values(
                    digest=digest,
                    id=session.id,
                    user_key=session.user,
                    created_at=session.created_at,
                    expires_at=session.expires_at,
                    address=session.address,
                    agent=session.agent,
                    host=session.host,
                    parent=session.parent,
                )
            )
            access_changed(connection)

    def session(self, digest: str, now: float) -> Session | None:
        good = (sessions.c.digest == digest) & (sessions.c.expires_at > now)
        with self._yard.read() as connection:
            found = connection.execute(select(sessions).where(good)).first()
        return _session(found) if found is not None else None

    def sessions(self, now: float) -> list[Session]:
        with self._yard.read() as connection:
            living = select(sessions).where(sessions.c.expires_at > now)
            return [_session(row) for row in connection.execute(living.order_by(sessions.c.created_at.desc()))]

    def end_session(self, session: str) -> None:
        with self._yard.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.parent == session))
            if connection.execute(delete(sessions).where(sessions.c.id == session)).rowcount == 0:
                raise not_found("session", session, connection.scalars(select(sessions.c.id)))
            access_changed(connection)

    # Keys of programs

    def put_key(self, digest: str, key: ApiKey) -> None:
        with self._yard.write() as connection:
            whose = api_keys.c.owner_key.is_(None) if key.owner is None else api_keys.c.owner_key == key.owner
            if len(connection.execute(select(api_keys.c.id).where(whose)).all()) >= KEYS_PER_OWNER_MAX:
                raise Conflict(f"cannot make key {key.name}: there are {KEYS_PER_OWNER_MAX}", "delete one first")
            connection.execute(
                insert(api_keys).values(
                    id=key.id,
                    digest=digest,
                    name=key.name,
                    owner_key=key.owner,
                    grants=[grant_document(one) for one in key.grants],
                    created_at=key.created_at,
                    expires_at=key.expires_at,
                )
            )
            access_changed(connection)

    def api_keys(self) -> list[ApiKey]:
        with self._yard.read() as connection:
            return [_key(row) for row in connection.execute(select(api_keys).order_by(api_keys.c.created_at))]

    def delete_key(self, key: str) -> ApiKey:
        with self._yard.write() as connection:
            found = connection.execute(select(api_keys).where(api_keys.c.id == key)).first()
            if found is None:
                raise not_found("key", key, connection.scalars(select(api_keys.c.id)))
            connection.execute(delete(api_keys).where(api_keys.c.id == key))
            access_changed(connection)
            return _key(found)

    # Tokens of jobs

    def put_job_token(self, digest: str, token: JobToken) -> None:
        with self._yard.write() as connection:
            old = (job_tokens.c.run == token.run) | (job_tokens.c.expires_at <= token.created_at)
            connection.execute(delete(job_tokens).where(old))
            connection.execute(
                insert(job_tokens).values(
                    digest=digest,
                    run=token.run,
                    grants=[grant_document(one) for one in token.grants],
                    created_at=token.created_at,
                    expires_at=token.expires_at,
                )
            )
            access_changed(connection)

    def end_job_token(self, run: str) -> None:
        with self._yard.write() as connection:
            if connection.execute(delete(job_tokens).where(job_tokens.c.run == run)).rowcount:
                access_changed(connection)

    def used(self, digests: dict[str, float]) -> None:
        with self._yard.write() as connection:
            for digest, at in digests.items():
                connection.execute(update(api_keys).where(api_keys.c.digest == digest).values(last_used_at=at))


def _known(connection: Connection, digest: str, now: float) -> Known | None:
    """Who that is at the yard's own address."""
    if connection.scalar(select(owner_keys.c.digest).where(owner_keys.c.digest == digest)) is not None:
        return Known(OWNER, None)
    row = connection.execute(select(api_keys).where(api_keys.c.digest == digest)).first()
    if row is not None:
        principal = key_principal(_key(row), _person(connection, row.owner_key), now)
        return Known(principal, row.expires_at) if principal is not None else None
    row = connection.execute(select(job_tokens).where(job_tokens.c.digest == digest)).first()
    if row is not None:
        return Known(job_principal(_job_token(row)), row.expires_at)
    own = (sessions.c.digest == digest) & sessions.c.host.is_(None)
    row = connection.execute(select(sessions).where(own)).first()
    principal = session_principal(_session(row), _person(connection, row.user_key)) if row is not None else None
    return Known(principal, row.expires_at) if row is not None and principal is not None else None


def _person(connection: Connection, email: str | None) -> Principal | None:
    if email is None:
        return None
    return person(load_users(connection, users.c.key == email).get(email), group_grants(connection))


def _key(row: Row[Any]) -> ApiKey:
    grants = tuple(grant_from(one) for one in row.grants)
    return ApiKey(row.id, row.name, row.owner_key, grants, row.created_at, row.expires_at, row.last_used_at)


def _job_token(row: Row[Any]) -> JobToken:
    return JobToken(row.run, tuple(grant_from(one) for one in row.grants), row.created_at, row.expires_at)


def _session(row: Row[Any]) -> Session:
    return Session(row.id, row.user_key, row.created_at, row.expires_at, row.address, row.agent, row.host, row.parent)


def _make_room(connection: Connection, table: Table, digest: str, most: int) -> None:
    """Drops those that expire first, so that one more is within the bound."""
    connection.execute(delete(table).where(table.c.digest == digest))
    kept = select(table.c.digest).order_by(table.c.expires_at.desc()).limit(most - 1)
    connection.execute(delete(table).where(table.c.digest.not_in(kept)))
