"""Training data from a channel: CSV (label first, or none; no header) and libsvm.

Every fault is named by file, line and column.

Reading is by numpy's own parser. Only when that refuses a file, or a value cannot be, is the file read again slowly to
find where.
"""

import csv
import io
import math
import os
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from modelyard_worker.algorithms.refusal import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]

CSV = "text/csv"
LIBSVM = "text/libsvm"

_EMPTY_CELL = re.compile(rb"(?<=,)(?=[,\r\n]|\Z)")
_SHOWN_LENGTH_MAX = 40
_FLOAT32_BOUND = 3.4028235677973366e38
"""The smallest number that a 32-bit float rounds to infinity."""


class Table(NamedTuple):
    """Rows of one channel."""

    features: Any
    """float32 matrix (rows, columns), dense or scipy CSR; missing values are NaN, or absent where sparse."""
    labels: "Numbers"
    """float32 (rows,); of no length where rows have none."""
    weights: "Optional[Numbers]"
    """float32 (rows,), or None where none were given."""
    groups: "Optional[NDArray[np.int64]]"
    """Query id of each row, for ranking; or None."""


class Format(NamedTuple):
    kind: str
    weights: bool
    """Whether a CSV's second column holds the weight of each row."""
    labels: bool = True
    """Whether a CSV's first column holds the label of each row."""


def read_format(content_type: Optional[str], weights: bool = False, label_sizes: Tuple[str, ...] = ("1",)) -> Format:
    """Reads `text/csv;label_size=1;weights=1` or `text/libsvm`; None is CSV. Raises BadInput for anything else.

    `label_sizes` are what the algorithm can do with; the first is the default."""
    words = [word.strip() for word in (content_type or CSV).lower().split(";")]
    kind = {"csv": CSV, "libsvm": LIBSVM, "text/x-libsvm": LIBSVM}.get(words[0], words[0])
    if kind not in (CSV, LIBSVM):
        raise BadInput(f"cannot read data of type {words[0]!r}: use {CSV} or {LIBSVM}")
    options = {word.partition("=")[0].strip(): word.partition("=")[2].strip() for word in words[1:]}
    label_size = options.get("label_size", label_sizes[0])
    if label_size not in label_sizes:
        raise BadInput(f"cannot read data of type {content_type!r}: label_size must be {' or '.join(label_sizes)}")
    weights = weights or options.get("weights") == "1"
    if weights and label_size == "0":
        raise BadInput(f"cannot read data of type {content_type!r}: rows have weights only where they have labels")
    return Format(kind, weights, label_size == "1")


def read_channel(folder: str, form: Format) -> Table:
    """Reads every file of a channel as one table, by file name. Raises BadInput."""
    paths = _files(folder)
    if form.kind == LIBSVM:
        return _read_libsvm(paths)
    return _read_csv(paths, form)


def _files(folder: str) -> List[str]:
    found: List[str] = []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        found += [os.path.join(parent, name) for name in sorted(names) if not name.startswith((".", "_"))]
    if not found:
        raise BadInput(f"cannot train: channel {os.path.basename(folder)} has no file")
    return found


def _read_csv(paths: List[str], form: Format) -> Table:
    import numpy as np

    parts = [_read_csv_file(path, form) for path in paths]
    for path, part in zip(paths, parts):
        if part.shape[1] != parts[0].shape[1]:
            first = os.path.basename(paths[0])
            raise BadInput(
                f"cannot read {os.path.basename(path)}: it has {part.shape[1]} columns where {first} has "
                f"{parts[0].shape[1]}"
            )
    rows = np.concatenate(parts) if len(parts) > 1 else parts[0]
    if not form.labels:
        return Table(rows, rows[:0, 0], None, None)
    first_feature = 2 if form.weights else 1
    return Table(rows[:, first_feature:], rows[:, 0], rows[:, 1] if form.weights else None, None)


def _read_csv_file(path: str, form: Format) -> "Numbers":
    import numpy as np

    with open(path, "rb") as file:
        content = file.read()
    if not content.strip():
        raise BadInput(f"cannot read {os.path.basename(path)}: it is empty")
    # An empty cell is a missing value, which numpy's parser knows only by the name of nan.
    filled = _EMPTY_CELL.sub(b"nan", content) if _EMPTY_CELL.search(content) else content
    try:
        rows = np.loadtxt(io.BytesIO(filled), delimiter=",", dtype=np.float32, ndmin=2, comments=None, quotechar='"')
    except ValueError as error:
        _find_fault(path, content, form.labels)
        raise BadInput(f"cannot read {os.path.basename(path)}: {error}") from error
    if rows.shape[1] < 1 + form.labels + form.weights:
        what = "a label, a weight and at least one feature" if form.weights else "a label and at least one feature"
        raise BadInput(f"cannot read {os.path.basename(path)}: it has {rows.shape[1]} columns; {what} are needed")
    if (form.labels and not np.isfinite(rows[:, 0]).all()) or np.isinf(rows).any():
        _find_fault(path, content, form.labels)
    if form.weights:
        _check_weights(path, content, rows[:, 1])
    return rows


