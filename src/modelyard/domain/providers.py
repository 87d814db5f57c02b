"""OpenID providers: other sites that vouch for people, and whom of those they vouch for the yard admits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from modelyard.domain.access import Grant, check_email
from modelyard.domain.names import check_name
from modelyard.domain.users import User, grant_document, grant_from
from modelyard.errors import Forbidden, InvalidValue

PROVIDERS_MAX = 20
ADMITTED_MAX = 200
GROUPS_MAPPED_MAX = 200
TEXT_LENGTH_MAX = 512
SUBJECT_LENGTH_MAX = 255
"""OpenID Connect Core, 2."""

EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Provider:
    """One OpenID provider, and what follows from its word."""

    name: str
    issuer: str
    """Its address as it says itself; what it publishes of itself is found below it."""
    client_id: str
    client_secret: str | None = None
    """Name of the yard's secret that holds it; None for a client without one."""
    label: str = ""
    """What the button says; the name where it is empty."""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    admits: tuple[str, ...] = ()
    """Who may come without having been added: domains of e-mail addresses, addresses, or `*` for everybody there."""
    grants: tuple[Grant, ...] = ()
    """What somebody is given who comes for the first time."""
    groups_claim: str = "groups"
    groups: tuple[tuple[str, str], ...] = ()
    """Groups there with the yard's: who is in the one is in the other, from each login to the next."""
    trusts_emails: bool = False
    """Whether an address counts that the provider does not call verified."""
    signs_out: bool = False
    """Whether signing out here signs out there too."""


def check_provider(provider: Provider) -> Provider:
    """Raises InvalidValue for what cannot be."""
    check_name(provider.name, "provider name")
    parts = urlsplit(provider.issuer)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    whole = bool(parts.hostname) and not parts.query and not parts.fragment and "@" not in parts.netloc
    if not whole or (parts.scheme != "https" and not (parts.scheme == "http" and local)):
        raise InvalidValue(
            f"cannot use issuer {provider.issuer[:200]!r}", "write https://HOST[/PATH]; plain HTTP on this machine only"
        )
    if "openid" not in provider.scopes:
        raise InvalidValue("cannot sign in without the scope openid", "name it among the scopes")
    texts = (provider.issuer, provider.client_id, provider.label, provider.groups_claim, *provider.scopes)
    if not provider.client_id or any(len(one) > TEXT_LENGTH_MAX or not one.isprintable() for one in texts):
        raise InvalidValue(
            f"cannot use provider {provider.name}: a field is empty, too long, or has control characters"
        )
    if len(provider.admits) > ADMITTED_MAX or len(provider.groups) > GROUPS_MAPPED_MAX:
        raise InvalidValue(f"cannot use provider {provider.name}: more than {ADMITTED_MAX} admitted or groups")
    for one in provider.admits:
        if "@" in one:
            check_email(one)
        elif one != EVERYBODY and ("." not in one or one != one.strip().lower()):
            raise InvalidValue(f"cannot admit {one[:80]!r}", "write a domain in lower case, an address, or *")
    return provider


@dataclass(frozen=True, slots=True)
class Admission:
    """What a login makes of somebody."""

    email: str
    name: str
    subject: str
    is_new: bool
    joins: tuple[str, ...]
    leaves: tuple[str, ...]


def admit(provider: Provider, claims: Mapping[str, Any], linked: User | None, by_email: User | None) -> Admission:
    """What becomes of a login that the provider has proved. `linked` is whom it vouched for under this subject before;
    `by_email` is who has the address. Raises Forbidden.

    An address counts only where the provider calls it verified. An account that has a password is linked only where the
    rule admits its address: else whoever runs some provider could become anybody here.
    """
    subject = str(claims.get("sub") or "")
    if not subject or len(subject) > SUBJECT_LENGTH_MAX:
        raise Forbidden(f"cannot sign in: {provider.name} does not say who you are")
    email = linked.email if linked is not None else _verified_email(provider, claims)
    user = linked or by_email
    if user is not None and user.disabled:
        raise Forbidden(f"cannot sign in: {email} is shut out", "ask an admin")
    if linked is None:
        if by_email is not None and by_email.issuer is not None:
            raise Forbidden(f"cannot sign in: {email} belongs to another account", "sign in as before, or ask an admin")
        invited = by_email is not None and not by_email.has_password
        if not invited and not _is_admitted(provider, email):
            raise Forbidden(f"cannot sign in: {email} is not admitted by {provider.name}", "an admin can add you")
    named = _groups(claims.get(provider.groups_claim))
    joins = {ours for theirs, ours in provider.groups if theirs in named}
    leaves = {ours for _, ours in provider.groups} - joins
    name = str(claims.get("name") or email.partition("@")[0])
    return Admission(email, name[:128], subject, user is None, tuple(sorted(joins)), tuple(sorted(leaves)))


def provider_document(provider: Provider) -> dict[str, Any]:
    return {
        **asdict(provider),
        "scopes": list(provider.scopes),
        "admits": list(provider.admits),
        "grants": [grant_document(one) for one in provider.grants],
        "groups": dict(provider.groups),
    }


def provider_from(document: Mapping[str, Any]) -> Provider:
    """The inverse of `provider_document`."""
    fields: dict[str, Any] = {
        **document,
        "scopes": tuple(document["scopes"]),
        "admits": tuple(document["admits"]),
        "grants": tuple(grant_from(one) for one in document["grants"]),
        "groups": tuple(document["groups"].items()),
    }
    return Provider(**fields)


def _verified_email(provider: Provider, claims: Mapping[str, Any]) -> str:
    email = claims.get("email")
    if not isinstance(email, str):
        raise Forbidden(f"cannot sign in: {provider.name} tells no e-mail address", "ask for the scope email")
    if claims.get("email_verified") is not True and not provider.trusts_emails:
        raise Forbidden(f"cannot sign in: {provider.name} has not verified your e-mail address", "verify it there")
    try:
        return check_email(email)
    except InvalidValue as error:
        raise Forbidden(f"cannot sign in: {error.message}") from error


def _is_admitted(provider: Provider, email: str) -> bool:
    domain = email.rpartition("@")[2]
    return any(one in (EVERYBODY, domain, email) for one in (each.lower() for each in provider.admits))


def _groups(claim: Any) -> set[str]:
    if isinstance(claim, str):
        return {claim}
    return {one for one in cast("list[Any]", claim) if isinstance(one, str)} if isinstance(claim, list) else set()
