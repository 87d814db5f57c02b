"""API gateways: the list, and the page of one: its routes and where they lead, stages, keys and what they may."""

from typing import Any

from modelyard.console.paging import one_page
from modelyard.console.resources import actions_on, shown_resource
from modelyard.console.visits import Page, Visit
from modelyard.domain.gateways import DEFAULT_STAGE, KIND, gateway_from
from modelyard.protocol.routes import GATEWAYS
from modelyard.sdk.client import Client


def gateway_list(client: Client, visit: Visit) -> dict[str, Any]:
    text = visit.asked("q").lower()
    found = client.resources(KIND)
    shown, paging = one_page([one for one in found if text in one["name"].lower()], visit)
    return {"gateways": shown, "paging": paging, "all_count": len(found), "root": client.url + GATEWAYS}


def gateway_page(client: Client, visit: Visit) -> dict[str, Any]:
    shown = shown_resource(client, KIND, visit.names["name"])
    resource = shown["resource"]
    root = f"{client.url}{GATEWAYS}{resource['name']}"
    gateway = gateway_from(resource["spec"])
    stages = {name: root if name == DEFAULT_STAGE else f"{root}/{name}" for name in gateway.stages}
    usages = {one.key: one for one in client.usage(resource["name"]).usages}
    return {**shown, "gateway": gateway, "stages": stages, "usages": usages}


PAGES = (
    Page("/gateways", "gateways.html", gateway_list),
    Page("/gateways/{name}", "gateway.html", gateway_page, actions_on(KIND)),
)
