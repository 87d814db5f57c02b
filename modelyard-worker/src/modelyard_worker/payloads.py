"""How a body becomes the payload that a predictor's type hint asks for.

none, Any      by content type: JSON parsed, NPY an array, text and CSV text, a form its fields, else bytes
dict, list     JSON of that kind; a list also from CSV, as rows
str, bytes     the body; a string that was sent as JSON without its quotes
np.ndarray     NPY, CSV, or JSON rows (also under "instances" or "inputs")
pd.DataFrame   JSON records or columns (also under "instances" or "inputs"), CSV with a header, NPY
pydantic       JSON, validated; version 1 and 2
"""

import io
import typing
from typing import Any, Callable, Dict, List, Tuple, Union, cast
from urllib.parse import parse_qsl

from modelyard_worker import bodies, media
from modelyard_worker.request import Refusal, unreadable, unsupported

Reader = Callable[[str, bytes], Any]
"""(content type, body) -> payload. Raises Refusal."""

PROBLEMS_MAX = 3
"""Problems of one body that a message lists."""

_JSON_TYPES = (media.JSON, media.FORM, "")
"""Without a type, or with the one that curl gives to -d, JSON is what people mean."""


def reader_for(hint: Any) -> Reader:
    """The reader that a type hint asks for. Hints that say nothing about bodies read by content type."""
    origin: Any = typing.get_origin(hint) or hint
    if origin is Union:
        chosen = [one for one in typing.get_args(hint) if one is not type(None)]
        return reader_for(chosen[0]) if len(chosen) == 1 else read_by_type
    if not isinstance(origin, type):
        return read_by_type
    return _READERS.get((origin.__module__.partition(".")[0], origin.__name__)) or _model_reader(origin)


def read_by_type(content_type: str, body: bytes) -> Any:
    if content_type == media.FORM and body.lstrip()[:1] not in (b"{", b"["):
        return dict(parse_qsl(bodies.read_text(body), keep_blank_values=True))
    if content_type in _JSON_TYPES or content_type.endswith("+json"):
        return bodies.read_json(body)
    if content_type == media.NPY:
        return bodies.read_npy(body)
    return bodies.read_text(body) if content_type.startswith("text/") else body


def _read_json(content_type: str, body: bytes) -> Any:
    if content_type not in _JSON_TYPES and not content_type.endswith("+json"):
        raise unsupported(content_type, media.JSON)
    return bodies.read_json(body)


def _read_dict(content_type: str, body: bytes) -> Any:
    found = read_by_type(content_type, body) if content_type == media.FORM else _read_json(content_type, body)
    if not isinstance(found, dict):
        raise unreadable(f"cannot read the body: a JSON object is expected, not {bodies.shown(found)}")
    return cast("Any", found)


def _read_list(content_type: str, body: bytes) -> Any:
    if content_type == media.CSV:
        return bodies.read_csv_rows(body)
    found = _read_json(content_type, body)
    if not isinstance(found, list):
        raise unreadable(f"cannot read the body: a JSON list is expected, not {bodies.shown(found)}")
    return cast("Any", found)


def _read_str(content_type: str, body: bytes) -> str:
    text = bodies.read_text(body)
    if content_type == media.JSON and text.lstrip().startswith('"'):
        return str(bodies.read_json(body))
    return text


def _read_bytes(content_type: str, body: bytes) -> bytes:  # noqa: ARG001 (bytes are bytes, whatever they are called)
    return body


def _rows(found: Any) -> Any:
    """The rows of a JSON document: itself, or what stands under `instances` or `inputs`."""
    if isinstance(found, dict):
        document = cast("Dict[str, Any]", found)
        return next((document[key] for key in ("instances", "inputs") if key in document), document)
    return found


def _read_array(content_type: str, body: bytes) -> Any:
    import numpy as np

    if content_type == media.NPY:
        return bodies.read_npy(body)
    if content_type == media.CSV:
        numbers, count = bodies.read_csv_numbers(body)
        return np.frombuffer(numbers, np.float64).reshape(count, -1)
    rows = _rows(_read_json(content_type, body))
    if not isinstance(rows, list):
        raise unreadable(f"cannot read the body: a JSON list of numbers is expected, not {bodies.shown(rows)}")
    try:
        found = np.array(cast("Any", rows))
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
        if content_type == media.NPY:
            return frames.DataFrame(bodies.read_npy(body))
        return frames.DataFrame(_rows(_read_json(content_type, body)))
    except (ValueError, TypeError) as error:
        raise unreadable(f"cannot read the body as a table: {error}") from error


def _model_reader(model: type) -> Reader:
    """The reader of a pydantic model of either version; for any other class, by content type."""
    if hasattr(model, "model_validate_json"):
        validate = cast("Any", model).model_validate_json
    elif hasattr(model, "__fields__") and hasattr(model, "parse_raw"):
        validate = cast("Any", model).parse_raw
    else:
        return read_by_type

    def read(content_type: str, body: bytes) -> Any:
        if content_type not in _JSON_TYPES and not content_type.endswith("+json"):
            raise unsupported(content_type, media.JSON)
        try:
            return validate(body)
        except ValueError as error:  # the root of pydantic's errors in both versions
            raise _invalid(model, error) from error

    return read


def _invalid(model: type, error: Any) -> Refusal:
    if not callable(getattr(error, "errors", None)):
        return unreadable(f"cannot read the body as {model.__name__}: {error}")
    problems: List[Any] = list(error.errors())
    listed = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in problems[:PROBLEMS_MAX]]
    if len(problems) > PROBLEMS_MAX:
        listed.append(f"and {len(problems) - PROBLEMS_MAX} more")
    return unreadable(f"cannot read the body as {model.__name__}: {'; '.join(listed)}")


_READERS: Dict[Tuple[str, str], Reader] = {
    ("builtins", "dict"): _read_dict,
    ("builtins", "list"): _read_list,
    ("builtins", "str"): _read_str,
    ("builtins", "bytes"): _read_bytes,
    ("numpy", "ndarray"): _read_array,
    ("pandas", "DataFrame"): _read_frame,
}
"""By the package and name of the hinted class, so that none of these has to be imported to be recognised."""
