"""Sites: the list, and the page of one: where it is, who may see it, its versions."""

from typing import Any

from modelyard.console.paging import one_page
from modelyard.console.resources import actions_on, shown_resource
from modelyard.console.visits import Page, Visit
from modelyard.domain.sites import KIND
from modelyard.sdk.client import Client


def site_list(client: Client, visit: Visit) -> dict[str, Any]:
    text = visit.asked("q").lower()
    found = client.resources(KIND)
    shown, paging = one_page([one for one in found if text in one["name"].lower()], visit)
    return {"sites": shown, "paging": paging, "all_count": len(found)}


def site_page(client: Client, visit: Visit) -> dict[str, Any]:
    return shown_resource(client, KIND, visit.names["name"])


PAGES = (
    Page("/sites", "sites.html", site_list),
    Page("/sites/{name}", "site.html", site_page, actions_on(KIND)),
)
