"""Users, groups, keys and sessions: who may do what."""

from typing import Any
from urllib.parse import quote

from modelyard.console.visits import Answer, Page, Visit
from modelyard.domain.access import ROLES
from modelyard.domain.quantities import duration_seconds
from modelyard.protocol.views_of_access import GrantView
from modelyard.sdk.access import read_grant
from modelyard.sdk.client import Client


def people(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {"users": client.access.users(), "groups": client.access.groups(), "roles": ROLES, "grant": grant_text}


def user_page(client: Client, visit: Visit) -> dict[str, Any]:
    email = visit.names["email"]
    return {
        "user": client.access.user(email),
        "groups": client.access.groups(),
        "sessions": [one for one in client.access.sessions() if one.user == email],
        "roles": ROLES,
        "grant": grant_text,
    }


def add_user(client: Client, visit: Visit) -> Answer:
    """The password that they come in with is shown on the page that follows, and never again."""
    made = client.access.add_user(visit.typed("email"), name=visit.typed("name"), grants=typed_grants(visit))
    return {"made": made}


def reset_password(client: Client, visit: Visit) -> Answer:
    return {"made": client.access.reset_password(visit.names["email"])}


def change_grants(client: Client, visit: Visit) -> Answer:
    client.access.change_user(visit.names["email"], grants=typed_grants(visit))
    return _own(visit)


def disable(client: Client, visit: Visit) -> Answer:
    client.access.change_user(visit.names["email"], disabled=True)
    return _own(visit)


def enable(client: Client, visit: Visit) -> Answer:
    client.access.change_user(visit.names["email"], disabled=False)
    return _own(visit)


def remove_user(client: Client, visit: Visit) -> Answer:
    visit.confirm(visit.names["email"])
    client.access.remove_user(visit.names["email"])
    return "/people"


def put_group(client: Client, visit: Visit) -> Answer:
    client.access.put_group(visit.typed("group"), typed_grants(visit))
    return "/people"


def remove_group(client: Client, visit: Visit) -> Answer:
    visit.confirm(visit.typed("group"))
    client.access.remove_group(visit.typed("group"))
    return "/people"


def join_group(client: Client, visit: Visit) -> Answer:
    client.access.put_member(visit.typed("group"), visit.names["email"], member=True)
    return _own(visit)


def leave_group(client: Client, visit: Visit) -> Answer:
    client.access.put_member(visit.typed("group"), visit.names["email"], member=False)
    return _own(visit)


def key_list(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {"keys": client.access.keys(), "roles": ROLES, "grant": grant_text}


def make_key(client: Client, visit: Visit) -> Answer:
    """The key is shown on the page that follows, and never again."""
    lasts = visit.typed("expires_in")
    made = client.access.make_key(visit.typed("name"), typed_grants(visit), duration_seconds(lasts) if lasts else None)
    return {"made": made}


def delete_key(client: Client, visit: Visit) -> Answer:
    client.access.delete_key(visit.typed("key"))
    return "/keys"


def session_list(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {"sessions": client.access.sessions()}


def end_session(client: Client, visit: Visit) -> Answer:
    client.access.end_session(visit.typed("session"))
    return "/sessions"


def grant_text(grant: GrantView) -> str:
    """`viewer`, `deployer:shop`, `caller:endpoint/price`."""
    where = grant.resource or grant.project
    return f"{grant.role}:{where}" if where else grant.role


def typed_grants(visit: Visit) -> list[dict[str, str | None]]:
    """As they are typed, apart by blanks or commas."""
    return [read_grant(word) for word in visit.typed("grants").replace(",", " ").split()]


def _own(visit: Visit) -> str:
    return f"/people/{quote(visit.names['email'])}"


PAGES = (
    Page("/people", "people.html", people, {"add": add_user, "group": put_group, "ungroup": remove_group}),
    Page(
        "/people/{email}",
        "user.html",
        user_page,
        {
            "reset": reset_password,
            "grants": change_grants,
            "disable": disable,
            "enable": enable,
            "join": join_group,
            "leave": leave_group,
            "delete": remove_user,
        },
    ),
    Page("/keys", "keys.html", key_list, {"add": make_key, "delete": delete_key}),
    Page("/sessions", "sessions.html", session_list, {"end": end_session}),
)
