"""Queued invocations as they are shown to whoever asks: over the api, at the endpoint's own address, to webhooks."""

from typing import Any
from urllib.parse import quote

from modelyard.clock import iso
from modelyard.domain.invocations import Invocation, InvocationStatus
from modelyard.protocol.routes import ASYNC_INVOCATIONS, ENDPOINTS

RESULT_PART = "/result"
FAILURE_PART = "/failure"


def invocation_path(endpoint: str, inference_id: str) -> str:
    return f"{ENDPOINTS}{endpoint}{ASYNC_INVOCATIONS}/{quote(inference_id, safe='')}"


def invocation_view(one: Invocation) -> dict[str, Any]:
    """`id`, `status` and `timestamp` as Cortex has them, and the rest of its life."""
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "status": one.status.value,
        "timestamp": iso(one.ended_at if one.ended_at is not None else one.created_at),
        "created_at": iso(one.created_at),
        "started_at": _moment(one.started_at),
        "ended_at": _moment(one.ended_at),
        "expires_at": iso(one.expires_at) if one.status is InvocationStatus.IN_QUEUE else None,
        "attempt": one.attempt,
        "cancel_requested": one.cancel_requested,
        "reason": one.reason,
        "body_bytes": one.request.body.size_bytes,
        "content_type": one.request.content_type,
        "result": _result(one),
        "delivery": _delivery(one),
    }


def _moment(at: float | None) -> str | None:
    return None if at is None else iso(at)


def _result(one: Invocation) -> dict[str, Any] | None:
    if one.result is None:
        return None
    return {
        "status": one.result.status,
        "content_type": one.result.content_type,
        "size_bytes": one.result.stored.size_bytes,
        "path": invocation_path(one.endpoint, one.id) + RESULT_PART,
    }


def _delivery(one: Invocation) -> dict[str, Any] | None:
    if one.delivery is None:
        return None
    return {
        "id": one.delivery.id,
        "webhook": one.request.webhook,
        "state": one.delivery.state.value,
        "tries": one.delivery.tries,
        "error": one.delivery.error,
    }
