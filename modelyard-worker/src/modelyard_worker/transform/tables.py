"""Row groups of Parquet scored, and Parquet written: the parts of a transform that need pyarrow.

A row group is read batch by batch, so that what is in memory does not depend on its size; what came of it is kept as
Arrow streams one after the other, which can be appended to, and becomes Parquet when the object is whole.
"""

import io
import os
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, cast

from modelyard_worker import bodies, media
from modelyard_worker.request import Refusal
from modelyard_worker.transform.plan import INPUT, LINE, MULTI_RECORD, TransformPlan

PREDICTION = "prediction"
ROWS_MAX = 65_536
"""Rows of one request."""

Ask = Callable[[str, str, Sequence[bytes], int], List[bytes]]
"""(content type, accept, bodies, number of the first row) -> the answers' bodies."""


class Group(NamedTuple):
    body: bytes
    records: int
    groups: int
    """How many row groups the file has."""


def score_group(plan: TransformPlan, path: str, number: int, strategy: str, accept: str, ask: Ask) -> Group:
    """One row group; without rows where there is none of that number. Raises what `ask` raises, Refusal, OSError."""
    parquet = bodies.library("pyarrow.parquet", "Parquet")
    try:
        opened = parquet.ParquetFile(path)
    except ValueError as error:
        raise Refusal(400, "invalid_value", f"it is no Parquet: {error}") from error
    with opened as file:
        groups = int(file.metadata.num_row_groups)
        if number >= groups:
            return Group(b"", 0, groups)
        size = _rows_per_request(plan, file.metadata.row_group(number))
        written: List[bytes] = []
        rows = 0
        for batch in file.iter_batches(batch_size=size, row_groups=[number], use_threads=False):
            written.append(_score_batch(plan, batch, strategy, accept, ask, rows))
            rows += len(batch)
    return Group(b"".join(written), rows, groups)


def _rows_per_request(plan: TransformPlan, group: Any) -> int:
    if not group.num_rows or not group.total_byte_size:
        return ROWS_MAX
    limit = int((plan.max_payload_mb or 6) * 2**20)
    return max(1, min(ROWS_MAX, limit * int(group.num_rows) // int(group.total_byte_size)))


def _score_batch(plan: TransformPlan, batch: Any, strategy: str, accept: str, ask: Ask, first: int) -> bytes:
    as_table = accept == media.PARQUET
    if strategy == MULTI_RECORD:
        wanted = media.LINES if as_table else accept
        answers = ask(media.ARROW_STREAM, wanted, [_stream(batch)], first)
        values = bodies.read_lines(answers[0]) if as_table else []
    else:
        sent = [bodies.write_json(row) for row in batch.to_pylist()]
        answers = ask(media.JSON, media.JSON if as_table else accept, sent, first)
        values = [bodies.parse_json(one) for one in answers] if as_table else []
    if as_table:
        return _stream(_answers(plan, batch, values))
    ending = b"\n" if plan.assemble == LINE or accept in (media.CSV, *media.LINES_NAMES) else b""
    return b"".join(one if ending and one.endswith(b"\n") else one + ending for one in answers)


def _answers(plan: TransformPlan, batch: Any, values: List[Any]) -> Any:
    """A table of the answers, one a row; after the input's own columns where they are joined."""
    arrow = bodies.library("pyarrow", "Parquet")
    if len(values) != len(batch):
        raise ValueError(f"the model answered {len(batch)} rows with {len(values)}")
    columns: Dict[str, Any] = {}
    if plan.join == INPUT:
        columns.update(zip(batch.schema.names, batch.columns))
    if values and isinstance(values[0], dict):
        names = [str(name) for name in cast("Dict[str, Any]", values[0])]
        columns.update({name: arrow.array([one.get(name) for one in values]) for name in names})
    elif values and isinstance(values[0], list):
        columns.update({f"{PREDICTION}_{at}": arrow.array(list(one)) for at, one in enumerate(zip(*values))})
    else:
        columns[PREDICTION] = arrow.array(values)
    return arrow.table(columns)


def _stream(table: Any) -> bytes:
    ipc = bodies.library("pyarrow.ipc", "Arrow")
    target = io.BytesIO()
    with ipc.new_stream(target, table.schema) as writer:
        writer.write(table)
    return target.getvalue()


def seal(part: str) -> None:
    """Makes a Parquet file of the streams in `part`, in its place. Doing so twice is harmless."""
    ipc = bodies.library("pyarrow.ipc", "Arrow")
    parquet = bodies.library("pyarrow.parquet", "Parquet")
    aside = f"{part}.parquet"
    with open(part, "rb") as source:
        if source.read(4) == b"PAR1":
            return
        source.seek(0)
        size = os.fstat(source.fileno()).st_size
        writer: Any = None
        while source.tell() < size:
            table = ipc.open_stream(source).read_all()
            writer = writer or parquet.ParquetWriter(aside, table.schema)
            writer.write_table(table.cast(writer.schema))
    if writer is None:
        return
    writer.close()
    with open(aside, "rb+") as written:
        os.fsync(written.fileno())
    os.replace(aside, part)
