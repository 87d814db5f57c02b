"""People, keys, sessions and the audit log in memory: for tests, as `memory` is for the rest of the store."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from modelyard.domain.access import OWNER, Grant, Principal
from modelyard.domain.audit import AUDIT_MAX, Audited
from modelyard.domain.names import check_name, name_key, not_found
from modelyard.domain.providers import PROVIDERS_MAX, Provider
from modelyard.domain.tokens import JobToken, job_principal
from modelyard.domain.users import (
    GRANTS_MAX,
    GROUPS_MAX,
    KEYS_PER_OWNER_MAX,
    USERS_MAX,
    ApiKey,
    EntryCode,
    Group,
    Session,
    User,
    key_principal,
)
from modelyard.errors import Conflict, InvalidValue
from modelyard.store.access import Known, person, session_principal
from modelyard.store.limits import LINKS_MAX, SESSIONS_MAX


class MemoryUsers:
    """Implements `ports.Users`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.revision = 1
        self.on_gone: list[Callable[[str, bool], None]] = []
        """Called with whose sessions end, and whether they are gone altogether."""
        self._users: dict[str, User] = {}
        self._passwords: dict[str, str | None] = {}
        self._groups: dict[str, Group] = {}

    def add(self, user: User, password: str | None) -> None:
        with self.lock:
            if user.email in self._users:
                raise Conflict(f"cannot add user {user.email}: there is one", "`modelyard users` lists them")
            if len(self._users) >= USERS_MAX:
                raise Conflict(f"cannot add user {user.email}: there are {USERS_MAX}", "remove one first")
            _check_grants("user", user.email, user.grants)
            self._users[user.email] = user
            self._passwords[user.email] = password
            self.revision += 1

    def get(self, email: str) -> User:
        with self.lock:
            found = self._users.get(email.lower())
            if found is None:
                raise not_found("user", email, self._users)
            names = tuple(one.name for _, one in sorted(self._groups.items()) if found.email in one.members)
            has_password = self._passwords[found.email] is not None
            return replace(found, grants=_unique(found.grants), groups=names, has_password=has_password)

    def find(self, issuer: str, subject: str) -> User | None:
        return next((one for one in self.select() if (one.issuer, one.subject) == (issuer, subject)), None)

    def select(self) -> list[User]:
        with self.lock:
            return [self.get(email) for email in sorted(self._users)]

    def password(self, email: str) -> str | None:
        return self._passwords.get(email.lower())

    def change(self, email: str, change: Callable[[User], User], password: str | None = None) -> User:
        with self.lock:
            changed = change(self.get(email))
            _check_grants("user", email, changed.grants)
            self._users[changed.email] = changed
            if password is not None:
                self._passwords[changed.email] = password
            if password is not None or changed.disabled:
                self._tell(changed.email, gone=False)
            self.revision += 1
            return self.get(email)

    def remove(self, email: str) -> None:
        with self.lock:
            key = self.get(email).email
            del self._users[key], self._passwords[key]
            self._groups = {
                name: replace(one, members=tuple(member for member in one.members if member != key))
                for name, one in self._groups.items()
            }
            self._tell(key, gone=True)
            self.revision += 1

    def put_group(self, name: str, now: float, granted: Sequence[Grant] | None = None) -> Group:
        key = name_key(check_name(name, "group name"))
        with self.lock:
            if key not in self._groups and len(self._groups) >= GROUPS_MAX:
                raise Conflict(f"cannot add group {name}: there are {GROUPS_MAX}", "remove one first")
            found = self._groups.get(key) or Group(name, now)
            if granted is not None:
                _check_grants("group", key, granted)
                found = replace(found, grants=_unique(granted))
            self._groups[key] = found
            self.revision += 1
            return found

    def groups(self) -> list[Group]:
        with self.lock:
            return [one for _, one in sorted(self._groups.items())]

    def remove_group(self, name: str) -> None:
        with self.lock:
            del self._groups[name_key(self._group(name).name)]
            self.revision += 1

    def put_member(self, group: str, email: str, *, member: bool) -> Group:
        with self.lock:
            found, key = self._group(group), self.get(email).email
            others = {one for one in found.members if one != key}
            changed = replace(found, members=tuple(sorted(others | {key} if member else others)))
            self._groups[name_key(found.name)] = changed
            self.revision += 1
            return changed

    def people(self) -> dict[str | None, Principal | None]:
        """Who each user is, by e-mail address."""
        with self.lock:
            granted = {one.name: one.grants for one in self._groups.values()}
            return {user.email: person(user, granted) for user in self.select()}

    def _group(self, name: str) -> Group:
        found = self._groups.get(name_key(name))
        if found is None:
            raise not_found("group", name, (one.name for one in self._groups.values()))
        return found

    def _tell(self, email: str, *, gone: bool) -> None:
        for tell in self.on_gone:
            tell(email, gone)


