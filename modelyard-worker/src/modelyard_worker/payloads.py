"""How a body becomes the payload that a predictor's type hint asks for.

none, Any      by content type: JSON and JSON Lines parsed, NPY an array, NPZ arrays by name, text and CSV text, a form
               its fields and files, Parquet and Arrow a table, else bytes
dict           a JSON object, a form, NPZ
list           a JSON list, JSON Lines; CSV, Parquet and Arrow as rows
str, bytes     the body; a string that was sent as JSON without its quotes; the one file of a form
np.ndarray     NPY, NPZ of one array, CSV, Parquet, Arrow, or JSON rows (also under "instances" or "inputs")
pd.DataFrame   JSON records or columns (also under "instances" or "inputs"), JSON Lines, CSV with a header, NPY,
               Parquet, Arrow
PIL.Image      an image's bytes, or the one file of a form
pydantic       JSON or a form, validated; version 1 and 2; also inside of list, dict and the like
"""

import io
import sys
import typing
from types import ModuleType
from typing import Any, Callable, Dict, List, Optional, Tuple, Union, cast
from urllib.parse import parse_qsl

from modelyard_worker import bodies, columns, images, media, multipart
from modelyard_worker.json_arrays import read_numbers
from modelyard_worker.request import Refusal, unreadable, unsupported

Reader = Callable[[str, bytes], Any]
"""(content type, body) -> payload. Raises Refusal."""

PROBLEMS_MAX = 3
"""Problems of one body that a message lists."""


def reader_for(hint: Any) -> Reader:
    """The reader that a type hint asks for. Hints that say nothing about bodies read by content type."""
    origin: Any = typing.get_origin(hint) or hint
    if _is_union(origin):
        chosen = [one for one in typing.get_args(hint) if one is not type(None)]
        return reader_for(chosen[0]) if len(chosen) == 1 else _validating_reader(hint) or read_by_type
    if isinstance(origin, ModuleType) and origin.__name__ == "PIL.Image":
        return _read_image
    if not isinstance(origin, type):
        return read_by_type
    plain = _READERS.get((origin.__module__.partition(".")[0], origin.__name__))
    return _validating_reader(hint) or plain or read_by_type


def is_table(hint: Any) -> bool:
    """Whether a type hint asks for rows: an array or a data frame."""
    origin: Any = typing.get_origin(hint) or hint
    if _is_union(origin):
        return any(is_table(one) for one in typing.get_args(hint))
    return isinstance(origin, type) and (origin.__module__.partition(".")[0], origin.__name__) in _TABLES


_TABLES = (("numpy", "ndarray"), ("pandas", "DataFrame"))


def _is_union(origin: Any) -> bool:
    return origin is Union or getattr(origin, "__name__", "") == "UnionType"


def read_by_type(content_type: str, body: bytes) -> Any:
    """What a body is by its content type alone."""
    if content_type == media.TENSORS:
        return cast("Any", body).by_name()
    if _is_form(content_type, body):
        return _read_form(content_type, body)
    if media.is_json(content_type):
        return bodies.read_json(body)
    read = _BY_TYPE.get(content_type)
    if read is not None:
        return read(body)
    if content_type in columns.KINDS:
        table = columns.read_columns(content_type, body)
        return table if "pandas" not in sys.modules else columns.as_frame(table)
    return bodies.read_text(body) if content_type.startswith("text/") else body


_BY_TYPE: Dict[str, Callable[[bytes], Any]] = {
    media.NPY: bodies.read_npy,
    media.NPZ: bodies.read_npz,
    media.LINES: bodies.read_lines,
}


def _is_form(content_type: str, body: bytes) -> bool:
    """Whether it is a form; `curl -d` calls JSON one."""
    return content_type == media.MULTIPART or (content_type == media.FORM and body.lstrip()[:1] not in (b"{", b"["))


def _read_form(content_type: str, body: bytes) -> Dict[str, Any]:
    if content_type == media.MULTIPART:
        return multipart.read_form(body)
    return dict(parse_qsl(bodies.read_text(body), keep_blank_values=True))


def _read_json(content_type: str, body: bytes) -> Any:
    if not media.is_json(content_type):
        raise unsupported(content_type, media.JSON)
    return bodies.read_json(body)


