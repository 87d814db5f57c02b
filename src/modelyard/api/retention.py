"""Freeing disk on demand; the controller does the same every hour."""

from dataclasses import dataclass

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.store.retention import collect


class Collection(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class SurplusView:
    kind: str
    name: str
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class CollectedView:
    dry_run: bool
    size_bytes: int
    surplus: list[SurplusView]


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "retention")

    @router.post("/retention")
    def collect_surplus(collection: Collection) -> CollectedView:
        """Frees what nothing needs any more; with `dry_run`, only says what that is."""
        now = yard.clock.now()
        found = collect(yard.home, yard.store, yard.artifacts, yard.care, now, dry_run=collection.dry_run)
        surplus = [SurplusView(one.kind.value, one.name, one.size_bytes, one.reason) for one in found]
        return CollectedView(collection.dry_run, sum(one.size_bytes for one in surplus), surplus)

    return router
