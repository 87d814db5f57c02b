"""What happened, for people."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from modelyard.api.permissions import guarded, project_of, sees, sees_everything
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.store.ports import Event

EVENTS_MAX = 1000
"""Most events of one answer."""
EVENTS_LOOKED_AT_MAX = 5000
"""Newest events among which somebody's own are looked for."""


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


def _is_seen(event: Event, project: str | None) -> bool:
    """What is gone belongs to no project any more, and only those see its events who see everything."""
    return project is not None and sees(event.kind, event.name, project)


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "events")

    @router.get("/events")
    def list_events(
        kind: str | None = None,
        name: str | None = None,
        limit: Annotated[int, Query(ge=1, le=EVENTS_MAX)] = 100,
    ) -> EventsView:
        """Newest first."""
        if sees_everything():
            return EventsView([_view(event) for event in yard.store.events.select(kind, name, limit)])
        among = yard.store.events.select(kind, name, EVENTS_LOOKED_AT_MAX)
        projects = {thing: project_of(yard, *thing) for thing in {(event.kind, event.name) for event in among}}
        seen = [event for event in among if _is_seen(event, projects[event.kind, event.name])]
        return EventsView([_view(event) for event in seen[:limit]])

    return router