def _read_dict(content_type: str, body: bytes) -> Any:
    if content_type == media.TENSORS:
        return cast("Any", body).by_name()
    if _is_form(content_type, body):
        return _read_form(content_type, body)
    found = bodies.read_npz(body) if content_type == media.NPZ else _read_json(content_type, body)
    if not isinstance(found, dict):
        raise unreadable(f"cannot read the body: a JSON object is expected, not {bodies.shown(found)}")
    return cast("Any", found)


def _read_list(content_type: str, body: bytes) -> Any:
    if content_type == media.TENSORS:
        return cast("Any", body).only().values()
    if content_type == media.CSV:
        return bodies.read_csv_rows(body)
    if content_type == media.LINES:
        return bodies.read_lines(body)
    if content_type in columns.KINDS:
        return columns.as_records(columns.read_columns(content_type, body))
    found = _read_json(content_type, body)
    if not isinstance(found, list):
        raise unreadable(f"cannot read the body: a JSON list is expected, not {bodies.shown(found)}")
    return cast("Any", found)


def _read_str(content_type: str, body: bytes) -> str:
    if content_type == media.TENSORS:
        return bodies.read_text(_only_element(body))
    text = bodies.read_text(body)
    if content_type == media.JSON and text.lstrip().startswith('"'):
        return str(bodies.read_json(body))
    return text


def _read_bytes(content_type: str, body: bytes) -> bytes:
    if content_type == media.TENSORS:
        return _only_element(body)
    return _only_file(body) if content_type == media.MULTIPART else body


def _only_element(body: Any) -> Any:
    """The one element of the one tensor, as bytes where it is a text."""
    found = body.only().one()
    return found.encode() if isinstance(found, str) else found


def _only_file(body: bytes) -> bytes:
    files = [one for one in multipart.read_form(body).values() if isinstance(one, multipart.UploadedFile)]
    if len(files) != 1:
        raise unreadable(f"cannot read the form: one file is expected in it, not {len(files)}")
    return files[0].read()


def _read_image(content_type: str, body: bytes) -> Any:
    if content_type == media.MULTIPART:
        body = _only_file(body)
    elif content_type == media.TENSORS:
        body = _only_element(body)
    elif content_type not in ("", media.FORM, media.BYTES) and not content_type.startswith("image/"):
        raise unsupported(content_type, "an image")
    return images.read_image(body)


def _rows(found: Any) -> Any:
    """The rows of a JSON document: itself, or what stands under `instances` or `inputs`."""
    if isinstance(found, dict):
        document = cast("Dict[str, Any]", found)
        return next((document[key] for key in ("instances", "inputs") if key in document), document)
    return found


def read_array(content_type: str, body: bytes) -> Any:
    """An array from any kind of body that can be one. Raises Refusal."""
    read = _ARRAYS.get(content_type)
    if read is not None:
        return read(body)
    if content_type in columns.KINDS:
        return columns.as_array(columns.read_columns(content_type, body))
    return _read_json_array(content_type, body)


def _read_csv_array(body: bytes) -> Any:
    import numpy as np

    numbers, count = bodies.read_csv_numbers(body)
    return np.frombuffer(numbers, np.float64).reshape(count, -1)


_ARRAYS: Dict[str, Callable[[Any], Any]] = {
    media.NPY: bodies.read_npy,
    media.TENSORS: lambda tensors: tensors.only().array(),
    media.CSV: _read_csv_array,
    media.NPZ: lambda body: _only_array(bodies.read_npz(body)),
    media.LINES: lambda body: _array_of(bodies.read_lines(body)),
}


def _read_json_array(content_type: str, body: bytes) -> Any:
    numbers = read_numbers(body) if media.is_json(content_type) else None
    if numbers is not None:
        return numbers
    rows = _rows(_read_json(content_type, body))
    if not isinstance(rows, list):
        raise unreadable(f"cannot read the body: a JSON list of numbers is expected, not {bodies.shown(rows)}")
    return _array_of(cast("List[Any]", rows))


def _only_array(arrays: Dict[str, Any]) -> Any:
    if len(arrays) != 1:
        raise unreadable(f"cannot read the body as one array: it has {len(arrays)}: {', '.join(arrays)}")
    return next(iter(arrays.values()))


def _array_of(rows: List[Any]) -> Any:
    import numpy as np

    try:
        found = np.array(rows)
    except ValueError as error:
        raise unreadable("cannot read the body as an array: its rows are not of one length") from error
    if found.dtype == object:
        raise unreadable("cannot read the body as an array: its values are not of one kind")
    return found


