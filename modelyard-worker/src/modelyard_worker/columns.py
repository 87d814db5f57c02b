"""Columns with names, as Parquet and Arrow hold them; pyarrow reads them where the environment has it."""

import io
from typing import Any

from modelyard_worker import bodies, media
from modelyard_worker.request import unreadable

KINDS = (media.PARQUET, media.ARROW_STREAM, media.ARROW_FILE)


def read_columns(content_type: str, body: bytes) -> Any:
    """A pyarrow Table. Raises Refusal where the body is none, or pyarrow is not there (415)."""
    named = "Parquet" if content_type == media.PARQUET else "Arrow"
    arrow = bodies.library("pyarrow", named)
    try:
        if content_type == media.PARQUET:
            return bodies.library("pyarrow.parquet", named).read_table(io.BytesIO(body))
        ipc = bodies.library("pyarrow.ipc", named)
        opened = ipc.open_file if content_type == media.ARROW_FILE else ipc.open_stream
        with opened(io.BytesIO(body)) as reader:
            return reader.read_all()
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise unreadable(f"cannot read the body as {named}: {error}") from error


def as_frame(table: Any) -> Any:
    """A pandas DataFrame. Raises Refusal where pandas is not there (415)."""
    bodies.library("pandas", "a table")
    return table.to_pandas()


def as_array(table: Any) -> Any:
    """An array (rows, columns). Raises Refusal where the columns are not numbers."""
    np = bodies.library("numpy", "a table")
    arrays = [np.asarray(column.to_numpy()) for column in table.columns]
    for name, array in zip(table.column_names, arrays):
        if array.dtype.kind not in "fiub":
            raise unreadable(f"cannot read the body as an array: column {name!r} is not numbers")
    if not arrays:
        raise unreadable("cannot read the body as an array: it has no column")
    return np.column_stack(arrays)


def as_records(table: Any) -> Any:
    """A list with a dict for each row."""
    return table.to_pylist()
