"""Bodies as bytes and as values: JSON, JSON Lines, CSV, NPY and NPZ.

orjson is used when it is found; both ways give the same values.
"""

import csv
import dataclasses
import enum
import io
import json
import math
import uuid
import zipfile
import zlib
from array import array
from importlib import import_module
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, cast

from modelyard_worker.limits import room_bytes
from modelyard_worker.request import Refusal, unreadable

_orjson: Optional[Any]
try:
    import orjson as _orjson
except ImportError:
    _orjson = None

SHOWN_LENGTH_MAX = 40
"""Characters of an unreadable value that a message repeats."""


def shown(value: Any) -> str:
    """A value as a message shows it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "..."


# JSON


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _loads_plain(body: bytes) -> Any:
    return json.loads(body, parse_constant=_refuse_constant)


_loads: Callable[[bytes], Any] = _orjson.loads if _orjson is not None else _loads_plain

LONG_BYTES = 2**20
"""From here on it is looked whether there is memory for it, where that is bounded."""

ORJSON_TIMES = 16
"""How many times a body orjson asks for at once, whatever it uses of it. Where it is not given that, it calls the body
no JSON, or ends the process; Python's own parser raises MemoryError where there is truly not enough."""


def parse_json(body: bytes) -> Any:
    """Raises ValueError (or RecursionError) where the body is not JSON, MemoryError where there is no room for it."""
    if len(body) < LONG_BYTES:
        return _loads(body)
    room = room_bytes()
    return _loads(body) if room is None or room >= ORJSON_TIMES * len(body) else _loads_plain(body)


def read_json(body: bytes) -> Any:
    """Raises Refusal where the body is not JSON."""
    try:
        return parse_json(body)
    except (ValueError, RecursionError) as error:
        raise unreadable(f"cannot read the body as JSON: {error}" if body else "cannot read an empty body") from error
    except MemoryError as error:
        text = f"there is not enough memory to read a body of {len(body) / 2**20:.0f} MiB as JSON"
        raise MemoryError(text) from error


def read_lines(body: bytes) -> List[Any]:
    """JSON Lines: one value a line, empty lines left out. Raises Refusal naming the line that is not JSON."""
    found: List[Any] = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(parse_json(line))
        except (ValueError, RecursionError) as error:
            raise unreadable(f"cannot read line {number} of the body as JSON: {error}") from error
    if not found:
        raise unreadable("cannot read an empty body")
    return found


def write_lines(values: Iterable[Any]) -> bytes:
    """Raises TypeError or ValueError where JSON has nothing for a value."""
    return b"".join(write_json(value) + b"\n" for value in values)


_PLAIN: Tuple[Tuple[str, Callable[[Any], Any]], ...] = (
    ("model_dump", lambda value: value.model_dump(mode="json")),
    # pydantic 1: only its own encoder knows the types of its fields.
    ("__fields_set__", lambda value: json.loads(value.json())),
    ("tolist", lambda value: value.tolist()),
    ("to_dict", lambda value: value.to_dict(orient="records")),
    ("isoformat", lambda value: value.isoformat()),
    ("__dataclass_fields__", dataclasses.asdict),
)
"""What a class has that JSON does not know, and what becomes of its values: models, arrays, tables, times, records."""

_PLAIN_TYPES: Tuple[Tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda value: value.value),
    ((set, frozenset), list),
    (uuid.UUID, str),
)


def _plain(value: Any) -> Any:
    """What JSON has for a value that it does not know. Raises TypeError where it has nothing."""
    kind = value.__class__
    for name, convert in _PLAIN:
        if hasattr(kind, name):
            return convert(value)
    for known, convert in _PLAIN_TYPES:
        if isinstance(value, known):
            return convert(value)
    raise TypeError(f"cannot write a value of type {kind.__name__} as JSON")


def _without_nan(value: Any) -> Any:
    """NaN and infinities become null, as orjson writes them: JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in cast("Any", value).items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(one) for one in cast("Any", value)]
    if value is None or isinstance(value, (str, int)):
        return value
    return _without_nan(_plain(value))


def _dumps_plain(value: Any) -> bytes:
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        text = json.dumps(_without_nan(value), separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _dumps_fast(value: Any) -> bytes:
    fast = cast("Any", _orjson)
    try:
        return fast.dumps(value, _plain, fast.OPT_NON_STR_KEYS)
    except TypeError:
        # Integers over 64 bits, keys of other types: what the slower way can write is written.
        return _dumps_plain(value)


write_json: Callable[[Any], bytes] = _dumps_fast if _orjson is not None else _dumps_plain
"""Any value that a predictor may answer as JSON. Raises TypeError or ValueError where JSON has nothing for it."""

write_plain_json: Callable[[Any], bytes] = _orjson.dumps if _orjson is not None else _dumps_plain
"""The same for values of JSON's own types alone: the quickest."""


