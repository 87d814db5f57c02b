"""Rows of numbers out of a large CSV body, by the quickest reader that is in memory: polars, pyarrow, else NumPy.

Each gives the same bits as the plain reader, `bodies.read_csv_numbers`, or nothing: whatever they are not sure of - a
row of another length, a cell that is no plain number - is left to that one, which words the refusal. A library is used
only where it is imported already; `prepare` imports what there is, for processes that read millions of rows.
"""

import contextlib
import importlib
import os
import sys
import warnings
from typing import Any, Optional

FAST_BYTES_MIN = 16 * 1024
"""A shorter body is read sooner by the plain reader than the others are set up."""

_LIBRARIES = ("polars", "pyarrow.csv")
_COMMA, _FEED = 44, 10


def prepare() -> Optional[str]:
    """Imports the quickest library that is installed, with one thread: the name of what will read."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
            return name.partition(".")[0]
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy")
        return "numpy"
    return None


def read(body: bytes, width: Optional[int]) -> Any:
    """A float64 array (rows, values), an empty cell being NaN; None where the plain reader has to look at it."""
    import numpy as np

    if not body.endswith(b"\n"):
        body += b"\n"
    # What NumPy would read and Python would not, what needs rows put together, and marks of an encoding.
    if b"(" in body or b'"' in body or b"\r" in body or body.startswith(b"\xef\xbb\xbf"):
        return None
    if width is None:
        width = body.count(b",", 0, body.index(b"\n")) + 1
    places = np.frombuffer(body, np.uint8)
    separators = places[(places == _COMMA) | (places == _FEED)]
    if len(separators) % width:
        return None
    by_row = separators.reshape(-1, width)
    if not ((by_row[:, -1] == _FEED).all() and (by_row[:, :-1] == _COMMA).all()):
        return None
    found = _read_by_library(body, width)
    return found if found is not None and found.shape == by_row.shape else None


def _read_by_library(body: bytes, width: int) -> Any:
    if "polars" in sys.modules:
        return _read_by_polars(body, width)
    if "pyarrow.csv" in sys.modules:
        return _read_by_pyarrow(body, width)
    return _read_by_numpy(body, width)


def _read_by_polars(body: bytes, width: int) -> Any:
    library: Any = sys.modules["polars"]
    schema = {f"f{place}": library.Float64 for place in range(width)}
    try:
        table = library.read_csv(body, has_header=False, schema=schema, quote_char=None)
    except Exception:  # noqa: BLE001 (its errors and arguments differ by version; the plain reader says what is wrong)
        return None
    return table.to_numpy()


def _read_by_pyarrow(body: bytes, width: int) -> Any:
    import numpy as np

    library: Any = sys.modules["pyarrow"]
    reader: Any = sys.modules["pyarrow.csv"]
    types = {f"f{place}": library.float64() for place in range(width)}
    try:
        table = reader.read_csv(
            library.py_buffer(body),
            read_options=reader.ReadOptions(
                use_threads=False, autogenerate_column_names=True, block_size=len(body) + 1
            ),
            parse_options=reader.ParseOptions(ignore_empty_lines=False, quote_char=False),
            convert_options=reader.ConvertOptions(column_types=types, null_values=[""]),
        )
    except Exception:  # noqa: BLE001 (as above)
        return None
    return np.column_stack([column.to_numpy() for column in table.columns])


def _read_by_numpy(body: bytes, width: int) -> Any:
    import numpy as np

    with warnings.catch_warnings():
        # It warns where it stopped at something that is no number.
        warnings.simplefilter("error", DeprecationWarning)
        try:
            found = np.fromstring(body[:-1].replace(b"\n", b",").decode("ascii"), np.float64, sep=",")
        except (DeprecationWarning, ValueError):
            return None
    return found.reshape(-1, width) if len(found) % width == 0 else None
