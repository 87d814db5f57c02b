"""Batch transforms in the database."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from modelyard.domain.names import check_name, name_key, not_found
from modelyard.domain.transforms import (
    ENDED,
    Transform,
    TransformSpec,
    TransformStatus,
    end_transform,
    new_transform,
    start_transform,
    stop_transform,
    transform_spec_from,
)
from modelyard.store.database import Database
from modelyard.store.limits import NAMES_COMPARED_MAX
from modelyard.store.tables import transforms


class SqlTransforms:
    """Implements `ports.Transforms`."""

    def __init__(self, queue: Database) -> None:
        self._queue = queue

    def create(self, spec: TransformSpec, now: float) -> Transform:
        key = name_key(check_name(spec.name, "transform name"))
        with self._queue.write() as connection:
            # Transforms are never forgotten, so the number after the last is the smallest that is free.
            last = connection.scalar(select(func.max(transforms.c.number)).where(transforms.c.name_key == key))
            number = (last or 0) + 1
            transform = new_transform(f"{spec.name}-{number}", spec, now)
            connection.execute(
                insert(transforms).values(
                    key=name_key(transform.id),
                    id=transform.id,
                    name_key=key,
                    number=number,
                    project=spec.project,
                    batch_key=name_key(spec.batch) if spec.batch else None,
                    spec=asdict(transform.spec),
                    created_at=now,
                    **_changing(transform),
                )
            )
        return transform

    def get(self, transform: str) -> Transform:
        with self._queue.read() as connection:
            return _get(connection, transform)

    def select(self, project: str | None = None, batch: str | None = None, limit: int = 100) -> list[Transform]:
        wanted = select(transforms).order_by(transforms.c.sequence.desc()).limit(limit)
        if project is not None:
            wanted = wanted.where(transforms.c.project == project)
        if batch is not None:
            wanted = wanted.where(transforms.c.batch_key == name_key(batch))
        with self._queue.read() as connection:
            return [_transform(row) for row in connection.execute(wanted)]

    def unfinished(self) -> list[Transform]:
        going_on = [status.value for status in TransformStatus if status not in ENDED]
        wanted = select(transforms).where(transforms.c.status.in_(going_on)).order_by(transforms.c.sequence)
        return list(
            self._queue.standing(
                "unfinished transforms", lambda connection: [_transform(row) for row in connection.execute(wanted)]
            )
        )

    def start(self, transform: str, now: float) -> Transform:
        return self._change(transform, lambda found: start_transform(found, now))

    def end(
        self,
        transform: str,
        status: TransformStatus,
        now: float,
        reason: str | None = None,
        result: dict[str, Any] | None = None,
    ) -> Transform:
        return self._change(transform, lambda found: end_transform(found, status, now, reason, result or {}))

    def put_waiting(self, reasons: Mapping[str, str | None]) -> None:
        with self._queue.write() as connection:
            for transform, reason in reasons.items():
                going_on = (transforms.c.key == name_key(transform)) & transforms.c.ended_at.is_(None)
                connection.execute(update(transforms).where(going_on).values(waiting=reason))

    def request_stop(self, transform: str) -> Transform:
        return self._change(transform, stop_transform)

    def _change(self, transform: str, change: Callable[[Transform], Transform]) -> Transform:
        with self._queue.write() as connection:
            changed = change(_get(connection, transform))
            where = transforms.c.key == name_key(changed.id)
            connection.execute(update(transforms).where(where).values(**_changing(changed)))
            return changed


def _get(connection: Connection, transform: str) -> Transform:
    row = connection.execute(select(transforms).where(transforms.c.key == name_key(transform))).first()
    if row is None:
        newest = select(transforms.c.id).order_by(transforms.c.sequence.desc()).limit(NAMES_COMPARED_MAX)
        raise not_found("transform", transform, connection.scalars(newest))
    return _transform(row)


def _changing(transform: Transform) -> dict[str, Any]:
    """The columns that a transform's life changes."""
    return {
        "status": transform.status.value,
        "started_at": transform.started_at,
        "ended_at": transform.ended_at,
        "attempt": transform.attempt,
        "failure_reason": transform.failure_reason,
        "stop_requested": transform.stop_requested,
        "result": transform.result,
        "waiting": transform.waiting,
    }


def _transform(row: Row[Any]) -> Transform:
    return Transform(
        id=row.id,
        spec=transform_spec_from(row.spec),
        status=TransformStatus(row.status),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        attempt=row.attempt,
        failure_reason=row.failure_reason,
        stop_requested=row.stop_requested,
        result=row.result,
        waiting=row.waiting,
    )