class MemoryKeys:
    """Implements `ports.Keys`."""

    def __init__(self, users: MemoryUsers) -> None:
        self._lock = users.lock
        self._users = users
        self._owner: str | None = None
        self._links: dict[str, float] = {}
        self._codes: dict[str, EntryCode] = {}
        self._sessions: dict[str, Session] = {}
        self._keys: dict[str, ApiKey] = {}
        self._job_tokens: dict[str, JobToken] = {}
        users.on_gone.append(self._forget)

    def put_owner(self, digest: str, now: float) -> None:  # noqa: ARG002 (the port's; a fake shows it to nobody)
        self._owner = digest

    def is_owner(self, digest: str) -> bool:
        return digest == self._owner

    def principal(self, digest: str, now: float) -> Principal | None:
        found = self.credentials(now).get(digest)
        if self.is_owner(digest):
            return OWNER
        return found.principal if found is not None and found.host is None else None

    def credentials(self, now: float) -> dict[str, Known]:
        with self._lock:
            people = self._users.people()
            found: dict[str, Known] = {}
            for digest, key in self._keys.items():
                principal = key_principal(key, people.get(key.owner), now)
                if principal is not None:
                    found[digest] = Known(principal, key.expires_at)
            for digest, session in self._sessions.items():
                principal = session_principal(session, people.get(session.user))
                if principal is not None and session.expires_at > now:
                    found[digest] = Known(principal, session.expires_at, session.host)
            living = {digest: one for digest, one in self._job_tokens.items() if one.expires_at > now}
            return found | {digest: Known(job_principal(one), one.expires_at) for digest, one in living.items()}

    def put_job_token(self, digest: str, token: JobToken) -> None:
        with self._lock:
            self.end_job_token(token.run)
            self._job_tokens[digest] = token
            self._users.revision += 1

    def end_job_token(self, run: str) -> None:
        with self._lock:
            left = {digest: one for digest, one in self._job_tokens.items() if one.run != run}
            self._users.revision += left != self._job_tokens
            self._job_tokens = left

    def revision(self) -> int:
        return self._users.revision

    def put_link(self, digest: str, expires_at: float) -> None:
        with self._lock:
            self._links = _bounded({**self._links, digest: expires_at}, digest, LINKS_MAX)

    def take_link(self, digest: str, now: float) -> bool:
        with self._lock:
            expires_at = self._links.pop(digest, None)
            self._links = {one: until for one, until in self._links.items() if until > now}
            return expires_at is not None and expires_at > now

    def put_code(self, digest: str, code: EntryCode) -> None:
        with self._lock:
            codes = {**self._codes, digest: code}
            kept = _bounded({one: held.expires_at for one, held in codes.items()}, digest, LINKS_MAX)
            self._codes = {one: codes[one] for one in kept}

    def take_code(self, digest: str, now: float) -> tuple[EntryCode, Session] | None:
        with self._lock:
            code = self._codes.pop(digest, None)
            if code is None or code.expires_at <= now:
                return None
            session = next((one for one in self.sessions(now) if one.id == code.session), None)
            return (code, session) if session is not None else None

    def put_session(self, digest: str, session: Session) -> None:
        with self._lock:
            living = {one: held for one, held in self._sessions.items() if held.expires_at > session.created_at}
            expiries = {one: held.expires_at for one, held in living.items()}
            kept = _bounded({**expiries, digest: session.expires_at}, digest, SESSIONS_MAX)
            self._sessions = {one: held for one, held in {**living, digest: session}.items() if one in kept}
            self._users.revision += 1

    def session(self, digest: str, now: float) -> Session | None:
        found = self._sessions.get(digest)
        return found if found is not None and found.expires_at > now else None

    def sessions(self, now: float) -> list[Session]:
        with self._lock:
            living = [one for one in self._sessions.values() if one.expires_at > now]
        return sorted(living, key=lambda one: one.created_at, reverse=True)

    def end_session(self, session: str) -> None:
        with self._lock:
            found = next((digest for digest, one in self._sessions.items() if one.id == session), None)
            if found is None:
                raise not_found("session", session, (one.id for one in self._sessions.values()))
            del self._sessions[found]
            self._sessions = {one: held for one, held in self._sessions.items() if held.parent != session}
            self._users.revision += 1

    def put_key(self, digest: str, key: ApiKey) -> None:
        with self._lock:
            if sum(one.owner == key.owner for one in self._keys.values()) >= KEYS_PER_OWNER_MAX:
                raise Conflict(f"cannot make key {key.name}: there are {KEYS_PER_OWNER_MAX}", "delete one first")
            self._keys[digest] = key
            self._users.revision += 1

    def api_keys(self) -> list[ApiKey]:
        with self._lock:
            return sorted(self._keys.values(), key=lambda one: one.created_at)

    def delete_key(self, key: str) -> ApiKey:
        with self._lock:
            found = next((digest for digest, one in self._keys.items() if one.id == key), None)
            if found is None:
                raise not_found("key", key, (one.id for one in self._keys.values()))
            self._users.revision += 1
            return self._keys.pop(found)

    def used(self, digests: dict[str, float]) -> None:
        with self._lock:
            for digest, at in digests.items():
                if digest in self._keys:
                    self._keys[digest] = replace(self._keys[digest], last_used_at=at)

    def _forget(self, email: str, gone: bool) -> None:
        self._sessions = {digest: one for digest, one in self._sessions.items() if one.user != email}
        if gone:
            self._keys = {digest: one for digest, one in self._keys.items() if one.owner != email}


