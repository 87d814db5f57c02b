"""What happened, newest first."""

from typing import Any

from modelyard.console.visits import Page, Visit
from modelyard.sdk.client import Client

EVENTS_SHOWN = 200


def event_list(client: Client, visit: Visit) -> dict[str, Any]:
    text = visit.asked("q").lower()
    events = client.events(
        kind=visit.asked("kind") or None, name=visit.asked("name") or None, limit=1000 if text else EVENTS_SHOWN
    )
    found = [one for one in events if text in f"{one['kind']} {one['name']} {one['sentence']}".lower()]
    return {"events": found[:EVENTS_SHOWN]}


PAGES = (Page("/events", "events.html", event_list),)
