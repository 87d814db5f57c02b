"""Invocations that are queued: what each goes through from acceptance to its one result, and what decides it.

An invocation that was accepted is on disk. It is tried until it has a result; a try that ended without an answer -- the
replica died, the time was over, nobody knows -- is followed by another, and the predictor is told which one it is. What
could not be sent at all (no replica, a full queue) waits and counts as no try.
"""

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from modelyard.errors import Conflict, InvalidValue

TIME_TO_LIVE_SECONDS_MIN = 60.0
TIME_TO_LIVE_SECONDS_MAX = 21_600.0
"""SageMaker's limits for RequestTTLSeconds; the most is the default, as there."""

TIMEOUT_SECONDS_MAX = 3600.0
"""SageMaker's limit for InvocationTimeoutSeconds."""

BODY_BYTES_MAX = 2**30
"""SageMaker's limit for an asynchronous request."""

RESULTS_KEPT_SECONDS = 7 * 86400.0
"""Cortex's: how long what has ended is remembered."""

RESULT_SENT_BYTES_MAX = 128 * 2**10
"""A longer result is not in a webhook's message; SageMaker's limit."""

UNSENT_PAUSE_SECONDS = (0.25, 10.0)
"""Least and most between two looks at an endpoint that could not take an invocation."""

LOST_PAUSE_SECONDS = (1.0, 60.0)
"""Least and most before an invocation is tried again that ended without an answer."""

DELIVERY_PAUSES_SECONDS = (5.0, 30.0, 120.0, 600.0, 1800.0, 7200.0, 18000.0)
"""Between a webhook's tries; after the last it is given up."""

ID_LENGTH_MAX = 64
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=+-]{0,63}")
REASON_LENGTH_MAX = 2000
_DOUBLINGS_MAX = 16


class InvocationStatus(StrEnum):
    """Cortex's words for asynchronous requests, with the last two added."""

    IN_QUEUE = "in_queue"  # accepted, on disk; not sent, or to be sent again
    IN_PROGRESS = "in_progress"  # an attempt is under way, or was when its sender died
    COMPLETED = "completed"  # the predictor answered
    FAILED = "failed"  # a dead letter: the predictor refused or raised, or every attempt was lost
    EXPIRED = "expired"  # a dead letter: its time to live was over before it could be sent
    CANCELLED = "cancelled"  # the caller wanted it no more


ENDED = frozenset(
    {InvocationStatus.COMPLETED, InvocationStatus.FAILED, InvocationStatus.EXPIRED, InvocationStatus.CANCELLED}
)
DEAD = frozenset({InvocationStatus.FAILED, InvocationStatus.EXPIRED})
"""Dead letters: they can be driven again."""


class DeliveryState(StrEnum):
    PENDING = "pending"  # to be sent when it is due
    DELIVERED = "delivered"  # the receiver answered with a status below 300
    FAILED = "failed"  # every try failed


@dataclass(frozen=True, slots=True)
class Asynchronous:
    """How an endpoint's queued invocations are treated; what a yard file says under `async`."""

    time_to_live_seconds: float = TIME_TO_LIVE_SECONDS_MAX
    """How long an invocation may wait before it is sent."""
    timeout_seconds: float = 900.0
    """How long one attempt may take. SageMaker's default."""
    attempts: int = 3
    """Most attempts that may end without an answer."""
    max_concurrency: int = 8
    """Most invocations that are sent to one replica at once; SageMaker's MaxConcurrentInvocationsPerInstance."""
    webhook: str | None = None
    """Where each end is told; an address of http or https."""
    include_result: bool = False
    """Whether a webhook's message has the result, where that is small."""


def asynchronous_from(document: dict[str, Any]) -> Asynchronous:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Asynchronous(**_known(Asynchronous, document))


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a body or a result is: in the database, or in a file."""

    size_bytes: int
    sha256: str = ""
    """Of a request's body, so that the same invocation can be told from another of its id."""
    file: str | None = None
    """Name in the folder of invocations; None where the database has the bytes."""


