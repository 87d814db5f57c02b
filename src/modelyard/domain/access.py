"""Who may do what: people, keys and tokens as principals, what they were granted, and who may enter a resource.

Roles say what one may do to things, from calling an endpoint to changing who may do what. A grant gives a role in the
whole yard, in a project, or on one resource; each role holds what the lower ones hold. A policy says who may come in
through the gateway: to an endpoint, an app, a site.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from ipaddress import ip_address, ip_network
from typing import Any, cast

from modelyard.domain.names import check_model_name, check_name, name_key, nearest, parse_reference, reference_key
from modelyard.errors import InvalidValue


class Role(IntEnum):
    """Each may what the ones below it may."""

    CALLER = 1  # asks endpoints, opens apps
    VIEWER = 2  # sees what there is, logs, metrics, history
    DEPLOYER = 3  # deploys, trains, rolls back, deletes
    ADMIN = 4  # says who may do what, sees the audit log

    @property
    def word(self) -> str:
        return self.name.lower()


ROLES = tuple(role.word for role in Role)


def role_from(word: str) -> Role:
    """Raises InvalidValue, with the nearest word as hint."""
    for role in Role:
        if role.word == word:
            return role
    close = nearest(word, ROLES)
    raise InvalidValue(
        f"cannot use role {word[:40]!r}", f"did you mean {close}?" if close else f"roles are {', '.join(ROLES)}"
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, and where it holds: on one resource, in one project, or, with neither, in the whole yard."""

    role: Role
    project: str | None = None
    resource: str | None = None
    """`KIND/NAME`, as verbs take it."""

    def reaches(self, project: str | None, resource: str | None) -> bool:
        """Whether it holds for a resource of a project; None and None mean the yard itself."""
        if self.resource is not None:
            return resource is not None and reference_key(self.resource) == reference_key(resource)
        if self.project is not None:
            return project is not None and name_key(self.project) == name_key(project)
        return True

    def __str__(self) -> str:
        where = self.resource or (f"project {self.project}" if self.project else "the yard")
        return f"{self.role.word} on {where}"


def check_grant(role: str, project: str | None, resource: str | None) -> Grant:
    """Raises InvalidValue where it cannot be meant."""
    if project is not None and resource is not None:
        raise InvalidValue("cannot grant on both a project and a resource", "give one of them")
    if project is not None:
        check_name(project, "project name")
    if resource is not None:
        kind, name = parse_reference(resource)
        if kind is None:
            raise InvalidValue(f"cannot grant on {resource!r}: its kind is missing", f"say endpoint/{name}")
        check_model_name(name) if kind == "model" else check_name(name, f"{kind} name")
    return Grant(role_from(role), project, resource)


class PrincipalKind(StrEnum):
    OWNER = "owner"  # whoever can read the home's key file
    USER = "user"  # a person who signed in
    KEY = "key"  # an API key
    TOKEN = "token"  # noqa: S105 (a word, no secret): minted by the yard for a job or an app


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was recognised."""

    kind: PrincipalKind
    id: str
    """An e-mail address, a key's id, a job; empty for the owner."""
    grants: tuple[Grant, ...] = ()
    """Their own and their groups'."""
    groups: tuple[str, ...] = ()
    must_change_password: bool = False
    """Until then nothing else is allowed."""
    scopes: tuple[str, ...] | None = None
    """What a token is for; beyond it nothing is allowed, whatever was granted. None for everybody else."""
    acts_for: PrincipalKind | None = None
    """What that one is in whose place an app asks with a token, with their grants and groups."""

    @property
    def is_person(self) -> bool:
        """Whether somebody signed in, or an app asks in the place of somebody who did."""
        return PrincipalKind.USER in (self.kind, self.acts_for)

    def __str__(self) -> str:
        return self.kind.value if self.kind is PrincipalKind.OWNER else f"{self.kind.value} {self.id}"


OWNER = Principal(PrincipalKind.OWNER, "", (Grant(Role.ADMIN),))

TRACKING_SERVER = Principal(PrincipalKind.TOKEN, "mlflow", (Grant(Role.DEPLOYER),))
"""MLflow's server, which shows the yard's models as its registry. Few routes are open to it, whatever its role says."""


def role_on(principal: Principal, project: str | None = None, resource: str | None = None) -> Role | None:
    """The highest role that a principal has there; None where it has none."""
    if principal.must_change_password:
        return None
    return max((one.role for one in principal.grants if one.reaches(project, resource)), default=None)


def allows(principal: Principal, needed: Role, project: str | None = None, resource: str | None = None) -> bool:
    found = role_on(principal, project, resource)
    return found is not None and found >= needed


def has_anywhere(principal: Principal, needed: Role) -> bool:
    """Whether the role holds for anything at all: enough to ask for a list, of which one then sees one's part."""
    return not principal.must_change_password and any(one.role >= needed for one in principal.grants)


def may_call(principal: Principal, resource: str) -> bool:
    """Whether a token's scopes reach `resource`; everybody else has none that could keep them from it."""
    return principal.scopes is None or f"{resource.partition('/')[0]}s:call" in principal.scopes


def within(grants: Iterable[Grant], principal: Principal) -> Grant | None:
    """The first of these grants that the principal does not have itself, so that nobody gives more than they have."""
    for one in grants:
        project, resource = one.project, one.resource
        if not allows(principal, one.role, project, resource):
            return one
    return None


