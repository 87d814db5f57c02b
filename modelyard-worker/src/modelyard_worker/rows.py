"""Rows of numbers: how requests for a bare model become one array, and its one answer becomes theirs.

The bodies of a batch are read each by itself - joined text could let one caller's brackets reach into another's - but
become one array and one call of the model. A request's answer is the same bytes, whatever else was in the batch.

    read     JSON [[..], [..]], [..] (one row), {"instances": [..]}, {"inputs": [..]}; null is NaN
             CSV without a header; an empty cell is NaN
             JSON Lines: a row a line, as a list or an object with "features"
             NPY of one or two dimensions, NPZ with one such array; Parquet and Arrow with columns of numbers
    written  JSON: a list with one value a row; JSON Lines and CSV: one value a line; NPY
"""

import math
from array import array
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, cast

from modelyard_worker import bodies, columns, csv_numbers, media
from modelyard_worker.request import Refusal, unacceptable, unreadable, unsupported

READABLE_TYPES = (media.JSON, media.CSV, media.NPY, media.NPZ, media.LINES, media.PARQUET, media.ARROW_STREAM)
READABLE = f"{', '.join(READABLE_TYPES[:-1])} and {READABLE_TYPES[-1]}"
WRITABLE = (media.JSON, media.CSV, media.NPY, *media.LINES_NAMES)


def read_rows(content_type: str, batch: Sequence[bytes], width: Optional[int]) -> Tuple[Any, List[int]]:
    """One float64 array (rows, values) of all bodies, and how many rows each has.

    `width` is how many values the model takes; None takes the first row's. Raises Refusal where any body cannot be
    read; which one it was shows when each is read by itself.
    """
    read = _READERS.get(content_type)
    if read is None:
        raise unsupported(content_type, READABLE)
    return read(batch, width)


def _read_json(batch: Sequence[bytes], width: Optional[int]) -> Tuple[Any, List[int]]:
    parse = bodies.parse_json
    flat: List[Any] = []
    counts: List[int] = []
    try:
        for body in batch:
            rows: Any = parse(body)
            if not (rows.__class__ is list and rows and rows[0].__class__ is list):
                rows = _rows_in(rows)
            if width is None:
                width = len(rows[0]) or 1
            for row in rows:
                if row.__class__ is not list or len(row) != width:
                    raise _misshapen(rows, width)
                flat += row
            counts.append(len(rows))
    except (ValueError, RecursionError) as error:
        raise unreadable(f"cannot read the body as JSON: {error}") from error
    return _numbers(flat, cast("int", width)), counts


def _numbers(flat: List[Any], width: int) -> Any:
    """Values row after row as an array (rows, width). Raises Refusal naming what is no number."""
    import numpy as np

    try:
        numbers = array("d", flat)
    except (TypeError, OverflowError):
        numbers = array("d", [_number(value, place, width) for place, value in enumerate(flat)])
    return np.frombuffer(numbers, np.float64).reshape(-1, width)


def _rows_in(value: Any) -> List[List[Any]]:
    """The rows of a document that is not plainly a list of lists."""
    if isinstance(value, dict):
        document = cast("Dict[str, Any]", value)
        key = next((one for one in ("instances", "inputs") if one in document), None)
        if key is None:
            raise unreadable("cannot read the body: an object must have its rows under 'instances' or 'inputs'")
        value = document[key]
    if not isinstance(value, list):
        raise unreadable(f"cannot read the body: rows are a list of lists of numbers, not {_named(value)}")
    rows = cast("List[Any]", value)
    if not rows or rows == [[]]:
        raise unreadable("cannot read the body: it has no row")
    return rows if isinstance(rows[0], list) else [rows]


def _misshapen(rows: List[Any], width: int) -> Refusal:
    for number, row in enumerate(rows):
        if not isinstance(row, list):
            return unreadable(f"cannot read row {number}: {_named(row)} is not a list of numbers")
        length = len(cast("List[Any]", row))
        if length != width:
            return unreadable(f"cannot read row {number}: it has {length} values instead of {width}")
    return unreadable("cannot read the body: it has no row of numbers")


def _number(value: Any, place: int, width: int) -> float:
    if value is None:
        return math.nan
    if isinstance(value, (int, float)):
        try:
            return float(value)
        except OverflowError:
            pass
    raise unreadable(f"cannot read row {place // width}, column {place % width}: {_named(value)} is not a number")


def _named(value: Any) -> str:
    words = {dict: "an object", list: "a list", type(None): "null"}
    return words.get(cast("Any", type(value)), bodies.shown(value))