@dataclass(frozen=True, slots=True)
class InvocationRequest:
    """What was asked; never changes."""

    body: Stored
    content_type: str | None = None
    accept: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """Others that go to the predictor, such as SageMaker's CustomAttributes."""
    time_to_live_seconds: float = TIME_TO_LIVE_SECONDS_MAX
    timeout_seconds: float = 900.0
    attempts: int = 3
    webhook: str | None = None
    include_result: bool = False
    input_location: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The one answer."""

    status: int
    content_type: str
    stored: Stored


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """What became of telling the webhook."""

    id: str
    """The same for every try, so that a receiver can tell a repetition."""
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    due_at: float = 0.0
    error: str | None = None
    """Why the last try failed."""


@dataclass(frozen=True, slots=True)
class Invocation:
    endpoint: str
    id: str
    request: InvocationRequest
    created_at: float
    expires_at: float
    status: InvocationStatus = InvocationStatus.IN_QUEUE
    due_at: float = 0.0
    """Not to be sent before."""
    attempt: int = 0
    """Of the last or present attempt, from 1; 0 where there was none."""
    losses: int = 0
    """Attempts that reached the endpoint and ended without an answer."""
    started_at: float | None = None
    ended_at: float | None = None
    cancel_requested: bool = False
    result: Result | None = None
    reason: str | None = None
    """Why it failed or is tried again."""
    delivery: WebhookDelivery | None = None
    sequence: int = 0
    """Order of acceptance, over all endpoints."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def check_id(given: str) -> str:
    """Returns the id that a client gave. Raises InvalidValue."""
    if not _ID.fullmatch(given):
        raise InvalidValue(
            f"cannot use inference id {given[:ID_LENGTH_MAX]!r}",
            f"use letters, digits and . _ : @ = + -, at most {ID_LENGTH_MAX}, beginning with a letter or digit",
        )
    return given


def check_same(there: Invocation, asked: Invocation) -> None:
    """Raises Conflict where an invocation of that id was accepted before and is another one."""
    one, two = there.request, asked.request
    if (one.body.sha256, one.content_type, one.accept) != (two.body.sha256, two.content_type, two.accept):
        raise Conflict(
            f"cannot accept invocation {asked.id} of endpoint {asked.endpoint}: another one of that id was accepted",
            "give each invocation an id of its own",
        )


# What happens to one


def taken(one: Invocation, now: float) -> Invocation:
    """The next attempt begins. Written before anything is sent."""
    status = InvocationStatus.IN_PROGRESS
    return replace(one, status=status, attempt=one.attempt + 1, started_at=now, reason=None)


def unsent(one: Invocation, reason: str, pause_seconds: float, now: float) -> Invocation:
    """It did not reach the endpoint: as if this attempt had not been."""
    return replace(
        one,
        status=InvocationStatus.IN_QUEUE,
        attempt=one.attempt - 1,
        due_at=now + pause_seconds,
        reason=reason[:REASON_LENGTH_MAX],
    )


def lost(one: Invocation, reason: str, now: float) -> Invocation:
    """It reached the endpoint and there is no answer: tried again, or a dead letter."""
    losses = one.losses + 1
    if losses >= one.request.attempts:
        return _end(replace(one, losses=losses), InvocationStatus.FAILED, now, reason)
    due_at = now + pause_seconds(losses, *LOST_PAUSE_SECONDS)
    status = InvocationStatus.IN_QUEUE
    return replace(one, status=status, losses=losses, due_at=due_at, reason=reason[:REASON_LENGTH_MAX])


def answered(one: Invocation, result: Result, reason: str | None, now: float) -> Invocation:
    """The one result. An error that the predictor answered is a dead letter, and its answer is kept."""
    status = InvocationStatus.COMPLETED if result.status < 400 else InvocationStatus.FAILED
    return _end(replace(one, result=result), status, now, reason)


def failed(one: Invocation, reason: str, now: float) -> Invocation:
    return _end(one, InvocationStatus.FAILED, now, reason)


def expired(one: Invocation, now: float) -> Invocation:
    waited = one.request.time_to_live_seconds
    because = f"; the last try said: {one.reason}" if one.reason else ""
    return _end(one, InvocationStatus.EXPIRED, now, f"cannot send it within its time to live of {waited:g} s{because}")


def cancelled(one: Invocation, now: float) -> Invocation:
    return _end(one, InvocationStatus.CANCELLED, now, "cancelled by its caller")


def wish_cancelled(one: Invocation, now: float) -> Invocation:
    """What waits ends at once; what is under way ends when its sender has heard. Raises Conflict where it has ended."""
    if one.status is InvocationStatus.CANCELLED:
        return one
    if one.ended:
        raise Conflict(f"cannot cancel invocation {one.id}: it is {one.status.value}", "its result can be read")
    return cancelled(one, now) if one.status is InvocationStatus.IN_QUEUE else replace(one, cancel_requested=True)


