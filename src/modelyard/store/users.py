"""People, groups and what they were granted, in the database."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, true, update

from modelyard.domain.access import Grant
from modelyard.domain.names import check_name, name_key, not_found
from modelyard.domain.users import GRANTS_MAX, GROUPS_MAX, USERS_MAX, Group, User, grant_document, grant_from
from modelyard.errors import Conflict, InvalidValue
from modelyard.store.access import access_changed
from modelyard.store.database import Database
from modelyard.store.tables import api_keys, grants, group_members, groups, sessions, users

_USER, _GROUP = "user", "group"


class SqlUsers:
    """Implements `ports.Users`."""

    def __init__(self, yard: Database) -> None:
        self._yard = yard

    def add(self, user: User, password: str | None) -> None:
        with self._yard.write() as connection:
            known = list(connection.scalars(select(users.c.key)))
            if user.email in known:
                raise Conflict(f"cannot add user {user.email}: there is one", "`modelyard users` lists them")
            if len(known) >= USERS_MAX:
                raise Conflict(f"cannot add user {user.email}: there are {USERS_MAX}", "remove one first")
            connection.execute(insert(users).values(key=user.email, password=password, **_columns(user)))
            _put_grants(connection, _USER, user.email, user.grants)
            access_changed(connection)

    def get(self, email: str) -> User:
        with self._yard.read() as connection:
            return _get_user(connection, email)

    def find(self, issuer: str, subject: str) -> User | None:
        which = (users.c.issuer == issuer) & (users.c.subject == subject)
        with self._yard.read() as connection:
            return next(iter(load_users(connection, which).values()), None)

    def select(self) -> list[User]:
        with self._yard.read() as connection:
            return list(load_users(connection, true()).values())

    def password(self, email: str) -> str | None:
        with self._yard.read() as connection:
            return connection.scalar(select(users.c.password).where(users.c.key == email.lower()))

    def change(self, email: str, change: Callable[[User], User], password: str | None = None) -> User:
        with self._yard.write() as connection:
            changed = change(_get_user(connection, email))
            key = email.lower()
            given = {} if password is None else {"password": password}
            connection.execute(update(users).where(users.c.key == key).values(**_columns(changed), **given))
            _put_grants(connection, _USER, key, changed.grants)
            if password is not None or changed.disabled:
                connection.execute(delete(sessions).where(sessions.c.user_key == key))
            access_changed(connection)
            return _get_user(connection, email)

    def remove(self, email: str) -> None:
        with self._yard.write() as connection:
            key = _get_user(connection, email).email
            _put_grants(connection, _USER, key, ())
            connection.execute(delete(group_members).where(group_members.c.user_key == key))
            connection.execute(delete(sessions).where(sessions.c.user_key == key))
            connection.execute(delete(api_keys).where(api_keys.c.owner_key == key))
            connection.execute(delete(users).where(users.c.key == key))
            access_changed(connection)

    # Groups

    def put_group(self, name: str, now: float, granted: Sequence[Grant] | None = None) -> Group:
        key = name_key(check_name(name, "group name"))
        with self._yard.write() as connection:
            there = list(connection.scalars(select(groups.c.key)))
            if key not in there:
                if len(there) >= GROUPS_MAX:
                    raise Conflict(f"cannot add group {name}: there are {GROUPS_MAX}", "remove one first")
                connection.execute(insert(groups).values(key=key, name=name, created_at=now))
            if granted is not None:
                _put_grants(connection, _GROUP, key, granted)
            access_changed(connection)
            return _get_group(connection, name)

    def groups(self) -> list[Group]:
        with self._yard.read() as connection:
            return list(_load_groups(connection).values())

    def remove_group(self, name: str) -> None:
        with self._yard.write() as connection:
            key = name_key(_get_group(connection, name).name)
            _put_grants(connection, _GROUP, key, ())
            connection.execute(delete(group_members).where(group_members.c.group_key == key))
            connection.execute(delete(groups).where(groups.c.key == key))
            access_changed(connection)

    def put_member(self, group: str, email: str, *, member: bool) -> Group:
        with self._yard.write() as connection:
            group_key = name_key(_get_group(connection, group).name)
            user_key = _get_user(connection, email).email
            connection.execute(
                delete(group_members).where(
                    group_members.c.group_key == group_key, group_members.c.user_key == user_key
                )
            )
            if member:
                connection.execute(insert(group_members).values(group_key=group_key, user_key=user_key))
            access_changed(connection)
            return _get_group(connection, group)


def load_users(connection: Connection, which: ColumnElement[bool]) -> dict[str, User]:
    """By e-mail address, in that order."""
    rows = connection.execute(select(users).where(which).order_by(users.c.key)).all()
    granted = _load_grants(connection, _USER)
    of_user: dict[str, list[str]] = {}
    members = select(group_members.c.user_key, groups.c.name).join(groups, groups.c.key == group_members.c.group_key)
    for user_key, group in connection.execute(members.order_by(groups.c.key)):
        of_user.setdefault(user_key, []).append(group)
    return {row.key: _user(row, granted.get(row.key, ()), tuple(of_user.get(row.key, ()))) for row in rows}


def group_grants(connection: Connection) -> dict[str, tuple[Grant, ...]]:
    """By the group's name as it is written."""
    granted = _load_grants(connection, _GROUP)
    return {row.name: granted.get(row.key, ()) for row in connection.execute(select(groups))}