# CSV


def csv_lines(body: bytes) -> List[str]:
    """The lines of a CSV body. Raises Refusal where it is empty or not UTF-8."""
    lines = [line.rstrip("\r") for line in read_text(body).split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise unreadable("cannot read an empty body")
    return lines


def read_text(body: bytes) -> str:
    """Raises Refusal where the body is not UTF-8."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(f"cannot read the body as UTF-8: {error.reason} at byte {error.start}") from error


def read_csv_numbers(body: bytes, width: Optional[int] = None) -> Tuple["array[float]", int]:
    """Rows of numbers without a header, as (all values row after row, number of rows). An empty cell is NaN.

    `width` is how many values a row must have; None takes the first row's. Raises Refusal naming row and column.
    """
    lines = csv_lines(body)
    if width is None:
        width = lines[0].count(",") + 1
    commas = width - 1
    for number, line in enumerate(lines):
        if line.count(",") != commas:
            raise unreadable(f"cannot read row {number}: it has {line.count(',') + 1} values instead of {width}")
    cells = ",".join(lines).split(",")
    try:
        return array("d", map(float, cells)), len(lines)
    except ValueError:
        return array("d", [_csv_number(cell, place, width) for place, cell in enumerate(cells)]), len(lines)


def _csv_number(cell: str, place: int, width: int) -> float:
    text = cell.strip().strip('"')
    if not text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise unreadable(
            f"cannot read row {place // width}, column {place % width}: {shown(cell)} is not a number "
            "(rows have no header)"
        ) from None


def read_csv_rows(body: bytes) -> List[List[Any]]:
    """Rows as lists: numbers where a cell is one, text where not. Raises Refusal where it is not CSV."""
    try:
        rows = list(csv.reader(io.StringIO("\n".join(csv_lines(body))), strict=True))
    except csv.Error as error:
        raise unreadable(f"cannot read the body as CSV: {error}") from error
    return [[_number_or_text(cell) for cell in row] for row in rows]


def _number_or_text(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell


def write_csv(rows: List[Any]) -> bytes:
    """One row a line: a list's values with commas between, or a single value. Text is quoted where it must be."""
    if rows and not isinstance(rows[0], (list, tuple, str)):
        return "\n".join(map(_cell, rows)).encode()
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    for row in rows:
        writer.writerow([_cell(one) for one in cast("Any", row)] if isinstance(row, (list, tuple)) else [row])
    return target.getvalue()[:-1].encode()


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


# NPY


def read_npy(body: bytes) -> Any:
    """An array from NumPy's own format; never one with objects in it.

    Raises Refusal where it is not one, or NumPy is not there.
    """
    np = library("numpy", "NPY")
    try:
        found = np.load(io.BytesIO(body), allow_pickle=False)
    except _NPY_ERRORS as error:
        raise unreadable(f"cannot read the body as NPY: {error}") from error
    if not isinstance(found, np.ndarray):
        raise unreadable("cannot read the body as NPY: it is NPZ, an archive of arrays")
    return found


def read_npz(body: bytes) -> Dict[str, Any]:
    """The arrays of NumPy's archive by their names. Raises Refusal as `read_npy`, and beyond NPZ_BYTES_MAX."""
    np = library("numpy", "NPZ")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > NPZ_BYTES_MAX:
            raise unreadable(f"cannot read the body as NPZ: it unpacks to {size} bytes, the limit is {NPZ_BYTES_MAX}")
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (*_NPY_ERRORS, zipfile.BadZipFile, zlib.error) as error:
        raise unreadable(f"cannot read the body as NPZ: {error}") from error


NPZ_BYTES_MAX = 1024 * 2**20
"""What an archive may unpack to: a few bytes of a ZIP file can stand for very many."""

_NPY_ERRORS = (ValueError, OSError, EOFError, MemoryError, SyntaxError, TypeError, OverflowError)


def library(name: str, what: str) -> Any:
    """A library that reads a kind of body. Raises Refusal (415) naming it where the environment has it not."""
    try:
        return import_module(name)
    except ImportError:
        installed = name.partition(".")[0]
        remedy = "add it to the requirements"
        message = f"cannot read a body of {what}: {installed} is not in this endpoint's environment; {remedy}"
        raise Refusal(415, "invalid_value", message) from None


def write_npy(value: Any) -> bytes:
    """Raises ValueError where the value is not an array of plain numbers or texts."""
    import numpy as np

    target = io.BytesIO()
    np.save(target, np.asarray(value), allow_pickle=False)
    return target.getvalue()
