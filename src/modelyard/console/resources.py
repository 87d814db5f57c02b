"""What is wished of kinds other than endpoints: alarms, splitters, apps, sites, functions. Each has a list and a page;
what is particular to a kind stands in a module of its own."""

import json
from typing import Any
from urllib.parse import quote

from modelyard.console.paging import one_page
from modelyard.console.visits import Answer, Page, Visit
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
    kind, name = visit.names["kind"], visit.names["name"]
    if kind not in RESOURCE_KINDS:
        raise NotFound(f"cannot find {kind[:40]!r}: it is no kind", f"kinds are {', '.join(RESOURCE_KINDS)}")
    resource = client.resource(kind, name)
    return {
        "resource": resource,
        "document": json.dumps(resource["spec"], indent=2, ensure_ascii=False),
        "events": client.events(kind=kind, name=resource["name"], limit=EVENTS_SHOWN),
    }


def delete_resource(client: Client, visit: Visit) -> Answer:
    visit.confirm(visit.names["name"])
    client.delete_resource(visit.names["kind"], visit.names["name"])
    return f"/resources?kind={quote(visit.names['kind'])}"


PAGES = (
    Page("/resources", "resources.html", resource_list),
    Page("/resources/{kind}/{name}", "resource.html", resource_page, {"delete": delete_resource}),
)
