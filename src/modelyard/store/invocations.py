"""Queued invocations in the database: `queue.db`, where a commit survives a power cut."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, or_, select, update

from modelyard.domain.invocations import (
    DEAD,
    ENDED,
    DeliveryState,
    Invocation,
    InvocationStatus,
    WebhookDelivery,
    check_same,
    delivery_from,
    expired,
    recovered,
    redriven,
    request_from,
    result_from,
    settled,
    taken,
    wish_cancelled,
)
from modelyard.domain.names import name_key, not_found
from modelyard.errors import Conflict
from modelyard.store.database import Database
from modelyard.store.limits import NAMES_COMPARED_MAX
from modelyard.store.ports import Accepted, Agenda, End
from modelyard.store.tables import invocation_contents as contents
from modelyard.store.tables import invocations

BODY = "body"
RESULT = "result"

AT_ONCE_MAX = 500
"""Rows that one transaction of the dispatcher touches."""


class SqlInvocations:
    """Implements `ports.Invocations`."""

    def __init__(self, queue: Database) -> None:
        self._queue = queue

    # -- accepting ---------------------------------------------------------------------------------------------------

    def accept(self, wanted: Sequence[tuple[Invocation, bytes | None]]) -> list[Accepted | Conflict]:
        with self._queue.write() as connection:
            return [_accept(connection, one, body) for one, body in wanted]

    # -- reading -----------------------------------------------------------------------------------------------------

    def get(self, endpoint: str, inference_id: str) -> Invocation:
        with self._queue.read() as connection:
            return _get(connection, endpoint, inference_id)

    def content(self, sequence: int, *, result: bool) -> bytes:
        wanted = select(contents.c.content).where(
            contents.c.sequence == sequence, contents.c.part == (RESULT if result else BODY)
        )
        with self._queue.read() as connection:
            return connection.scalar(wanted) or b""

    def bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        mine = and_(contents.c.sequence.in_(sequences), contents.c.part == BODY)
        with self._queue.read() as connection:
            rows = connection.execute(select(contents.c.sequence, contents.c.content).where(mine))
            return {row.sequence: row.content for row in rows}

    def select(
        self, endpoint: str | None = None, status: InvocationStatus | None = None, limit: int = 100
    ) -> list[Invocation]:
        wanted = select(invocations).order_by(invocations.c.sequence.desc()).limit(limit)
        if endpoint is not None:
            wanted = wanted.where(invocations.c.endpoint_key == name_key(endpoint))
        if status is not None:
            wanted = wanted.where(invocations.c.status == status.value)
        with self._queue.read() as connection:
            return [_invocation(row) for row in connection.execute(wanted)]

    def counts(self, endpoint: str) -> dict[InvocationStatus, int]:
        wanted = (
            select(invocations.c.status, func.count())
            .where(invocations.c.endpoint_key == name_key(endpoint))
            .group_by(invocations.c.status)
        )
        with self._queue.read() as connection:
            return {InvocationStatus(status): count for status, count in connection.execute(wanted)}

    def agenda(self, now: float) -> Agenda:
        queued = invocations.c.status == InvocationStatus.IN_QUEUE.value
        due = select(invocations.c.endpoint_key, func.count()).where(queued).group_by(invocations.c.endpoint_key)
        later = select(func.min(invocations.c.due_at)).where(queued, invocations.c.due_at > now)
        expiry = select(func.min(invocations.c.expires_at)).where(queued)
        delivery = select(func.min(invocations.c.delivery_due_at))
        stopping = select(invocations).where(
            invocations.c.status == InvocationStatus.IN_PROGRESS.value, invocations.c.cancel_requested
        )
        with self._queue.read() as connection:
            moments = [connection.scalar(one) for one in (later, expiry, delivery)]
            return Agenda(
                {str(key): int(count) for key, count in connection.execute(due)},
                min((one for one in moments if one is not None), default=None),
                tuple(_invocation(row) for row in connection.execute(stopping.limit(AT_ONCE_MAX))),
            )

    # -- sending -----------------------------------------------------------------------------------------------------

    def take(self, endpoint: str, limit: int, now: float) -> list[Invocation]:
        wanted = (
            select(invocations)
            .where(
                invocations.c.status == InvocationStatus.IN_QUEUE.value,
                invocations.c.endpoint_key == name_key(endpoint),
                invocations.c.due_at <= now,
                invocations.c.expires_at > now,
            )
            .order_by(invocations.c.sequence)
            .limit(min(limit, AT_ONCE_MAX))
        )
        return self._change(wanted, lambda one: taken(one, now))

    def finish(self, ends: Sequence[End], now: float) -> list[bool]:
        sequences = [one.invocation.sequence for one in ends]
        under_way = and_(
            invocations.c.sequence.in_(sequences), invocations.c.status == InvocationStatus.IN_PROGRESS.value
        )
        wanted = select(invocations.c.sequence, invocations.c.attempt, invocations.c.cancel_requested).where(under_way)
        with self._queue.write() as connection:
            found = {(row.sequence, row.attempt): row.cancel_requested for row in connection.execute(wanted)}
            written: list[End] = []
            told: list[bool] = []
            for end in ends:
                # Taken out, so that of two ends of one attempt only the first counts.
                wish = found.pop((end.invocation.sequence, end.attempt), None)
                told.append(wish is not None)
                if wish is not None:
                    written.append(replace(end, invocation=settled(end.invocation, cancel_requested=wish, now=now)))
            _put_all(connection, [one.invocation for one in written])
            results = [
                {"sequence": one.invocation.sequence, "part": RESULT, "content": one.result}
                for one in written
                if one.result is not None
            ]
            if results:
                connection.execute(insert(contents), results)
        return told

    def recover(self, now: float) -> list[Invocation]:
        wanted = select(invocations).where(invocations.c.status == InvocationStatus.IN_PROGRESS.value)
        return self._change(wanted, lambda one: recovered(one, now))

    def expire(self, now: float) -> list[Invocation]:
        queued = invocations.c.status == InvocationStatus.IN_QUEUE.value
        wanted = select(invocations).where(queued, invocations.c.expires_at <= now).limit(AT_ONCE_MAX)
        return self._change(wanted, lambda one: expired(one, now))

    # -- what callers and people wish --------------------------------------------------------------------------------

    def cancel(self, endpoint: str, inference_id: str, now: float) -> Invocation:
        with self._queue.write() as connection:
            return _put(connection, wish_cancelled(_get(connection, endpoint, inference_id), now))

    def redrive(self, endpoint: str, ids: Sequence[str] | None, now: float) -> tuple[list[Invocation], list[str]]:
        with self._queue.write() as connection:
            if ids is None:
                dead = [one.value for one in DEAD]
                mine = and_(invocations.c.endpoint_key == name_key(endpoint), invocations.c.status.in_(dead))
                found = [_invocation(row) for row in connection.execute(select(invocations).where(mine))]
            else:
                found = [_get(connection, endpoint, one) for one in ids]
            anew = [redriven(one, now) for one in found]
            for one in anew:
                _put(connection, one)
                mine = and_(contents.c.sequence == one.sequence, contents.c.part == RESULT)
                connection.execute(delete(contents).where(mine))
        return anew, [file for one in found if one.result is not None and (file := one.result.stored.file)]

    # -- webhooks ----------------------------------------------------------------------------------------------------

    def deliveries(self, now: float, limit: int) -> list[Invocation]:
        wanted = select(invocations).where(invocations.c.delivery_due_at <= now)
        with self._queue.read() as connection:
            rows = connection.execute(wanted.order_by(invocations.c.delivery_due_at).limit(limit))
            return [_invocation(row) for row in rows]

    def put_delivery(self, sequence: int, delivery: WebhookDelivery) -> None:
        changed = update(invocations).where(invocations.c.sequence == sequence, invocations.c.delivery.is_not(None))
        with self._queue.write() as connection:
            connection.execute(changed.values(**_delivery_columns(delivery)))

    # -- forgetting --------------------------------------------------------------------------------------------------

    def forget_ended(self, before: float, limit: int = AT_ONCE_MAX) -> list[Invocation]:
        ended = [one.value for one in ENDED]
        old = and_(invocations.c.status.in_(ended), invocations.c.ended_at < before)
        settled = or_(invocations.c.delivery_due_at.is_(None), invocations.c.delivery_due_at < before)
        wanted = select(invocations).where(old, settled).limit(limit)
        with self._queue.write() as connection:
            found = [_invocation(row) for row in connection.execute(wanted)]
            numbers = [one.sequence for one in found]
            connection.execute(delete(contents).where(contents.c.sequence.in_(numbers)))
            connection.execute(delete(invocations).where(invocations.c.sequence.in_(numbers)))
        return found

    def files(self) -> set[str]:
        with self._queue.read() as connection:
            rows = connection.execute(select(invocations.c.request, invocations.c.result))
            return {file for row in rows for file in _files(row) if file}

    def _change(self, wanted: Any, change: Callable[[Invocation], Invocation]) -> list[Invocation]:
        with self._queue.write() as connection:
            changed = [change(_invocation(row)) for row in connection.execute(wanted)]
            _put_all(connection, changed)
        return changed


def _accept(connection: Connection, asked: Invocation, body: bytes | None) -> Accepted | Conflict:
    mine = and_(invocations.c.endpoint_key == name_key(asked.endpoint), invocations.c.id == asked.id)
    row = connection.execute(select(invocations).where(mine)).first()
    if row is not None:
        there = _invocation(row)
        try:
            check_same(there, asked)
        except Conflict as conflict:
            return conflict
        return Accepted(there, is_new=False)
    made = connection.execute(
        insert(invocations).values(
            endpoint_key=name_key(asked.endpoint),
            endpoint=asked.endpoint,
            id=asked.id,
            request=asdict(asked.request),
            **_changing(asked),
        )
    )
    primary_key = made.inserted_primary_key
    assert primary_key is not None
    sequence = int(primary_key[0])
    if body is not None:
        connection.execute(insert(contents).values(sequence=sequence, part=BODY, content=body))
    return Accepted(replace(asked, sequence=sequence), is_new=True)


def _get(connection: Connection, endpoint: str, inference_id: str) -> Invocation:
    mine = invocations.c.endpoint_key == name_key(endpoint)
    row = connection.execute(select(invocations).where(mine, invocations.c.id == inference_id)).first()
    if row is None:
        newest = select(invocations.c.id).where(mine).order_by(invocations.c.sequence.desc())
        raise not_found(
            f"an invocation of {endpoint} called", inference_id, connection.scalars(newest.limit(NAMES_COMPARED_MAX))
        )
    return _invocation(row)


def _put(connection: Connection, one: Invocation) -> Invocation:
    _put_all(connection, [one])
    return one


def _put_all(connection: Connection, changed: Sequence[Invocation]) -> None:
    """With one statement, whose execution the driver repeats."""
    if changed:
        mine = invocations.c.sequence == bindparam("of")
        columns: dict[str, Any] = {name: bindparam(name) for name in _changing(changed[0])}
        rows = [{"of": one.sequence, **_changing(one)} for one in changed]
        connection.execute(update(invocations).where(mine).values(**columns), rows)


def _changing(one: Invocation) -> dict[str, Any]:
    """The columns that an invocation's life changes."""
    return {
        "status": one.status.value,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
        "due_at": one.due_at,
        "attempt": one.attempt,
        "losses": one.losses,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "cancel_requested": one.cancel_requested,
        "result": asdict(one.result) if one.result is not None else None,
        "reason": one.reason,
        **_delivery_columns(one.delivery),
    }


def _delivery_columns(delivery: WebhookDelivery | None) -> dict[str, Any]:
    if delivery is None:
        return {"delivery": None, "delivery_due_at": None}
    due_at = delivery.due_at if delivery.state is DeliveryState.PENDING else None
    return {"delivery": asdict(delivery), "delivery_due_at": due_at}


def _files(row: Any) -> tuple[str | None, str | None]:
    return row.request["body"]["file"], row.result["stored"]["file"] if row.result else None


def _invocation(row: Row[Any]) -> Invocation:
    result, delivery = row.result, row.delivery
    return Invocation(
        endpoint=row.endpoint,
        id=row.id,
        request=request_from(row.request),
        created_at=row.created_at,
        expires_at=row.expires_at,
        status=InvocationStatus(row.status),
        due_at=row.due_at,
        attempt=row.attempt,
        losses=row.losses,
        started_at=row.started_at,
        ended_at=row.ended_at,
        cancel_requested=row.cancel_requested,
        result=result_from(result) if result else None,
        reason=row.reason,
        delivery=delivery_from(delivery) if delivery else None,
        sequence=row.sequence,
    )