def _read_frame(content_type: str, body: bytes) -> Any:
    import pandas as pd  # pyright: ignore[reportMissingImports] (the user's environment has it where a hint names it)

    frames = cast("Any", pd)
    try:
        if content_type == media.CSV:
            return frames.read_csv(io.BytesIO(body))
        if content_type == media.TENSORS:
            return _frame_of(frames, cast("Any", body))
        if content_type == media.NPY:
            return frames.DataFrame(bodies.read_npy(body))
        if content_type in columns.KINDS:
            return columns.as_frame(columns.read_columns(content_type, body))
        if content_type == media.LINES:
            return frames.DataFrame(bodies.read_lines(body))
        return frames.DataFrame(_rows(_read_json(content_type, body)))
    except (ValueError, TypeError) as error:
        raise unreadable(f"cannot read the body as a table: {error}") from error


def _frame_of(frames: Any, tensors: Any) -> Any:
    """A column for each tensor; the only tensor of two axes is all of them."""
    if len(tensors) == 1 and len(tensors[0].shape) == 2 and tensors[0].shape[1] != 1:
        return frames.DataFrame(tensors[0].array())
    return frames.DataFrame({one.name: one.array().reshape(one.shape[0] if one.shape else 1) for one in tensors})


# Models


def _validating_reader(hint: Any) -> Optional[Reader]:
    """The reader of a pydantic model of either version, or of something with one inside; None for any other hint."""
    validate, parse = _validators(hint)
    if validate is None or parse is None:
        return None
    name = hint.__name__ if isinstance(hint, type) else str(hint)

    def read(content_type: str, body: bytes) -> Any:
        try:
            if content_type == media.TENSORS:
                return validate(cast("Any", body).by_name())
            if _is_form(content_type, body):
                return validate(_read_form(content_type, body))
            if content_type == media.LINES:
                return validate(bodies.read_lines(body))
            if not media.is_json(content_type):
                raise unsupported(content_type, media.JSON)
            return parse(body)
        except ValueError as error:  # the root of pydantic's errors in both versions
            raise _invalid(name, error) from error

    return read


_Validator = Optional[Callable[[Any], Any]]


def _validators(hint: Any) -> Tuple[_Validator, _Validator]:
    """What validates a value, and what validates JSON."""
    if hasattr(hint, "model_validate_json"):
        return hint.model_validate, hint.model_validate_json
    if hasattr(hint, "__fields__") and hasattr(hint, "parse_raw"):
        return hint.parse_obj, hint.parse_raw
    pydantic: Any = sys.modules.get("pydantic")
    if pydantic is None or not _has_model(hint):
        return None, None
    if hasattr(pydantic, "TypeAdapter"):
        adapter = pydantic.TypeAdapter(hint)
        return adapter.validate_python, adapter.validate_json
    return (
        lambda value: pydantic.parse_obj_as(hint, value),
        lambda body: pydantic.parse_obj_as(hint, bodies.read_json(body)),
    )


def _has_model(hint: Any) -> bool:
    return hasattr(hint, "__pydantic_validator__") or any(
        hasattr(one, "model_validate_json") or hasattr(one, "parse_raw") or _has_model(one)
        for one in typing.get_args(hint)
    )


def _invalid(name: str, error: Any) -> Refusal:
    if not callable(getattr(error, "errors", None)):
        return unreadable(f"cannot read the body as {name}: {error}")
    problems: List[Any] = list(error.errors())
    listed = [f"{_path_of(one['loc'])}: {one['msg']}" for one in problems[:PROBLEMS_MAX]]
    if len(problems) > PROBLEMS_MAX:
        listed.append(f"and {len(problems) - PROBLEMS_MAX} more")
    return unreadable(f"cannot read the body as {name}: {'; '.join(listed)}")


def _path_of(location: Tuple[Any, ...]) -> str:
    # Version 1 puts a root of its own before the path into what is no model itself.
    return ".".join(str(one) for one in location if one != "__root__") or "body"


_READERS: Dict[Tuple[str, str], Reader] = {
    ("builtins", "dict"): _read_dict,
    ("builtins", "list"): _read_list,
    ("builtins", "str"): _read_str,
    ("builtins", "bytes"): _read_bytes,
    ("numpy", "ndarray"): read_array,
    ("pandas", "DataFrame"): _read_frame,
    ("PIL", "Image"): _read_image,
}
"""By the package and name of the hinted class, so that none of these has to be imported to be recognised."""
