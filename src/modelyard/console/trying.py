"""The form to try an endpoint with, from what its predictor says that it takes.

An object of plain fields becomes a field for each; everything else is written as JSON, beginning with the example. The
page sends the form with a script of its own to the endpoint itself, as any client would: what is tried is the real
thing, with its access, its limits and its latency.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

FIELDS_MAX = 40
"""Of a form; an object with more is written as JSON."""

OPTIONS_MAX = 100

_PLAIN = {"string": "text", "number": "number", "integer": "number", "boolean": "checkbox"}


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    """`number`, `integer`, `string`, `boolean`: how what is typed becomes JSON."""
    input: str
    """Of HTML: `number`, `text`, `checkbox`, or `select`."""
    value: str
    required: bool
    options: tuple[str, ...] = ()
    description: str = ""
    minimum: str = ""
    maximum: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    fields: tuple[Field, ...]
    """Empty where the body is written as JSON."""
    body: str
    """Where it begins."""
    content_types: tuple[str, ...]
    binary: bool
    """Whether it takes a file rather than text."""


def form_of(described: Mapping[str, Any], example: str | None) -> Form:
    """`described` is what the interface answers as an endpoint's schema; empty where nothing is known yet."""
    schema: dict[str, Any] = described.get("input") or {}
    kinds = tuple(str(kind) for kind in described.get("content_types") or ("application/json",))
    begin: Any = json.loads(example) if example else described.get("example", _begin(schema))
    binary = not any(kind.startswith(("application/json", "text/")) for kind in kinds)
    return Form(
        fields=_fields(schema, cast("dict[str, Any]", begin) if isinstance(begin, dict) else {}),
        body=json.dumps(begin, indent=2 if isinstance(begin, dict) else None, ensure_ascii=False),
        content_types=kinds,
        binary=binary,
    )


def _begin(schema: Mapping[str, Any]) -> Any:
    """Of what nobody gave an example: its outermost form, for people to fill."""
    items: dict[str, Any] = schema.get("items") or {}
    if schema.get("type") != "array":
        return {}
    return [{"array": [0.0], "object": {}}[kind]] if (kind := items.get("type")) in ("array", "object") else []


def _fields(schema: dict[str, Any], example: Mapping[str, Any]) -> tuple[Field, ...]:
    properties: dict[str, Any] = schema.get("properties") or {}
    if schema.get("type") != "object" or not 0 < len(properties) <= FIELDS_MAX:
        return ()
    wanted: list[Any] = schema.get("required") or []
    found = [_field(name, one, example.get(name), name in wanted) for name, one in properties.items()]
    return tuple(field for field in found if field) if all(found) else ()


def _field(name: str, schema: dict[str, Any], example: Any, required: bool) -> Field | None:
    """None for what is no plain field."""
    value = schema.get("default", example)
    options = schema.get("enum")
    if isinstance(options, list) and all(isinstance(one, str) for one in cast("list[Any]", options)):
        words = tuple(cast("list[str]", options))[:OPTIONS_MAX]
        return Field(name, "string", "select", str(value or words[0]), required, words, _said(schema))
    kind = schema.get("type")
    if kind not in _PLAIN:
        return None
    return Field(
        name,
        str(kind),
        _PLAIN[str(kind)],
        "" if value is None else json.dumps(value) if kind != "string" else str(value),
        required,
        description=_said(schema),
        minimum=_limit(schema, "minimum"),
        maximum=_limit(schema, "maximum"),
    )


def _said(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description") or "")


def _limit(schema: Mapping[str, Any], name: str) -> str:
    found = schema.get(name)
    return f"{found:g}" if isinstance(found, int | float) else ""
