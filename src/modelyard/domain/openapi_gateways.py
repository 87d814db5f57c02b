"""API gateways and OpenAPI: routes out of a description, and a description of the routes."""

import re
from collections.abc import Mapping
from typing import Any, cast

from modelyard.domain.gateways import ANY, DEFAULT_STAGE, METHODS, Gateway, Route
from modelyard.errors import InvalidValue

OURS = "x-modelyard-integration"
AMAZONS = "x-amazon-apigateway-integration"
AMAZONS_ANY = "x-amazon-apigateway-any-method"

_FUNCTION_URI = re.compile(r":function:([A-Za-z0-9-]+)(?::[^/]*)?/invocations$")
_REFERENCE = "#/components/schemas/"
_GREEDY = re.compile(r"\{([^}]+)\+\}")


def routes_from_openapi(document: Any) -> dict[str, dict[str, Any]]:
    """Route key -> fields of the route, as the yard file has them. Raises InvalidValue."""
    description = _object(document)
    paths = _object(description.get("paths"))
    if not paths:
        raise InvalidValue("cannot read the OpenAPI description: it has no paths")
    routes: dict[str, dict[str, Any]] = {}
    for path, item in paths.items():
        for word, operation in _object(item).items():
            method = ANY if word == AMAZONS_ANY else word.upper()
            if method in (ANY, *METHODS):
                fields = _route(description, f"{method} {path}", _object(operation))
                routes["$default" if path == "/$default" else f"{method} {path}"] = fields
    return routes


def _route(document: dict[str, Any], key: str, operation: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = _integration(key, operation)
    parameters = [_object(one) for one in operation.get("parameters") or ()]
    query = [str(one.get("name")) for one in parameters if one.get("in") == "query" and one.get("required")]
    if query:
        fields["query"] = query
    schema = _body_schema(document, operation)
    if schema is not None:
        fields["body"] = schema
    schemes = _object(_object(document.get("components")).get("securitySchemes"))
    for wanted in operation.get("security") or ():
        for name, scopes in _object(wanted).items():
            if _object(schemes.get(name)).get("type") == "apiKey":
                fields["key"] = True
            else:
                fields |= {"authorizer": name, **({"scopes": list(scopes)} if scopes else {})}
    return fields


def _integration(key: str, operation: dict[str, Any]) -> dict[str, Any]:
    ours, theirs = _object(operation.get(OURS)), _object(operation.get(AMAZONS))
    if ours:
        return ours
    if not theirs:
        raise InvalidValue(f"cannot route {key}: the description names no integration", f"add {OURS}")
    uri, kind = str(theirs.get("uri") or ""), str(theirs.get("type") or "").lower()
    found = _FUNCTION_URI.search(uri)
    if kind == "aws_proxy" and found is not None:
        return {"function": found[1], "payload": str(theirs.get("payloadFormatVersion") or "1.0")}
    if kind == "http_proxy" and uri:
        return {"url": uri}
    raise InvalidValue(f"cannot route {key}: integration {kind} {uri[:100]}", "aws_proxy and http_proxy are known")


def _body_schema(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any] | None:
    """Of a JSON body, with the components that it refers to."""
    content = _object(_object(operation.get("requestBody")).get("content"))
    found = _object(_object(content.get("application/json")).get("schema"))
    if not found:
        return None
    components = _object(_object(document.get("components")).get("schemas"))
    refers = bool(components) and _REFERENCE in repr((found, components))
    return {**found, "components": {"schemas": components}} if refers else found


def _object(value: Any) -> dict[str, Any]:
    """A JSON object of its own; empty for anything else."""
    return dict(cast("dict[str, Any]", value)) if isinstance(value, dict) else {}


def openapi_of(name: str, gateway: Gateway, origin: str, stage: str | None = None) -> dict[str, Any]:
    """OpenAPI 3.1 of a gateway, as it is reached at `origin`; of all its stages where none is named."""
    servers = [
        {"url": origin if one == DEFAULT_STAGE else f"{origin}/{one}"} for one in gateway.stages if stage in (None, one)
    ]
    paths: dict[str, dict[str, Any]] = {}
    for route in gateway.routes:
        path = _GREEDY.sub(r"{\1+}", route.path) or "/$default"
        word = AMAZONS_ANY if route.method == ANY else route.method.lower()
        paths.setdefault(path, {})[word] = _operation(route)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": gateway.title or name, "version": "1"},
        "servers": servers,
        "paths": paths,
    }
    schemes = _schemes(gateway)
    return {**document, "components": {"securitySchemes": schemes}} if schemes else document


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"\{([^}+]+)\+?\}", route.path)
    parameters = [{"name": one, "in": "path", "required": True, "schema": {"type": "string"}} for one in names]
    parameters += [{"name": one, "in": "query", "required": True, "schema": {"type": "string"}} for one in route.query]
    integration: dict[str, Any] = {
        **route.target.given(),
        **({"payload": route.payload} if route.target.function else {}),
    }
    operation: dict[str, Any] = {"responses": {"default": {"description": "The answer"}}, OURS: integration}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": route.body}}}
    security: dict[str, list[str]] = {}
    if route.needs_key:
        security["key"] = []
    if route.authorizer is not None:
        security[route.authorizer] = list(route.scopes)
    if security:
        operation["security"] = [security]
    return operation


def _schemes(gateway: Gateway) -> Mapping[str, Any]:
    schemes: dict[str, Any] = {
        name: {
            "type": "openIdConnect",
            "openIdConnectUrl": f"{one.issuer.rstrip('/')}/.well-known/openid-configuration",
        }
        for name, one in gateway.authorizers.items()
    }
    if gateway.keys:
        schemes["key"] = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    return schemes
