"""Arrays by name: how requests for a model that takes more than rows of numbers become what it takes.

read     JSON {"inputs": {"a": [..], "b": [..]}}      a list for each input, its first axis the rows'
         JSON [{"a": .., "b": ..}, ..]                a row each; also under "instances", "inputs" and MLflow's
                                                      "dataframe_records"
         JSON [..] of one input, or one value an input in the model's order; also MLflow's "dataframe_split"
         CSV without a header, where a row is one value an input, or one input's row of values
         NPY of one input
"""

import csv
import math
from typing import Any, Dict, List, Sequence, Tuple, cast

from modelyard_worker import bodies, media
from modelyard_worker.loaders import Input
from modelyard_worker.request import unreadable, unsupported

Inputs = Sequence[Input]
Arrays = Dict[str, Any]

READABLE = f"{media.JSON}, {media.CSV} and {media.NPY}"
_ROWS = ("instances", "inputs", "dataframe_records")
_DEFAULT_TYPE = "float32"


def read_inputs(content_type: str, batch: Sequence[bytes], inputs: Inputs) -> Tuple[Arrays, List[int]]:
    """An array of all bodies for each input, and how many rows each body has.

    Raises Refusal where any body cannot be read, ValueError where bodies cannot be in one batch; which one it was, and
    that each can be answered, shows when each is read by itself.
    """
    import numpy as np

    read = _READERS.get(content_type)
    if read is None:
        raise unsupported(content_type, READABLE)
    each = [read(body, inputs) for body in batch]
    counts = [_count(arrays) for arrays in each]
    if len(each) == 1:
        return each[0], counts
    return {one.name: np.concatenate([arrays[one.name] for arrays in each]) for one in inputs}, counts


def _count(arrays: Arrays) -> int:
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise unreadable(f"cannot read the body: inputs have different numbers of rows ({told})")
    count = next(iter(counts.values()))
    if not count:
        raise unreadable("cannot read the body: it has no row")
    return count


# JSON


def _read_json(body: bytes, inputs: Inputs) -> Arrays:
    document: Any = bodies.read_json(body)
    if isinstance(document, dict):
        named = cast("Dict[str, Any]", document)
        if isinstance(named.get("inputs"), dict):
            return _from_columns(named["inputs"], inputs)
        if isinstance(named.get("dataframe_split"), dict):
            return _from_split(named["dataframe_split"], inputs)
        key = next((one for one in _ROWS if one in named), None)
        if key is None:
            raise unreadable(
                "cannot read the body: an object must have its rows under 'instances', or a list for each input "
                f"under 'inputs': {_names(inputs)}"
            )
        document = named[key]
    if not isinstance(document, list) or not document:
        raise unreadable(f"cannot read the body: it has no list of rows for {_names(inputs)}")
    return _from_rows(cast("List[Any]", document), inputs)


def _from_columns(columns: Dict[str, Any], inputs: Inputs) -> Arrays:
    _check_names(columns, inputs, "the body")
    return {one.name: _array(columns[one.name], one) for one in inputs}


def _from_split(table: Dict[str, Any], inputs: Inputs) -> Arrays:
    names: Any = table.get("columns")
    data: Any = table.get("data")
    if not isinstance(data, list) or not (names is None or isinstance(names, list)):
        raise unreadable("cannot read the body: 'dataframe_split' must have lists 'columns' and 'data'")
    rows = cast("List[Any]", data)
    if names is None:
        return _from_rows(rows, inputs)
    wide = len(cast("List[Any]", names))
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(cast("List[Any]", row)) != wide:
            raise unreadable(f"cannot read row {number}: it is not a list of {wide} values")
    return _from_rows([dict(zip(cast("List[str]", names), row)) for row in rows], inputs)


def _from_rows(rows: List[Any], inputs: Inputs) -> Arrays:
    if not rows:
        raise unreadable("cannot read the body: it has no row")
    if isinstance(rows[0], dict):
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise unreadable(f"cannot read row {number}: it is no object, as row 0 is")
            _check_names(cast("Dict[str, Any]", row), inputs, f"row {number}")
        return {one.name: _array([row[one.name] for row in rows], one) for one in inputs}
    if len(inputs) == 1:
        return {inputs[0].name: _array(rows, inputs[0])}
    if not all(_is_value(one) for one in inputs):
        raise unreadable(f"cannot read the body: name the inputs of a row: {_names(inputs)}")
    if not isinstance(rows[0], list):
        rows = [rows]
    for number, row in enumerate(rows):
        if not isinstance(row, list) or len(cast("List[Any]", row)) != len(inputs):
            raise unreadable(f"cannot read row {number}: it is not a list of {len(inputs)} values ({_names(inputs)})")
    return {one.name: _array([row[place] for row in rows], one) for place, one in enumerate(inputs)}


def _check_names(found: Dict[str, Any], inputs: Inputs, where: str) -> None:
    missing = [one.name for one in inputs if one.name not in found]
    if missing:
        raise unreadable(f"cannot read {where}: input {missing[0]} is missing; the model takes {_names(inputs)}")


def _is_value(one: Input) -> bool:
    """Whether a row has one value of it."""
    return one.shape in ((), (1,))


def _names(inputs: Inputs) -> str:
    return ", ".join(one.name for one in inputs)


# Values


def _array(values: Any, wanted: Input) -> Any:
    """The values as the model takes them. Raises Refusal naming the input where they are no such array."""
    import numpy as np

    if wanted.dtype == "str":
        return _shaped(_texts(np.array(values, dtype=object), wanted), wanted)
    try:
        found = np.asarray(values)
    except ValueError:
        raise unreadable(f"cannot read input {wanted.name}: its rows have different lengths") from None
    if found.dtype == object:
        found = _numbers(found)
    if found.dtype.kind not in "fiub":
        raise unreadable(f"cannot read input {wanted.name}: it is not of numbers")
    return _shaped(_cast(found, wanted.dtype or _DEFAULT_TYPE, wanted), wanted)