def _check_weights(path: str, content: bytes, weights: "Numbers") -> None:
    import numpy as np

    bad = np.flatnonzero(~(weights >= 0))
    if bad.size:
        number = _rows(content)[int(bad[0])][0]
        raise BadInput(f"cannot read {os.path.basename(path)}: line {number}, column 2 is no weight (0 or more)")


def _rows(content: bytes) -> List[Tuple[int, List[str]]]:
    """(line number, cells) of each row that is not blank."""
    reader = csv.reader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    return [(reader.line_num, cells) for cells in reader if cells]


def _find_fault(path: str, content: bytes, labelled: bool) -> None:
    """Raises BadInput for the first thing in a CSV file that cannot be; returns where it finds none."""
    name = os.path.basename(path)
    rows = _rows(content)
    _refuse_header(name, rows)
    width = len(rows[0][1])
    for number, cells in rows:
        if len(cells) != width:
            raise BadInput(f"cannot read {name}: line {number} has {len(cells)} columns where line 1 has {width}")
        for column, cell in enumerate(cells, 1):
            fault = _fault_of(cell, label=labelled and column == 1)
            if fault:
                raise BadInput(f"cannot read {name}: line {number}, column {column}: {fault}")


def _refuse_header(name: str, rows: List[Tuple[int, List[str]]]) -> None:
    """Words in every cell of the first line, or in any where the second line is all numbers, are a header."""
    number, first = rows[0]
    texts = [cell for cell in first if cell.strip() and _number(cell) is None]
    rest_is_numbers = len(rows) > 1 and all(not cell.strip() or _number(cell) is not None for cell in rows[1][1])
    if texts and (len(texts) == len(first) or rest_is_numbers):
        raise BadInput(f"cannot read {name}: line {number} has text ({_shown(texts[0])}); remove the header")


def _fault_of(cell: str, label: bool) -> Optional[str]:
    text = cell.strip()
    if not text:
        return "the label is missing; it must come first" if label else None
    value = _number(text)
    if value is None:
        return f"{_shown(text)} is not a number"
    if math.isnan(value) and label:
        return "the label is NaN"
    return f"{_shown(text)} is infinite, or too large for a 32-bit float" if _is_infinite(value) else None


def _is_infinite(value: float) -> bool:
    return abs(value) >= _FLOAT32_BOUND


def _number(text: str) -> Optional[float]:
    if "_" in text:  # Python reads 1_000, no data format does
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_LENGTH_MAX else text[:_SHOWN_LENGTH_MAX] + "...")


class _SparseRows:
    """Rows of libsvm files on their way to a CSR matrix."""

    def __init__(self) -> None:
        self.labels: List[float] = []
        self.weights: List[float] = []
        self.groups: List[int] = []
        self.values: List[float] = []
        self.columns: List[int] = []
        self.starts: List[int] = [0]

    def add(self, line: str) -> None:
        """Raises ValueError with what is wrong."""
        words = line.split()
        label, _, weight = words[0].partition(":")
        self.labels.append(_needed(_finite, label, "the label"))
        self.weights.append(_needed(_finite, weight, "the weight") if weight else 1.0)
        for word in words[1:]:
            index, colon, value = word.partition(":")
            if not colon:
                raise ValueError(f"{_shown(word)} is not INDEX:VALUE")
            if index == "qid":
                self.groups.append(_needed(int, value, "the query id"))
                continue
            column = _needed(int, index, "the index")
            if column < 0:
                raise ValueError(f"index {column} is negative")
            self.columns.append(column)
            self.values.append(_needed(float, value, f"the value of index {column}"))
        self.starts.append(len(self.values))


def _needed(read: Callable[[str], Any], text: str, what: str) -> Any:
    try:
        return read(text)
    except ValueError:
        raise ValueError(f"{what} {_shown(text)} is not a number") from None


def _finite(text: str) -> float:
    value = float(text)
    if math.isnan(value) or _is_infinite(value):
        raise ValueError(text)
    return value


def _read_libsvm(paths: List[str]) -> Table:
    import numpy as np
    from scipy.sparse import csr_matrix  # xgboost depends on it

    rows = _SparseRows()
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                content = line.partition("#")[0].strip()
                if not content:
                    continue
                try:
                    rows.add(content)
                except ValueError as error:
                    raise BadInput(f"cannot read {os.path.basename(path)}: line {number}: {error}") from None
    if not rows.labels:
        raise BadInput(f"cannot read {os.path.basename(paths[0])}: it is empty")
    if rows.groups and len(rows.groups) != len(rows.labels):
        raise BadInput(f"cannot read {os.path.basename(paths[0])}: some rows have a qid and some have none")
    features: Any = csr_matrix(
        (np.asarray(rows.values, np.float32), np.asarray(rows.columns, np.int64), np.asarray(rows.starts, np.int64))
    )
    weighted = any(weight != 1.0 for weight in rows.weights)
    return Table(
        features,
        np.asarray(rows.labels, np.float32),
        np.asarray(rows.weights, np.float32) if weighted else None,
        np.asarray(rows.groups, np.int64) if rows.groups else None,
    )


def read_content_types(config: Dict[str, Any]) -> Dict[str, Optional[str]]:
    """Channel -> content type, from inputdataconfig.json."""
    return {channel: entry.get("ContentType") for channel, entry in config.items()}
