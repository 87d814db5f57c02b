"""What happened, for people."""

from typing import Annotated, TypedDict

from fastapi import APIRouter, Query

from modelyard.api.yard import Yard
from modelyard.clock import iso

EVENTS_MAX = 1000
"""Most events of one answer."""


class EventView(TypedDict):
    number: int
    at: str
    kind: str
    name: str
    sentence: str


class EventsView(TypedDict):
    events: list[EventView]


def routes(yard: Yard) -> APIRouter:
    router = APIRouter(tags=["events"])

    @router.get("/events")
    def list_events(
        kind: str | None = None,
        name: str | None = None,
        limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 100,
    ) -> EventsView:
        """Newest first."""
        found = yard.store.events.select(kind, name, limit)
        return {
            "events": [
                {"number": one.number, "at": iso(one.at), "kind": one.kind, "name": one.name, "sentence": one.sentence}
                for one in found
            ]
        }

    return router
