"""People and their groups, the keys that programs have, the sessions of browsers."""

from dataclasses import dataclass
from typing import Any

from modelyard.domain.access import Grant, Principal, PrincipalKind, Role, within

USERS_MAX = 10_000
GROUPS_MAX = 1_000
KEYS_PER_OWNER_MAX = 100
GRANTS_MAX = 200
"""Of one user, group or key."""
NAME_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True)
class User:
    """A person. Names themselves by e-mail address; a password, another site that vouches for them, or both."""

    email: str
    name: str
    created_at: float
    grants: tuple[Grant, ...] = ()
    """Their own; those of their groups come on top."""
    groups: tuple[str, ...] = ()
    must_change_password: bool = False
    disabled: bool = False
    has_password: bool = True
    issuer: str | None = None
    """OIDC issuer that vouches for them, with the subject that it knows them by."""
    subject: str | None = None
    last_login_at: float | None = None
    failures: int = 0
    """Wrong passwords since the last right one."""
    locked_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    created_at: float
    grants: tuple[Grant, ...] = ()
    members: tuple[str, ...] = ()
    """E-mail addresses."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a program. The store has its digest; the key itself was shown once."""

    id: str
    name: str
    owner: str | None
    """Whose it is, by e-mail address; None where the yard's owner made it."""
    grants: tuple[Grant, ...]
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that somebody signed in with."""

    id: str
    user: str | None
    """E-mail address; None for the yard's owner, who came by a one-time link."""
    created_at: float
    expires_at: float
    address: str = ""
    agent: str = ""
    host: str | None = None
    """The one host where it counts, an app's or a site's; None is the yard's own."""
    parent: str | None = None
    """The session of the yard's that it came of, and ends with."""


@dataclass(frozen=True, slots=True)
class EntryCode:
    """What somebody who has signed in comes to an app's origin with: good once, there, in the browser that asked."""

    host: str
    state: str
    """Hash of what that browser keeps."""
    session: str
    """Id of the session of the yard's."""
    expires_at: float


def user_principal(user: User, group_grants: tuple[Grant, ...]) -> Principal | None:
    """Who a person is once they signed in; None while they may not."""
    if user.disabled:
        return None
    return Principal(
        PrincipalKind.USER, user.email, (*user.grants, *group_grants), user.groups, user.must_change_password
    )


def key_principal(key: ApiKey, owner: Principal | None, now: float) -> Principal | None:
    """Who a key is: what it was given, as far as its owner still has it. None where it has expired or its owner is
    gone, disabled or owes a new password."""
    if key.expires_at is not None and key.expires_at <= now:
        return None
    if key.owner is None:
        return Principal(PrincipalKind.KEY, key.id, key.grants)
    if owner is None or owner.must_change_password:
        return None
    held = tuple(one for one in key.grants if within((one,), owner) is None)
    return Principal(PrincipalKind.KEY, key.id, held)


def grant_document(grant: Grant) -> dict[str, Any]:
    return {"role": grant.role.word, "project": grant.project, "resource": grant.resource}


def grant_from(document: dict[str, Any]) -> Grant:
    """The inverse of `grant_document`."""
    return Grant(Role[str(document["role"]).upper()], document.get("project"), document.get("resource"))


def principal_document(principal: Principal) -> dict[str, Any]:
    return {
        "kind": principal.kind.value,
        "id": principal.id,
        "grants": [grant_document(one) for one in principal.grants],
        "groups": list(principal.groups),
        "must_change_password": principal.must_change_password,
        **({"scopes": list(principal.scopes)} if principal.scopes is not None else {}),
    }


def principal_from(document: dict[str, Any]) -> Principal:
    """The inverse of `principal_document`."""
    return Principal(
        PrincipalKind(document["kind"]),
        document["id"],
        tuple(grant_from(one) for one in document["grants"]),
        tuple(document["groups"]),
        bool(document["must_change_password"]),
        tuple(document["scopes"]) if "scopes" in document else None,
    )
