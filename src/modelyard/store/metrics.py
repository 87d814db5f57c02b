"""What endpoints did over time, in the database: fine records of late, coarser ones of long ago."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping

from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from modelyard.domain.metrics import (
    RESOLUTIONS,
    Figures,
    MetricRecord,
    condensed,
    figures_document,
    figures_from,
)
from modelyard.domain.names import name_key
from modelyard.store.database import Database
from modelyard.store.limits import CONDENSED_AT_ONCE_MAX, METRIC_RECORDS_MAX
from modelyard.store.ports import Place
from modelyard.store.tables import metric_records, metric_totals

READ_AT_ONCE_MAX = 200
"""Records in memory together, of those that somebody reads one after the other."""


class SqlMetrics:
    """Implements `ports.Metrics`."""

    def __init__(self, history: Database) -> None:
        self._history = history

    def add(
        self,
        records: Iterable[tuple[str, MetricRecord]],
        totals: Mapping[Place, Figures],
        gone: Iterable[str] = (),
    ) -> None:
        rows = [_row(name_key(name), record, RESOLUTIONS[0][0]) for name, record in records]
        with self._history.write() as connection:
            for gateway in gone:
                connection.execute(delete(metric_totals).where(metric_totals.c.gateway == gateway))
            _put_totals(connection, totals)
            if rows:
                connection.execute(insert(metric_records), rows)
                newest = connection.scalar(select(func.max(metric_records.c.number))) or 0
                connection.execute(delete(metric_records).where(metric_records.c.number <= newest - METRIC_RECORDS_MAX))

    def totals(self) -> dict[Place, Figures]:
        with self._history.read() as connection:
            return {
                (row.gateway, row.endpoint_key, row.version): figures_from(row.figures)
                for row in connection.execute(select(metric_totals))
            }

    def select(
        self, name: str, since: float = 0.0, until: float | None = None, version: int | None = None
    ) -> Iterator[MetricRecord]:
        wanted = (
            select(metric_records)
            .where(metric_records.c.endpoint_key == name_key(name), metric_records.c.at > since)
            .order_by(metric_records.c.at, metric_records.c.version)
        )
        if until is not None:
            wanted = wanted.where(metric_records.c.at <= until)
        if version is not None:
            wanted = wanted.where(metric_records.c.version == version)
        with self._history.read() as connection:
            streaming = connection.execution_options(yield_per=READ_AT_ONCE_MAX)
            for row in streaming.execute(wanted):
                yield _record(row)

    def condense(self, now: float) -> int:
        """One short transaction for each endpoint, so that whoever else writes history waits for none of them long."""
        condensed_count = 0
        for (step, kept), (coarser, _) in itertools.pairwise(RESOLUTIONS):
            # Whole steps alone: one that is added up while half of it is still to come would come twice.
            before = math.floor((now - kept) / coarser) * coarser
            for key in self._with_records(step, before):
                condensed_count += self._condense(key, step, coarser, before)
        last, kept = RESOLUTIONS[-1]
        with self._history.write() as connection:
            too_old = (metric_records.c.step == last) & (metric_records.c.at <= now - kept)
            connection.execute(delete(metric_records).where(too_old))
        return condensed_count

    def forget(self, name: str) -> None:
        with self._history.write() as connection:
            for table in (metric_records, metric_totals):
                connection.execute(delete(table).where(table.c.endpoint_key == name_key(name)))

    def _with_records(self, step: int, before: float) -> list[str]:
        old = (metric_records.c.step == step) & (metric_records.c.at <= before)
        with self._history.read() as connection:
            return list(connection.scalars(select(metric_records.c.endpoint_key).where(old).distinct()))

    def _condense(self, key: str, step: int, coarser: int, before: float) -> int:
        old = (metric_records.c.endpoint_key == key) & (metric_records.c.step == step) & (metric_records.c.at <= before)
        with self._history.write() as connection:
            found = connection.execute(
                select(metric_records).where(old).order_by(metric_records.c.at).limit(CONDENSED_AT_ONCE_MAX)
            ).all()
            if not found:
                return 0
            # What is beyond the limit waits for the next time, from the beginning of a step on.
            full = len(found) == CONDENSED_AT_ONCE_MAX
            end = math.floor(found[-1].at / coarser) * coarser if full else before
            taken = [row for row in found if row.at <= end]
            fewer = condensed([_record(row) for row in taken], coarser)
            connection.execute(insert(metric_records), [_row(key, one, coarser) for one in fewer])
            connection.execute(delete(metric_records).where(old & (metric_records.c.at <= end)))
        return len(taken)


def _put_totals(connection: Connection, totals: Mapping[Place, Figures]) -> None:
    rows = [
        {"gateway": gateway, "endpoint_key": key, "version": version, "figures": figures_document(figures)}
        for (gateway, key, version), figures in totals.items()
    ]
    if rows:
        statement = upsert(metric_totals)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["gateway", "endpoint_key", "version"], set_={"figures": statement.excluded.figures}
            ),
            rows,
        )


def _row(key: str, record: MetricRecord, step: int) -> dict[str, object]:
    return {
        "endpoint_key": key,
        "version": record.version,
        "step": step,
        "at": record.at,
        "seconds": record.seconds,
        "figures": figures_document(record.figures),
        "in_flight": record.in_flight,
        "queued": record.queued,
        "replicas": record.replicas,
    }


def _record(row: Row[tuple[object, ...]]) -> MetricRecord:
    figures = figures_from(row.figures)
    return MetricRecord(row.at, row.seconds, row.version, figures, row.in_flight, row.queued, row.replicas)