def _texts(found: Any, wanted: Input) -> Any:
    """Whole numbers become text as they are written: categories are often numbered."""
    for place, one in enumerate(found.flat):
        if isinstance(one, int) and not isinstance(one, bool):
            found.flat[place] = str(one)
        elif not isinstance(one, str):
            raise unreadable(f"cannot read input {wanted.name}: {bodies.shown(one)} is not a text")
    return found


def _numbers(found: Any) -> Any:
    """null is NaN; anything else that is no number stays what it is."""
    import numpy as np

    if all(one is None or isinstance(one, (int, float)) for one in found.ravel()):
        return np.array([math.nan if one is None else one for one in found.ravel()], np.float64).reshape(found.shape)
    return found


def _cast(found: Any, dtype: str, wanted: Input) -> Any:
    import numpy as np

    if dtype == "bfloat16":
        return found.astype(np.float32)
    target = np.dtype(dtype)
    if target.kind in "iu":
        whole = found.astype(np.float64)
        limits = np.iinfo(target)
        if not (
            np.all(whole == np.floor(whole))
            and whole.min(initial=0) >= limits.min
            and whole.max(initial=0) <= limits.max
        ):
            raise unreadable(f"cannot read input {wanted.name}: it takes whole numbers ({dtype})")
    return found.astype(target, copy=False)


def _shaped(found: Any, wanted: Input) -> Any:
    """With the rows' axis, which one row alone may leave out."""
    shape = wanted.shape
    if shape is None:
        if found.ndim == 0:
            raise unreadable(f"cannot read input {wanted.name}: it is a single value")
        return found.reshape(1, -1) if found.ndim == 1 else found
    if shape == () and found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim == len(shape):
        found = found[None]
    if found.ndim == 2 and shape == (1,) and found.shape[0] == 1 and found.shape[1] != 1:
        # A column given as a plain list.
        found = found.reshape(-1, 1)
    fits = found.ndim == len(shape) + 1 and all(size in (None, there) for size, there in zip(shape, found.shape[1:]))
    if not fits:
        expected = ", ".join("any" if size is None else str(size) for size in shape)
        raise unreadable(
            f"cannot read input {wanted.name}: a row of it has shape ({expected}), "
            f"the body has shape {tuple(found.shape)} with the rows"
        )
    return found


# CSV and NPY


def _read_csv(body: bytes, inputs: Inputs) -> Arrays:
    import numpy as np

    if not all(_is_value(one) for one in inputs):
        only = inputs[0]
        if len(inputs) != 1 or (only.shape is not None and len(only.shape) != 1):
            raise unsupported(media.CSV, f"{media.JSON} and {media.NPY}")
        if only.dtype != "str":
            numbers, count = bodies.read_csv_numbers(body)
            return {only.name: _array(np.frombuffer(numbers, np.float64).reshape(count, -1), only)}
    rows = _csv_texts(body)
    if len(inputs) == 1 and not _is_value(inputs[0]):
        return {inputs[0].name: _array(rows, inputs[0])}
    for number, row in enumerate(rows):
        if len(row) != len(inputs):
            raise unreadable(f"cannot read row {number}: it has {len(row)} values instead of {len(inputs)}")
    return {
        one.name: _array([_cell(row[place], one, number) for number, row in enumerate(rows)], one)
        for place, one in enumerate(inputs)
    }


def _csv_texts(body: bytes) -> List[List[str]]:
    try:
        return list(csv.reader(bodies.csv_lines(body), strict=True))
    except csv.Error as error:
        raise unreadable(f"cannot read the body as CSV: {error}") from error


def _cell(text: str, wanted: Input, number: int) -> Any:
    if wanted.dtype == "str":
        return text
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        raise unreadable(
            f"cannot read row {number}, column {wanted.name}: {bodies.shown(text)} is not a number "
            "(rows have no header)"
        ) from None


def _read_npy(body: bytes, inputs: Inputs) -> Arrays:
    if len(inputs) != 1:
        raise unreadable(f"cannot read one array as the inputs {_names(inputs)}: send them by name, as JSON")
    only = inputs[0]
    found = bodies.read_npy(body)
    if found.dtype.kind not in "fiub":
        raise unreadable(f"cannot read an array of type {found.dtype} as numbers")
    if not only.dtype and found.dtype.kind in "iub":
        return {only.name: _shaped(found, only)}
    return {only.name: _array(found, only)}


def _read_tensors(body: Any, inputs: Inputs) -> Arrays:
    """`body` is a `tensors.Tensors`. The only input takes the only tensor, whatever that is called."""
    if len(inputs) == 1 and len(body) == 1:
        return {inputs[0].name: _tensor(body[0], inputs[0])}
    named = {one.name: one for one in body}
    _check_names(named, inputs, "the body")
    return {one.name: _tensor(named[one.name], one) for one in inputs}


def _tensor(tensor: Any, wanted: Input) -> Any:
    array = tensor.array()
    if wanted.dtype == "str" or array.dtype.kind in "fiub":
        return _array(array, wanted)
    raise unreadable(f"cannot read input {wanted.name}: {tensor.datatype} are no numbers")


_READERS = {
    media.JSON: _read_json,
    # Without a type, or with the one that curl gives to -d, JSON is what people mean.
    "": _read_json,
    media.FORM: _read_json,
    media.CSV: _read_csv,
    media.NPY: _read_npy,
    media.TENSORS: _read_tensors,
}