class MemoryProviders:
    """Implements `ports.Providers`."""

    def __init__(self) -> None:
        self._providers: dict[str, Provider] = {}

    def put(self, provider: Provider) -> None:
        others = self._providers.keys() - {name_key(provider.name)}
        if len(others) >= PROVIDERS_MAX:
            raise Conflict(f"cannot add provider {provider.name}: there are {PROVIDERS_MAX}", "remove one first")
        self._providers[name_key(provider.name)] = provider

    def get(self, name: str) -> Provider:
        found = self._providers.get(name_key(name))
        if found is None:
            raise not_found("provider", name, self._providers)
        return found

    def select(self) -> list[Provider]:
        return [one for _, one in sorted(self._providers.items())]

    def remove(self, name: str) -> None:
        del self._providers[name_key(self.get(name).name)]


class MemoryAudit:
    """Implements `ports.Audit`."""

    def __init__(self, audit_max: int = AUDIT_MAX) -> None:
        self._lock = threading.Lock()
        self._entries: list[Audited] = []
        self._last_number = 0
        self._audit_max = audit_max

    def add(self, *entries: Audited) -> None:
        with self._lock:
            for one in entries:
                self._last_number += 1
                self._entries.append(replace(one, number=self._last_number))
            del self._entries[: -self._audit_max]

    def select(
        self, text: str | None = None, since: float = 0.0, before: int | None = None, limit: int = 100
    ) -> list[Audited]:
        def wanted(one: Audited) -> bool:
            fields = (one.principal, one.action, one.outcome, one.address, one.request_id)
            found = not text or any(text.lower() in field.lower() for field in fields)
            return found and one.at >= since and (before is None or one.number < before)

        with self._lock:
            return [one for one in reversed(self._entries) if wanted(one)][:limit]


def _bounded(expiries: dict[str, float], newest: str, most: int) -> dict[str, float]:
    """Without those that expire first beyond the bound; the newest stays in any case."""
    others = sorted((one for one in expiries if one != newest), key=lambda one: expiries[one], reverse=True)
    return {one: expiries[one] for one in (newest, *others[: most - 1])}


def _unique(granted: Sequence[Grant]) -> tuple[Grant, ...]:
    return tuple(dict.fromkeys(granted))


def _check_grants(kind: str, key: str, granted: Sequence[Grant]) -> None:
    count = len(_unique(granted))
    if count > GRANTS_MAX:
        raise InvalidValue(f"cannot grant {count} roles to {kind} {key}; at most {GRANTS_MAX}", "use a group")
