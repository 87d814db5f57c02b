"""Alarms: the state of each, how it came there, and who was told."""

from typing import Any
from urllib.parse import quote

from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client


def alarm_list(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    order = {"alarm": 0, "insufficient_data": 1, "ok": 2}
    return {"alarms": sorted(client.alarms(), key=lambda one: (order.get(one["state"], 3), one["name"]))}


def alarm_page(client: Client, visit: Visit) -> dict[str, Any]:
    return {"found": client.alarm(visit.names["name"])}


def test_alarm(client: Client, visit: Visit) -> Answer:
    client.test_alarm(visit.names["name"])
    return f"/alarms/{quote(visit.names['name'])}"


PAGES = (
    Page("/alarms", "alarms.html", alarm_list),
    Page("/alarms/{name}", "alarm.html", alarm_page, {"test": test_alarm}),
)
