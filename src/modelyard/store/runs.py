"""Training runs in the database."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from modelyard.domain.names import check_name, name_key, not_found
from modelyard.domain.runs import (
    ENDED,
    Run,
    RunSpec,
    RunStatus,
    RunStep,
    move_run,
    new_run,
    run_spec_from,
    stop_run,
)
from modelyard.store.database import Database
from modelyard.store.limits import NAMES_COMPARED_MAX
from modelyard.store.tables import runs


class SqlRuns:
    """Implements `ports.Runs`."""

    def __init__(self, queue: Database) -> None:
        self._queue = queue

    def create(self, spec: RunSpec, now: float) -> Run:
        training_key = name_key(check_name(spec.training, "training name"))
        with self._queue.write() as connection:
            # Runs are never forgotten, so the number after the last is the smallest that is free.
            last = connection.scalar(select(func.max(runs.c.number)).where(runs.c.training_key == training_key))
            number = (last or 0) + 1
            run = new_run(f"{spec.training}-{number}", spec, now)
            connection.execute(
                insert(runs).values(
                    key=name_key(run.id),
                    id=run.id,
                    training_key=training_key,
                    number=number,
                    project=spec.project,
                    spec=asdict(spec),
                    created_at=now,
                    **_changing(run),
                )
            )
        return run

    def get(self, run: str) -> Run:
        with self._queue.read() as connection:
            return _get(connection, run)

    def select(self, project: str | None = None, training: str | None = None, limit: int = 100) -> list[Run]:
        wanted = select(runs).order_by(runs.c.sequence.desc()).limit(limit)
        if project is not None:
            wanted = wanted.where(runs.c.project == project)
        if training is not None:
            wanted = wanted.where(runs.c.training_key == name_key(training))
        with self._queue.read() as connection:
            return [_run(row) for row in connection.execute(wanted)]

    def count(self) -> int:
        with self._queue.read() as connection:
            return connection.scalar(select(func.count()).select_from(runs)) or 0

    def unfinished(self) -> list[Run]:
        going_on = [status.value for status in RunStatus if status not in ENDED]
        wanted = select(runs).where(runs.c.status.in_(going_on)).order_by(runs.c.sequence)
        return list(
            self._queue.standing(
                "unfinished runs", lambda connection: [_run(row) for row in connection.execute(wanted)]
            )
        )

    def move(
        self,
        run: str,
        status: RunStatus,
        step: RunStep,
        now: float,
        *,
        exit_code: int | None = None,
        failure_reason: str | None = None,
        metrics: Mapping[str, float] | None = None,
        model_version: int | None = None,
    ) -> Run:
        with self._queue.write() as connection:
            moved = move_run(
                _get(connection, run),
                status,
                step,
                now,
                exit_code=exit_code,
                failure_reason=failure_reason,
                metrics=metrics,
                model_version=model_version,
            )
            return _put(connection, moved)

    def put_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        with self._queue.write() as connection:
            found = _get(connection, run)
            _put(connection, replace(found, metrics={**found.metrics, **metrics}))

    def put_waiting(self, reasons: Mapping[str, str | None]) -> None:
        going_on = (runs.c.key == bindparam("run")) & runs.c.ended_at.is_(None)
        change = update(runs).where(going_on).values(waiting=bindparam("reason"))
        with self._queue.write() as connection:
            connection.execute(change, [{"run": name_key(run), "reason": reason} for run, reason in reasons.items()])

    def request_stop(self, run: str, now: float) -> Run:
        with self._queue.write() as connection:
            return _put(connection, stop_run(_get(connection, run), now))


def _get(connection: Connection, run: str) -> Run:
    row = connection.execute(select(runs).where(runs.c.key == name_key(run))).first()
    if row is None:
        newest = select(runs.c.id).order_by(runs.c.sequence.desc()).limit(NAMES_COMPARED_MAX)
        raise not_found("run", run, connection.scalars(newest))
    return _run(row)


def _put(connection: Connection, run: Run) -> Run:
    connection.execute(update(runs).where(runs.c.key == name_key(run.id)).values(**_changing(run)))
    return run


def _changing(run: Run) -> dict[str, Any]:
    """The columns that a run's life changes."""
    return {
        "status": run.status.value,
        "step": run.step.value,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "steps": [list(one) for one in run.steps],
        "exit_code": run.exit_code,
        "failure_reason": run.failure_reason,
        "stop_requested": run.stop_requested,
        "metrics": run.metrics,
        "model_version": run.model_version,
        "attempt": run.attempt,
        "waiting": run.waiting,
    }


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        spec=run_spec_from(row.spec),
        status=RunStatus(row.status),
        step=RunStep(row.step),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        steps=tuple((step, at) for step, at in row.steps),
        exit_code=row.exit_code,
        failure_reason=row.failure_reason,
        stop_requested=row.stop_requested,
        metrics=row.metrics,
        model_version=row.model_version,
        attempt=row.attempt,
        waiting=row.waiting,
    )
