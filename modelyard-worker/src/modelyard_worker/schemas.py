"""What a servable takes and gives, as JSON Schema with an example: read off its type hints, never by calling it."""

import typing
from typing import Any, Dict, List, Optional, Sequence

from modelyard_worker import bodies, media
from modelyard_worker.frames import CHUNK_BYTES
from modelyard_worker.tensor_descriptions import of_schema

DESCRIPTION_BYTES_MAX = 32 * 1024
"""A description as JSON; where it is longer, the schemas are left out. It fits into one frame."""

DEPTH_MAX = 8
"""Levels of an example; schemas may refer to themselves."""

assert DESCRIPTION_BYTES_MAX <= CHUNK_BYTES

_BINARY = {"type": "string", "format": "binary"}
_ROWS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}

_PLAIN: Dict[str, Dict[str, Any]] = {
    "builtins.dict": {"type": "object"},
    "builtins.list": {"type": "array", "items": {}},
    "builtins.str": {"type": "string"},
    "builtins.int": {"type": "integer"},
    "builtins.float": {"type": "number"},
    "builtins.bool": {"type": "boolean"},
    "builtins.bytes": _BINARY,
    "numpy.ndarray": _ROWS,
    "pandas.DataFrame": {"type": "array", "items": {"type": "object"}},
    "PIL.Image": _BINARY,
}
"""By the package and name of a hinted class."""

_TYPES: Dict[str, List[str]] = {
    "numpy.ndarray": [media.JSON, media.CSV, media.NPY, media.NPZ, media.PARQUET, media.ARROW_STREAM, media.LINES],
    "pandas.DataFrame": [media.JSON, media.CSV, media.NPY, media.PARQUET, media.ARROW_STREAM, media.LINES],
    "builtins.list": [media.JSON, media.CSV, media.LINES, media.PARQUET, media.ARROW_STREAM],
    "builtins.dict": [media.JSON, media.FORM, media.MULTIPART],
    "builtins.bytes": [media.BYTES],
    "builtins.str": [media.TEXT, media.JSON],
    "PIL.Image": ["image/*", media.MULTIPART],
}


def describe_rows(width: Optional[int], content_types: Sequence[str]) -> Dict[str, Any]:
    """Of a model without code. `width` is how many values a row has; None where the model does not say."""
    row: Dict[str, Any] = {"type": "array", "items": {"type": "number"}}
    if width is not None:
        row = {**row, "minItems": width, "maxItems": width}
    found: Dict[str, Any] = {
        "input": {"type": "array", "items": row},
        "output": {"type": "array", "items": {}},
        "content_types": list(content_types),
    }
    return {**found, "example": [[0.0] * width]} if width is not None else found


def describe_hints(payload: Any, result: Any) -> Dict[str, Any]:
    """Of a predictor's method, by the hints of its payload and of what it returns; None where it has none."""
    wanted = _schema(payload)
    found: Dict[str, Any] = {
        "input": wanted,
        "output": _schema(result),
        "content_types": _TYPES.get(_name(payload), [media.JSON]),
        "tensors": {"inputs": of_schema(wanted), "outputs": []},
    }
    return found if wanted == _BINARY or not _is_known(wanted) else {**found, "example": example_of(wanted)}


def _is_known(schema: Dict[str, Any]) -> bool:
    """Whether a schema says enough for an example that is answered: which fields an object has, how long rows are."""
    if schema.get("type") == "array":
        items: Dict[str, Any] = schema.get("items") or {}
        return _is_known(items) and (items.get("type") != "array" or "minItems" in items)
    if schema.get("type") == "object":
        return bool(schema.get("properties"))
    return bool(schema)


def within_limit(description: Dict[str, Any]) -> bytes:
    """A description as it is sent; without its schemas where they are too long."""
    try:
        body = bodies.write_json(description)
    except (TypeError, ValueError):
        body = b""
    if 0 < len(body) <= DESCRIPTION_BYTES_MAX:
        return body
    return bodies.write_json({"content_types": description.get("content_types", []), "input": {}, "output": {}})


def _name(hint: Any) -> str:
    origin: Any = typing.get_origin(hint) or hint
    if getattr(origin, "__name__", "") == "PIL.Image":
        return "PIL.Image"
    module, name = getattr(origin, "__module__", ""), getattr(origin, "__name__", "")
    return f"{str(module).partition('.')[0]}.{name}"


def _schema(hint: Any) -> Dict[str, Any]:
    """JSON Schema of a hint; empty, which allows anything, where it says nothing."""
    try:
        if hasattr(hint, "model_json_schema"):
            return hint.model_json_schema()
        if hasattr(hint, "__fields__") and hasattr(hint, "schema"):
            return hint.schema()
    except Exception:  # noqa: BLE001 (a model that validates but has no schema is served all the same)
        return {}
    if getattr(hint, "__total__", None) is not None and isinstance(hint, type) and issubclass(hint, dict):
        return _of_typed_dict(hint)
    plain = _PLAIN.get(_name(hint), {})
    inner = typing.get_args(hint)
    if plain.get("type") == "array" and _name(hint) == "builtins.list" and inner:
        return {"type": "array", "items": _schema(inner[0])}
    return plain


def _of_typed_dict(hint: Any) -> Dict[str, Any]:
    try:
        hints = typing.get_type_hints(hint)
    except Exception:  # noqa: BLE001 (what a hint names may not be there when it runs)
        hints = dict.fromkeys(hint.__annotations__)
    properties = {name: _schema(one) for name, one in hints.items()}
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(hint.__required_keys__, key=list(hints).index),
    }


def example_of(schema: Dict[str, Any], root: Optional[Dict[str, Any]] = None, depth: int = 0) -> Any:
    """A small value that the schema allows: what it names as an example or default, else zeros and empty texts."""
    root = schema if root is None else root
    named = next((schema[key] for key in ("example", "default", "const") if key in schema), _NOTHING)
    listed: Any = next((schema[key] for key in ("examples", "enum") if schema.get(key)), None)
    if named is not _NOTHING or depth > DEPTH_MAX:
        return None if named is _NOTHING else named
    if listed:
        return listed[0]
    inner = _inner(schema, root)
    return _of_type(schema, root, depth) if inner is None else example_of(inner, root, depth + 1)


_NOTHING = object()


def _inner(schema: Dict[str, Any], root: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """The schema that this one stands for: what it refers to, or the first of several; None where it is plain."""
    if "$ref" in schema:
        found: Any = root
        for step in str(schema["$ref"]).lstrip("#/").split("/"):
            found = found.get(step) or {}
        return found
    return next((schema[key][0] for key in ("allOf", "anyOf", "oneOf") if schema.get(key)), None)


def _of_type(schema: Dict[str, Any], root: Dict[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "array":
        items: Dict[str, Any] = schema.get("items") or {}
        return [example_of(items, root, depth + 1)] * max(1, int(schema.get("minItems") or 0)) if items else []
    if kind in ("integer", "number"):
        least = schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else schema.get("minimum", 0)
        return least if kind == "integer" else float(least)
    if kind in ("string", "boolean", "null"):
        return {"string": "", "boolean": False, "null": None}[kind]
    properties: Dict[str, Any] = schema.get("properties") or {}
    return {name: example_of(properties.get(name) or {}, root, depth + 1) for name in schema.get("required") or ()}
