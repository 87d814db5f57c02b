"""What is wished of kinds other than endpoints: alarms, splitters, apps, sites, functions. Each has a list and a page;
what is particular to a kind stands in a module of its own."""

import json
from typing import Any
from urllib.parse import quote

from modelyard.console.paging import one_page
from modelyard.console.places import PLACES, place_of
from modelyard.console.visits import Action, Answer, Page, Visit
from modelyard.domain.names import RESOURCE_KINDS
from modelyard.errors import NotFound
from modelyard.sdk.client import Client

EVENTS_SHOWN = 20


def resource_list(client: Client, visit: Visit) -> dict[str, Any]:
    kind, text = visit.asked("kind"), visit.asked("q").lower()
    found = [one for one in client.resources(kind or None) if text in f"{one['kind']}/{one['name']}".lower()]
    shown, paging = one_page(found, visit)
    return {"resources": shown, "paging": paging, "kinds": RESOURCE_KINDS, "kind": kind}


def resource_page(client: Client, visit: Visit) -> dict[str, Any]:
    """Raises NotFound, also for a kind that there is not."""
    kind = visit.names["kind"]
    if kind not in RESOURCE_KINDS:
        raise NotFound(f"cannot find {kind[:40]!r}: it is no kind", f"kinds are {', '.join(RESOURCE_KINDS)}")
    return shown_resource(client, kind, visit.names["name"])


def shown_resource(client: Client, kind: str, name: str) -> dict[str, Any]:
    """What the pages of all kinds show of one: its document, its versions, what happened to it."""
    resource = client.resource(kind, name)
    return {
        "resource": resource,
        "own": place_of(kind, resource["name"]),
        "document": json.dumps(resource["spec"], indent=2, ensure_ascii=False),
        "events": client.events(kind=kind, name=resource["name"], limit=EVENTS_SHOWN),
    }


def actions_on(kind: str | None = None) -> dict[str, Action]:
    """Of one kind, or of the one that the path names."""

    def roll_back(client: Client, visit: Visit) -> Answer:
        chosen, name = kind or visit.names["kind"], visit.names["name"]
        client.rollback_resource(chosen, name, visit.typed_number("to", "a version"))
        return place_of(chosen, name)

    def delete(client: Client, visit: Visit) -> Answer:
        visit.confirm(visit.names["name"])
        client.delete_resource(kind or visit.names["kind"], visit.names["name"])
        chosen = kind or visit.names["kind"]
        return PLACES.get(chosen) or f"/resources?kind={quote(chosen)}"

    return {"rollback": roll_back, "delete": delete}


PAGES = (
    Page("/resources", "resources.html", resource_list),
    Page("/resources/{kind}/{name}", "resource.html", resource_page, actions_on()),
)
