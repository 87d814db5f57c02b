"""OpenID providers: other sites that people sign in by."""

from typing import Any

from modelyard.console.people import grant_text, typed_grants
from modelyard.console.visits import Answer, Page, Visit
from modelyard.errors import InvalidValue
from modelyard.sdk.client import Client

PLACE = "/providers"
SCOPES = ("openid", "email", "profile")


def provider_list(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {"providers": client.access.providers(), "grant": grant_text, "checked": None}


def put_provider(client: Client, visit: Visit) -> Answer:
    client.access.put_provider(
        visit.typed("name"),
        issuer=visit.typed("issuer"),
        client_id=visit.typed("client_id"),
        client_secret=visit.typed("client_secret") or None,
        label=visit.typed("label"),
        scopes=[*SCOPES, *_words(visit, "scopes")],
        admits=_words(visit, "admits"),
        grants=typed_grants(visit),
        groups=_groups(visit),
        groups_claim=visit.typed("groups_claim") or "groups",
        trusts_emails=bool(visit.typed("trusts_emails")),
        signs_out=bool(visit.typed("signs_out")),
    )
    return PLACE


def check_provider(client: Client, visit: Visit) -> Answer:
    return {"checked": client.access.check_provider(visit.typed("name"))}


def remove_provider(client: Client, visit: Visit) -> Answer:
    visit.confirm(visit.typed("name"))
    client.access.remove_provider(visit.typed("name"))
    return PLACE


def _words(visit: Visit, field: str) -> list[str]:
    """Apart by blanks or commas."""
    return visit.typed(field).replace(",", " ").split()


def _groups(visit: Visit) -> dict[str, str]:
    """Raises InvalidValue."""
    pairs = [word.partition("=") for word in _words(visit, "groups")]
    for there, _, here in pairs:
        if not there or not here:
            raise InvalidValue(f"cannot map group {there[:60]!r} without its two names", "write THERE=HERE")
    return {there: here for there, _, here in pairs}


PAGES = (
    Page(
        PLACE,
        "providers.html",
        provider_list,
        {"put": put_provider, "check": check_provider, "remove": remove_provider},
    ),
)