class Entry(StrEnum):
    """How a policy answers somebody at the gate."""

    OPEN = "open"
    NEEDS_CREDENTIAL = "needs a credential"  # nobody was recognised; a key or a login would help
    REFUSED = "refused"  # it would not


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may come in to one resource. Exactly one of the four ways; addresses narrow each of them."""

    way: str = "key"
    """`public`, `key` (whoever has the role of a caller on it), `login` (any person who signed in), `groups`."""
    groups: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    """Networks in CIDR; empty lets every address in."""


PUBLIC = Policy("public")
BY_KEY = Policy("key")

WAYS = ("public", "key", "login", "groups")

ADDRESSES_MAX = 100
GROUPS_MAX = 100


def policy_from(document: Any) -> Policy:
    """Reads `public`, `key`, `login`, `{groups: [...]}` or `{way, groups?, addresses?}`. Raises InvalidValue."""
    fields = dict(cast("dict[str, Any]", document)) if isinstance(document, dict) else {"way": document}
    unknown = set(fields) - {"way", "groups", "addresses"}
    if unknown:
        raise InvalidValue(f"cannot use access: unknown field {min(unknown)!r}", "fields are groups, addresses")
    groups = _words(fields.get("groups"), "groups", GROUPS_MAX)
    way = fields.get("way") or ("groups" if "groups" in fields else "key")
    if way not in WAYS:
        raise InvalidValue(f"cannot use access {str(way)[:40]!r}", f"it is one of {', '.join(WAYS)}")
    if (way == "groups") != bool(groups):
        raise InvalidValue("cannot use access: `groups` names the groups that may come in", "write groups: [NAME]")
    return Policy(str(way), groups, _networks(_words(fields.get("addresses"), "addresses", ADDRESSES_MAX)))


def policy_document(policy: Policy) -> dict[str, Any]:
    """The inverse of `policy_from`."""
    return {"way": policy.way, "groups": list(policy.groups), "addresses": list(policy.addresses)}


def decide_entry(
    policy: Policy, principal: Principal | None, address: str, project: str | None, resource: str
) -> Entry:
    """Whether somebody at `address` may come in to `resource`; `principal` is who was recognised, or None."""
    if policy.addresses and not _is_inside(address, policy.addresses):
        return Entry.REFUSED
    if policy.way == "public":
        return Entry.OPEN
    if principal is None:
        return Entry.NEEDS_CREDENTIAL
    if principal.must_change_password or not may_call(principal, resource):
        return Entry.REFUSED
    if allows(principal, Role.DEPLOYER, project, resource):
        return Entry.OPEN
    match policy.way:
        case "login":
            entered = principal.is_person or allows(principal, Role.CALLER, project, resource)
        case "groups":
            wanted = {name_key(one) for one in policy.groups}
            in_group = not wanted.isdisjoint(name_key(one) for one in principal.groups)
            by_key = not principal.is_person and allows(principal, Role.CALLER, project, resource)
            entered = in_group or by_key
        case _:
            entered = allows(principal, Role.CALLER, project, resource)
    return Entry.OPEN if entered else Entry.REFUSED


def remedy_of(policy: Policy, principal: Principal | None, address: str) -> str:
    """What helps somebody who was refused."""
    if policy.addresses and not _is_inside(address, policy.addresses):
        return "it is open to some addresses only, and this is none of them"
    if principal is not None and principal.must_change_password:
        return "sign in to the console first, and choose a password of your own"
    if policy.way == "groups" and principal is not None and principal.is_person:
        one_of = "the group" if len(policy.groups) == 1 else "one of the groups"
        return f"it is for {one_of} {', '.join(policy.groups)}; an admin can take you in"
    return "an admin can grant the role of a caller on it"


def _words(value: Any, what: str, most: int) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):  # pyright: ignore[reportUnknownVariableType]
        raise InvalidValue(f"cannot use access: `{what}` is not a list of words", f"write {what}: [WORD]")
    words = tuple(cast("list[str]", value))
    if len(words) > most:
        raise InvalidValue(f"cannot use access: {len(words)} {what}; at most {most}")
    return words


def _networks(words: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ip_network(word)) for word in words)
    except ValueError as error:
        raise InvalidValue(f"cannot use access: {error}", "write addresses such as 10.0.0.0/8") from error


def _is_inside(address: str, networks: tuple[str, ...]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in ip_network(one) for one in networks)


EMAIL_LENGTH_MAX = 254
PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 256


def check_email(text: str) -> str:
    """An address as it is compared: lower case. Not more than its shape is checked. Raises InvalidValue."""
    local, at, host = text.strip().rpartition("@")
    shaped = (at and local and "." in host.strip(".")) or (at and local and host == "localhost")
    if not shaped or len(text) > EMAIL_LENGTH_MAX or any(one.isspace() or ord(one) < 33 for one in text.strip()):
        raise InvalidValue(f"cannot use {text[:60]!r} as an e-mail address", "write NAME@HOST")
    return text.strip().lower()


def check_password(password: str, email: str) -> str:
    """Length is what counts (NIST SP 800-63B); only the plainest guess is refused beside. Raises InvalidValue."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise InvalidValue(
            f"cannot use this password: it has {len(password)} characters",
            f"use {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX}; several words are good",
        )
    if email.partition("@")[0] in password.lower() or len(set(password)) < 5:
        raise InvalidValue("cannot use this password: it is easily guessed", "use several words")
    return password


ATTEMPTS_FREE = 5
"""Wrong passwords in a row that cost nothing but themselves."""
LOCK_SECONDS_MIN = 30.0
LOCK_SECONDS_MAX = 3600.0


def locked_seconds(failures: int) -> float:
    """How long an account waits after so many wrong passwords in a row: doubled by each beyond the free ones."""
    beyond = failures - ATTEMPTS_FREE
    return 0.0 if beyond < 0 else min(LOCK_SECONDS_MAX, LOCK_SECONDS_MIN * 2.0 ** min(beyond, 10))