def _get_user(connection: Connection, email: str) -> User:
    found = load_users(connection, users.c.key == email.lower()).get(email.lower())
    if found is None:
        raise not_found("user", email, connection.scalars(select(users.c.key)))
    return found


def _user(row: Row[Any], granted: tuple[Grant, ...], in_groups: tuple[str, ...]) -> User:
    return User(
        email=row.key,
        name=row.name,
        created_at=row.created_at,
        grants=granted,
        groups=in_groups,
        must_change_password=row.must_change_password,
        disabled=row.disabled,
        has_password=row.password is not None,
        issuer=row.issuer,
        subject=row.subject,
        last_login_at=row.last_login_at,
        failures=row.failures,
        locked_until=row.locked_until,
    )


def _columns(user: User) -> dict[str, Any]:
    return {
        "name": user.name,
        "must_change_password": user.must_change_password,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "last_login_at": user.last_login_at,
        "failures": user.failures,
        "locked_until": user.locked_until,
        "issuer": user.issuer,
        "subject": user.subject,
    }


def _load_groups(connection: Connection) -> dict[str, Group]:
    granted = _load_grants(connection, _GROUP)
    members: dict[str, list[str]] = {}
    for row in connection.execute(select(group_members).order_by(group_members.c.user_key)):
        members.setdefault(row.group_key, []).append(row.user_key)
    rows = connection.execute(select(groups).order_by(groups.c.key)).all()
    return {
        row.key: Group(row.name, row.created_at, granted.get(row.key, ()), tuple(members.get(row.key, ())))
        for row in rows
    }


def _get_group(connection: Connection, name: str) -> Group:
    there = _load_groups(connection)
    found = there.get(name_key(name))
    if found is None:
        raise not_found("group", name, (one.name for one in there.values()))
    return found


def _load_grants(connection: Connection, kind: str) -> dict[str, tuple[Grant, ...]]:
    found: dict[str, list[Grant]] = {}
    rows = connection.execute(select(grants).where(grants.c.subject_kind == kind).order_by(grants.c.number))
    for row in rows:
        grant = grant_from({"role": row.role, "project": row.project, "resource": row.resource})
        found.setdefault(row.subject_key, []).append(grant)
    return {key: tuple(listed) for key, listed in found.items()}


def _put_grants(connection: Connection, kind: str, key: str, wanted: Iterable[Grant]) -> None:
    listed = list(dict.fromkeys(wanted))
    if len(listed) > GRANTS_MAX:
        raise InvalidValue(f"cannot grant {len(listed)} roles to {kind} {key}; at most {GRANTS_MAX}", "use a group")
    connection.execute(delete(grants).where(grants.c.subject_kind == kind, grants.c.subject_key == key))
    for one in listed:
        connection.execute(insert(grants).values(subject_kind=kind, subject_key=key, **grant_document(one)))