def settled(one: Invocation, *, cancel_requested: bool, now: float) -> Invocation:
    """What an attempt led to, given what its caller has come to wish meanwhile: what is to be tried again is not."""
    wanted_no_more = cancel_requested and one.status is InvocationStatus.IN_QUEUE
    return cancelled(one, now) if wanted_no_more else one


def recovered(one: Invocation, now: float) -> Invocation:
    """Its sender died: nobody knows what became of the attempt, so there is another."""
    if one.cancel_requested:
        return cancelled(one, now)
    return replace(one, status=InvocationStatus.IN_QUEUE, reason="its sender ended while it was under way")


def redriven(one: Invocation, now: float) -> Invocation:
    """A dead letter begins anew, with the time to live that it had."""
    if one.status not in DEAD:
        raise Conflict(
            f"cannot drive invocation {one.id} again: it is {one.status.value}", "only failed and expired ones can be"
        )
    return replace(
        one,
        status=InvocationStatus.IN_QUEUE,
        due_at=now,
        expires_at=now + one.request.time_to_live_seconds,
        losses=0,
        ended_at=None,
        cancel_requested=False,
        result=None,
        reason=None,
        delivery=None,
    )


def _end(one: Invocation, status: InvocationStatus, now: float, reason: str | None) -> Invocation:
    # One end, one delivery; the store gives it its id.
    webhook = one.request.webhook is not None
    delivery = WebhookDelivery(id=f"{one.sequence}-{one.attempt}-{status.value}", due_at=now) if webhook else None
    told = reason[:REASON_LENGTH_MAX] if reason else None
    return replace(one, status=status, ended_at=now, reason=told, delivery=delivery, cancel_requested=False)


# Deliveries


def delivery_begun(delivery: WebhookDelivery, now: float) -> WebhookDelivery:
    """The next try begins. Written before anything is sent, with the time of the one after it."""
    pause = DELIVERY_PAUSES_SECONDS[min(delivery.tries, len(DELIVERY_PAUSES_SECONDS) - 1)]
    return replace(delivery, tries=delivery.tries + 1, due_at=now + pause)


def delivery_ended(delivery: WebhookDelivery, error: str | None) -> WebhookDelivery:
    """`error` is None where the receiver took it."""
    if error is None:
        return replace(delivery, state=DeliveryState.DELIVERED, error=None)
    over = delivery.tries > len(DELIVERY_PAUSES_SECONDS)
    return replace(
        delivery,
        state=DeliveryState.FAILED if over else DeliveryState.PENDING,
        error=error[:REASON_LENGTH_MAX],
    )


# How many at once


def pause_seconds(failures: int, least: float, most: float) -> float:
    """How long to wait after so many failures in a row, from 1."""
    return min(most, least * 2.0 ** min(failures - 1, _DOUBLINGS_MAX))


def room(replicas: int, per_replica: int, queue_length_max: int, sent: int) -> int:
    """How many more invocations may be sent to an endpoint, beside those that are under way.

    Where it has no replica, enough to wake it and to give the first one work. Never so many that they would fill the
    gateway's queue, which others use too.
    """
    return max(0, min(max(1, replicas) * per_replica, per_replica + queue_length_max // 2) - sent)


# From documents; the inverses of `dataclasses.asdict`, tolerant of keys that a later version added


def request_from(document: dict[str, Any]) -> InvocationRequest:
    fields = _known(InvocationRequest, document)
    fields["body"] = stored_from(document["body"])
    return InvocationRequest(**fields)


def result_from(document: dict[str, Any]) -> Result:
    fields = _known(Result, document)
    fields["stored"] = stored_from(document["stored"])
    return Result(**fields)


def stored_from(document: dict[str, Any]) -> Stored:
    return Stored(**_known(Stored, document))


def delivery_from(document: dict[str, Any]) -> WebhookDelivery:
    fields = _known(WebhookDelivery, document)
    fields["state"] = DeliveryState(document["state"])
    return WebhookDelivery(**fields)


def _known(kind: Any, document: dict[str, Any]) -> dict[str, Any]:
    return {key: document[key] for key in kind.__dataclass_fields__ if key in document}