def _read_csv(batch: Sequence[bytes], width: Optional[int]) -> Tuple[Any, List[int]]:
    import numpy as np

    if len(batch) == 1 and len(batch[0]) >= csv_numbers.FAST_BYTES_MIN:
        table = csv_numbers.read(batch[0], width)
        if table is not None:
            return table, [len(table)]
    numbers, count = bodies.read_csv_numbers(batch[0], width)
    width = len(numbers) // count
    counts = [count]
    for body in batch[1:]:
        more, count = bodies.read_csv_numbers(body, width)
        numbers.extend(more)
        counts.append(count)
    return np.frombuffer(numbers, np.float64).reshape(-1, width), counts


def _read_npy(batch: Sequence[bytes], width: Optional[int]) -> Tuple[Any, List[int]]:
    return _joined([bodies.read_npy(body) for body in batch], width)


def _read_npz(batch: Sequence[bytes], width: Optional[int]) -> Tuple[Any, List[int]]:
    found = [bodies.read_npz(body) for body in batch]
    for arrays in found:
        if len(arrays) != 1:
            raise unreadable(f"cannot read the body as rows: it has {len(arrays)} arrays instead of one")
    return _joined([next(iter(arrays.values())) for arrays in found], width)


def _read_tensors(batch: Sequence[Any], width: Optional[int]) -> Tuple[Any, List[int]]:
    return _joined([tensors.rows() for tensors in batch], width)


def _read_columns(kind: str) -> "Reader":
    return lambda batch, width: _joined([columns.as_array(columns.read_columns(kind, one)) for one in batch], width)


def _read_lines(batch: Sequence[bytes], width: Optional[int]) -> Tuple[Any, List[int]]:
    found = [_rows_of_lines(body) for body in batch]
    flat: List[Any] = []
    counts: List[int] = []
    for rows in found:
        if width is None and rows and rows[0].__class__ is list:
            width = len(rows[0]) or 1
        for row in rows:
            if row.__class__ is not list or len(row) != width:
                raise _misshapen(rows, width or 1)
            flat += row
        counts.append(len(rows))
    return _numbers(flat, cast("int", width)), counts


def _rows_of_lines(body: bytes) -> List[Any]:
    return [
        cast("Dict[str, Any]", row).get("features") if isinstance(row, dict) else row for row in bodies.read_lines(body)
    ]


def _joined(found_arrays: Sequence[Any], width: Optional[int]) -> Tuple[Any, List[int]]:
    import numpy as np

    arrays: List[Any] = []
    for one in found_arrays:
        found = one.reshape(1, -1) if one.ndim == 1 else one
        if found.ndim != 2 or not len(found) or found.dtype.kind not in "fiub":
            raise unreadable(f"cannot read an array of shape {found.shape} and type {found.dtype} as rows of numbers")
        width = found.shape[1] if width is None else width
        if found.shape[1] != width:
            raise unreadable(f"cannot read row 0: it has {found.shape[1]} values instead of {width}")
        arrays.append(found.astype(np.float64, copy=False))
    counts = [len(one) for one in arrays]
    return (arrays[0] if len(arrays) == 1 else np.concatenate(arrays)), counts


Reader = Callable[[Sequence[bytes], Optional[int]], Tuple[Any, List[int]]]

_READERS: Dict[str, Reader] = {
    media.JSON: _read_json,
    # Without a type, or with the one that curl gives to -d, JSON is what people mean.
    "": _read_json,
    media.FORM: _read_json,
    media.CSV: _read_csv,
    media.NPY: _read_npy,
    media.NPZ: _read_npz,
    media.LINES: _read_lines,
    media.TENSORS: _read_tensors,
    **{kind: _read_columns(kind) for kind in columns.KINDS},
}


def choose_written(accept: str) -> str:
    """The content type to answer with. Raises Refusal where the caller accepts none of them."""
    if accept is media.AS_IS:
        return media.AS_IS
    kind = media.choose(accept, WRITABLE)
    if kind is None:
        raise unacceptable(accept, ", ".join(WRITABLE))
    return kind


def write_rows(content_type: str, predicted: Any, counts: List[int]) -> List[Any]:
    """The answer of each request, cut out of the model's one answer: an array with a value, or a row of them, a row."""
    if content_type is media.AS_IS:
        return [predicted[begin:end] for begin, end in _spans(counts)]
    if content_type == media.NPY:
        return [bodies.write_npy(predicted[begin:end]) for begin, end in _spans(counts)]
    values: List[Any] = predicted.tolist()
    if content_type == media.CSV:
        return [bodies.write_csv(values[begin:end]) for begin, end in _spans(counts)]
    if content_type in media.LINES_NAMES:
        return [bodies.write_lines(values[begin:end]) for begin, end in _spans(counts)]
    write = bodies.write_plain_json
    if len(values) == len(counts):
        return [write([value]) for value in values]
    return [write(values[begin:end]) for begin, end in _spans(counts)]


def _spans(counts: List[int]) -> List[Tuple[int, int]]:
    spans: List[Tuple[int, int]] = []
    begin = 0
    for count in counts:
        spans.append((begin, begin + count))
        begin += count
    return spans
