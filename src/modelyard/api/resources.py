"""What is wished of kinds other than endpoints: to look at and to delete. A deployment makes them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.hosts import check_places_free, document_place
from modelyard.api.permissions import asked_by, guarded, sees
from modelyard.api.ports import OwnPorts, own_ports
from modelyard.api.splitters import delete_variants
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain import splitters
from modelyard.domain.endpoints import BY_LENGTH_MAX
from modelyard.domain.resources import Resource, ResourceVersion
from modelyard.errors import Conflict
from modelyard.protocol.browsers import own_origin
from modelyard.store.ports import JsonObject


class RollbackWish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: Annotated[int | None, Field(ge=1)] = None
    by: Annotated[str | None, Field(max_length=BY_LENGTH_MAX)] = None


@dataclass(frozen=True, slots=True)
class ResourceVersionView:
    number: int
    created_at: str
    by: str | None
    spec: JsonObject


@dataclass(frozen=True, slots=True)
class ResourceView:
    kind: str
    name: str
    project: str
    version: int
    updated_at: str
    spec: JsonObject
    versions: list[ResourceVersionView]
    """Newest first."""
    url: str | None
    """Where it is visited; null where that is no place."""
    notes: list[str]
    """What people should know of it: a port that is not open, and why."""


@dataclass(frozen=True, slots=True)
class ResourcesView:
    resources: list[ResourceView]


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "resources")

    @router.get("/resources")
    def list_resources(request: Request, kind: str | None = None, project: str | None = None) -> ResourcesView:
        """By kind and name."""
        found = yard.store.resources.select(kind, project)
        origin, ports = own_origin(request.headers), own_ports(yard)
        seen = [one for one in found if sees(one.name.kind, one.name.name, one.project)]
        return ResourcesView([_view(one, origin, ports) for one in seen])

    @router.get("/resources/{kind}/{name}")
    def get_resource(kind: str, name: str, request: Request) -> ResourceView:
        return _view(yard.store.resources.get(kind, name), own_origin(request.headers), own_ports(yard))

    @router.post("/resources/{kind}/{name}/rollback")
    def roll_back(kind: str, name: str, wish: RollbackWish, request: Request) -> ResourceView:
        """Wishes for an earlier version again, as a new one; by default for the one before. Done once for one `to`."""
        found = yard.store.resources.get(kind, name)
        if wish.to is None and len(found.versions) < 2:
            raise Conflict(f"cannot roll back {found.name}: there is no earlier version")
        target = found.versions[-2] if wish.to is None else found.version(wish.to)
        place = document_place(kind, found.name.name, found.project, target.spec)
        check_places_free(yard, filter(None, [place]))
        changed = yard.store.resources.put(kind, name, target.spec, yard.clock.now(), asked_by(wish.by))
        if changed.wished.number != found.wished.number:
            sentence = f"rolled back to version {target.number} as version {changed.wished.number}"
            yard.store.events.add(kind, changed.name.name, sentence, yard.clock.now())
            yard.poke()
        return _view(changed, own_origin(request.headers), own_ports(yard))

    @router.delete("/resources/{kind}/{name}")
    def delete_resource(kind: str, name: str, request: Request) -> ResourceView:
        """Forgets it at once; what follows from that, the controller does. Variants go with their splitter. Answers
        with what it was."""
        found = yard.store.resources.get(kind, name)
        if kind == splitters.KIND:
            delete_variants(yard, found)
        removed = yard.store.resources.delete(kind, name)
        yard.store.events.add(kind, removed.name.name, "deleted", yard.clock.now())
        yard.poke()
        return _view(removed, own_origin(request.headers), own_ports(yard))

    return router


def _view(resource: Resource, origin: str, ports: OwnPorts) -> ResourceView:
    wished = resource.wished
    place = document_place(resource.name.kind, resource.name.name, resource.project, wished.spec)
    return ResourceView(
        kind=resource.name.kind,
        name=resource.name.name,
        project=resource.project,
        version=wished.number,
        updated_at=iso(wished.created_at),
        spec=wished.spec,
        versions=[_version_view(one) for one in reversed(resource.versions)],
        url=ports.address(origin, place.name, place.hosts, place.port) if place is not None else None,
        notes=ports.notes(place.port) if place is not None else [],
    )


def _version_view(version: ResourceVersion) -> ResourceVersionView:
    return ResourceVersionView(version.number, iso(version.created_at), version.by, version.spec)
