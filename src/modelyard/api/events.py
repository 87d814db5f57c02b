"""What happened, for people."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.store.ports import Event

EVENTS_MAX = 1000
"""Most events of one answer."""


@dataclass(frozen=True, slots=True)
class EventView:
    number: int
    at: str
    kind: str
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class EventsView:
    events: list[EventView]


def _view(event: Event) -> EventView:
    return EventView(event.number, iso(event.at), event.kind, event.name, event.sentence)


def routes(yard: Yard) -> APIRouter:
    router = APIRouter(tags=["events"])

    @router.get("/events")
    def list_events(
        kind: str | None = None,
        name: str | None = None,
        limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 100,
    ) -> EventsView:
        """Newest first."""
        return EventsView([_view(event) for event in yard.store.events.select(kind, name, limit)])

    return router
