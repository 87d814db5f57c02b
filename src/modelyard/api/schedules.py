"""Schedules: what a deployment's document may say of one, and how far each was followed."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.permissions import guarded, sees
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.deployments import ENDPOINT
from modelyard.domain.resources import Resource
from modelyard.domain.schedules import Schedule, Timing, scheduled_function, timing_from, timing_of
from modelyard.errors import NotFound
from modelyard.manifest.cron import EXPRESSION_LENGTH_MAX, CronTimes
from modelyard.protocol.views_of_schedules import SchedulesView, ScheduleView

FUNCTION = "function"
"""What an endpoint is called that has a schedule."""


class ScheduleWish(BaseModel):
    """`domain.schedules.Timing`; what is left out has its default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    cron: Annotated[str, Field(min_length=1, max_length=EXPRESSION_LENGTH_MAX)]
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    missed: Literal["once", "skip"] = "once"
    overlap: Literal["skip", "allow"] = "skip"

    def timing(self) -> Timing:
        """Raises InvalidValue where it names no times."""
        timing = timing_from(self.model_dump())
        CronTimes(timing)
        return timing


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "schedules")

    @router.get("/schedules")
    def list_schedules(project: str | None = None) -> SchedulesView:
        """Of every resource that has one, by kind and name, with its last and its next time."""
        functions = (scheduled_function(one) for one in yard.store.endpoints.select(project))
        found = [*yard.store.resources.select(project=project), *(one for one in functions if one is not None)]
        seen = [one for one in found if sees(one.name.kind, one.name.name, one.project)]
        return SchedulesView([view for one in seen if (view := _view(yard, one)) is not None])

    @router.get("/schedules/{kind}/{name}")
    def get_schedule(kind: str, name: str) -> ScheduleView:
        """Of one resource."""
        if kind in (FUNCTION, ENDPOINT):
            resource = scheduled_function(yard.store.endpoints.get(name))
        else:
            resource = yard.store.resources.get(kind, name)
        view = _view(yard, resource) if resource is not None else None
        if view is None:
            raise NotFound(
                f"cannot find a schedule of {kind} {name}", "its yard file gives it one: `schedule: 0 3 * * *`"
            )
        return view

    return router


def _view(yard: Yard, resource: Resource) -> ScheduleView | None:
    timing = timing_of(resource.wished.spec)
    if timing is None:
        return None
    kind, name = resource.name.kind, resource.name.name
    schedule = yard.store.schedules.get(kind, name) or Schedule(kind, name)
    return ScheduleView(
        kind=FUNCTION if kind == ENDPOINT else kind,
        name=name,
        project=resource.project,
        cron=timing.cron,
        time_zone=timing.time_zone,
        missed=timing.missed,
        overlap=timing.overlap,
        next_at=_iso(CronTimes(timing).after(yard.clock.now())),
        last_planned_at=_iso(schedule.planned_at),
        last_started_at=_iso(schedule.started_at),
        last_started=schedule.started,
        sentence=schedule.sentence,
    )


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
