"""Tunings in the database."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from modelyard.domain.names import check_name, name_key, not_found
from modelyard.domain.tunings import (
    ENDED,
    Tuning,
    TuningSpec,
    TuningStatus,
    end_tuning,
    stop_tuning,
    tuning_spec_from,
)
from modelyard.store.database import Database
from modelyard.store.limits import NAMES_COMPARED_MAX
from modelyard.store.tables import tunings


class SqlTunings:
    """Implements `ports.Tunings`."""

    def __init__(self, queue: Database) -> None:
        self._queue = queue

    def create(self, spec: TuningSpec, now: float) -> Tuning:
        key = name_key(check_name(spec.name, "tuning name"))
        with self._queue.write() as connection:
            last = connection.scalar(select(func.max(tunings.c.number)).where(tunings.c.name_key == key))
            number = (last or 0) + 1
            tuning = Tuning(f"{spec.name}-{number}", spec, TuningStatus.IN_PROGRESS, now)
            connection.execute(
                insert(tunings).values(
                    key=name_key(tuning.id),
                    id=tuning.id,
                    name_key=key,
                    number=number,
                    project=spec.project,
                    spec=asdict(spec),
                    created_at=now,
                    **_changing(tuning),
                )
            )
        return tuning

    def get(self, tuning: str) -> Tuning:
        with self._queue.read() as connection:
            return _get(connection, tuning)

    def select(self, name: str | None = None, limit: int = 100) -> list[Tuning]:
        wanted = select(tunings).order_by(tunings.c.sequence.desc()).limit(limit)
        if name is not None:
            wanted = wanted.where(tunings.c.name_key == name_key(name))
        with self._queue.read() as connection:
            return [_tuning(row) for row in connection.execute(wanted)]

    def unfinished(self) -> list[Tuning]:
        going_on = [status.value for status in TuningStatus if status not in ENDED]
        wanted = select(tunings).where(tunings.c.status.in_(going_on)).order_by(tunings.c.sequence)
        return list(
            self._queue.standing(
                "unfinished tunings", lambda connection: [_tuning(row) for row in connection.execute(wanted)]
            )
        )

    def request_stop(self, tuning: str) -> Tuning:
        with self._queue.write() as connection:
            return _put(connection, stop_tuning(_get(connection, tuning)))

    def end(
        self,
        tuning: str,
        status: TuningStatus,
        now: float,
        *,
        reason: str | None = None,
        best_run: str | None = None,
        model_version: int | None = None,
    ) -> Tuning:
        with self._queue.write() as connection:
            ended = end_tuning(_get(connection, tuning), status, now, reason, best_run, model_version)
            return _put(connection, ended)


def _get(connection: Connection, tuning: str) -> Tuning:
    row = connection.execute(select(tunings).where(tunings.c.key == name_key(tuning))).first()
    if row is None:
        newest = select(tunings.c.id).order_by(tunings.c.sequence.desc()).limit(NAMES_COMPARED_MAX)
        raise not_found("tuning", tuning, connection.scalars(newest))
    return _tuning(row)


def _put(connection: Connection, tuning: Tuning) -> Tuning:
    connection.execute(update(tunings).where(tunings.c.key == name_key(tuning.id)).values(**_changing(tuning)))
    return tuning


def _changing(tuning: Tuning) -> dict[str, Any]:
    """The columns that a tuning's life changes."""
    return {
        "status": tuning.status.value,
        "ended_at": tuning.ended_at,
        "stop_requested": tuning.stop_requested,
        "reason": tuning.reason,
        "best_run": tuning.best_run,
        "model_version": tuning.model_version,
    }


def _tuning(row: Row[Any]) -> Tuning:
    return Tuning(
        id=row.id,
        spec=tuning_spec_from(row.spec),
        status=TuningStatus(row.status),
        created_at=row.created_at,
        ended_at=row.ended_at,
        stop_requested=row.stop_requested,
        reason=row.reason,
        best_run=row.best_run,
        model_version=row.model_version,
    )
