"""Queued invocations, for people and tools: what waits, what became of it, and dead letters driven again. They are
queued and read at the endpoint's own address (`doors.invocations`)."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.permissions import guarded
from modelyard.api.yard import Yard
from modelyard.domain.invocations import InvocationStatus
from modelyard.domain.webhooks import secret_text
from modelyard.protocol.invocations import invocation_view
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.webhook_keys import webhook_secret

INVOCATIONS_MAX = 1000
"""Most of one answer, and most that one request names."""


@dataclass(frozen=True, slots=True)
class InvocationsView:
    counts: dict[str, int]
    """How many there are of each status."""
    invocations: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RedrivenView:
    redriven: list[str]


@dataclass(frozen=True, slots=True)
class SecretView:
    secret: str


class Redrive(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    ids: Annotated[list[str] | None, Field(max_length=INVOCATIONS_MAX)] = None
    """None means every dead letter of the endpoint."""


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "invocations")
    files = InvocationFiles(yard.home.invocations)

    @router.get("/endpoints/{name}/async-invocations")
    def invocations(
        name: str,
        status: InvocationStatus | None = None,
        limit: Annotated[int, Query(ge=1, le=INVOCATIONS_MAX)] = 100,
    ) -> InvocationsView:
        """Newest first."""
        counts = {status.value: count for status, count in yard.store.invocations.counts(name).items()}
        found = yard.store.invocations.select(name, status, limit)
        return InvocationsView(counts, [invocation_view(one) for one in found])

    @router.get("/endpoints/{name}/async-invocations/{inference_id}")
    def invocation(name: str, inference_id: str) -> dict[str, Any]:
        return invocation_view(yard.store.invocations.get(name, inference_id))

    @router.post("/endpoints/{name}/async-invocations/{inference_id}/cancel", status_code=202)
    def cancel(name: str, inference_id: str) -> dict[str, Any]:
        """What waits ends at once, what is under way when its replica has heard."""
        found = yard.store.invocations.cancel(name, inference_id, yard.clock.now())
        yard.wake_dispatcher()
        return invocation_view(found)

    @router.post("/endpoints/{name}/async-invocations/redrive")
    def redrive(name: str, wanted: Redrive) -> RedrivenView:
        """Dead letters begin anew."""
        anew, dropped = yard.store.invocations.redrive(name, wanted.ids, yard.clock.now())
        files.drop(dropped)
        yard.wake_dispatcher()
        return RedrivenView([one.id for one in anew])

    @router.get("/endpoints/{name}/webhook-secret")
    def secret(name: str) -> SecretView:
        """What messages to this endpoint's webhooks are signed with."""
        endpoint = yard.store.endpoints.get(name)
        return SecretView(secret_text(webhook_secret(yard.home.webhook_key, endpoint.name)))

    return router
