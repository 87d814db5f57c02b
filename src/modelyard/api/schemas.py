"""What an endpoint takes and gives: the description that its replicas stated, as it is and as an OpenAPI document."""

import json
from typing import Any

from modelyard.domain.endpoints import Endpoint, EndpointStatus
from modelyard.errors import NotReady
from modelyard.protocol.routes import ENDPOINTS, INVOCATIONS

OPENAPI_VERSION = "3.1.0"


def description_of(endpoint: Endpoint, seen: EndpointStatus | None) -> dict[str, Any]:
    """`input` and `output` as JSON Schema, `content_types`, and an `example` body where one is known.

    Raises NotReady until a replica has said it.
    """
    if seen is None or not seen.description:
        raise NotReady(
            f"cannot describe endpoint {endpoint.name}: none of its replicas has been ready yet", "try again once it is"
        )
    return json.loads(seen.description)


def example_body(seen: EndpointStatus | None) -> str | None:
    """A body that the endpoint can read, as JSON text; None where none is known."""
    if seen is None or not seen.description:
        return None
    description = json.loads(seen.description)
    return json.dumps(description["example"]) if "example" in description else None


def body_type(seen: EndpointStatus | None) -> str | None:
    """The first of the content types that the endpoint takes; None where none is known."""
    if seen is None or not seen.description:
        return None
    return next(iter(json.loads(seen.description).get("content_types") or ()), None)


def openapi_of(endpoint: Endpoint, seen: EndpointStatus | None, origin: str) -> dict[str, Any]:
    """The endpoint's own document. A web application that describes itself is described by itself."""
    described = description_of(endpoint, seen)
    base = f"{origin}{ENDPOINTS}{endpoint.name}"
    own = described.get("openapi")
    if isinstance(own, dict):
        return {**own, "servers": [{"url": base}]}
    operation = {
        "operationId": "predict",
        "summary": f"Ask {endpoint.name} for a prediction.",
        "requestBody": {"required": True, "content": _contents(described)},
        "responses": {
            "200": {
                "description": "The prediction.",
                "content": {"application/json": {"schema": _moved(described.get("output") or {}, "output")}},
            },
            "default": {"description": "What went wrong: `error` has code, message, hint and request_id."},
        },
    }
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": endpoint.name, "version": str(endpoint.wished.number)},
        "servers": [{"url": base}],
        "paths": {INVOCATIONS: {"post": operation}},
        "components": {"schemas": _definitions(described)},
    }


def _contents(described: dict[str, Any]) -> dict[str, Any]:
    contents: dict[str, Any] = {}
    for kind in described.get("content_types") or ["application/json"]:
        contents[kind] = {}
        if kind == "application/json":
            contents[kind]["schema"] = _moved(described.get("input") or {}, "input")
            if "example" in described:
                contents[kind]["example"] = described["example"]
    return contents


def _definitions(described: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for side in ("input", "output"):
        schema: dict[str, Any] = described.get(side) or {}
        for key in ("$defs", "definitions"):
            named: dict[str, Any] = schema.get(key) or {}
            found |= {f"{side}.{name}": _moved(one, side) for name, one in named.items()}
    return found


def _moved(schema: Any, side: str) -> Any:
    """A schema whose definitions lie among the document's components, apart for input and output."""
    if isinstance(schema, list):
        return [_moved(one, side) for one in schema]  # pyright: ignore[reportUnknownVariableType] (JSON is of any type)
    if not isinstance(schema, dict):
        return schema
    moved: dict[str, Any] = {}
    for key, value in schema.items():  # pyright: ignore[reportUnknownVariableType] (JSON is of any type)
        if key == "$ref" and isinstance(value, str):
            moved[key] = f"#/components/schemas/{side}.{value.rpartition('/')[2]}"
        elif key not in ("$defs", "definitions"):
            moved[str(key)] = _moved(value, side)  # pyright: ignore[reportUnknownArgumentType] (as above)
    return moved
