"""`kind: gateway`: fields as written -> what a deploy wishes."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modelyard.domain.gateways import KIND, check_gateway, check_route_key, gateway_from
from modelyard.domain.openapi_gateways import routes_from_openapi
from modelyard.errors import InvalidValue, ModelyardError
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document, read_document
from modelyard.manifest.places import check_place
from modelyard.manifest.resources import OtherResource
from modelyard.manifest.schema import GatewayFields, GatewayRouteFields, PlanFields


def read_gateway(document: Document, index: int, label: str, folder: Path) -> OtherResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, GatewayFields, index, label)
    if fields is None:
        return None
    routes = {**_described(document, index, label, folder, fields), **fields.routes}
    for key in fields.routes:
        try:
            check_route_key(key)
        except InvalidValue as error:
            add_problem(document, index, label, ("routes", key), f"found {key!r}; allowed: {error.hint}")
    if len(document.problems) > before:
        return None
    spec = _spec(fields, routes)
    try:
        check_gateway(gateway_from(spec))
    except InvalidValue as error:
        add_problem(document, index, label, ("routes",), f"{error.message}; {error.hint}")
        return None
    return OtherResource(KIND, fields.name, document.line((index,)), spec)


def _described(
    document: Document, index: int, label: str, folder: Path, fields: GatewayFields
) -> dict[str, GatewayRouteFields]:
    """The routes of the OpenAPI description that the file names."""
    if fields.openapi is None:
        return {}
    before = len(document.problems)
    check_place(document, index, label, ("openapi",), folder, fields.openapi, want="file")
    if len(document.problems) > before:
        return {}
    try:
        found = routes_from_openapi(read_document(folder / fields.openapi).value)
        return {key: GatewayRouteFields.model_validate(one) for key, one in found.items()}
    except ModelyardError as error:
        add_problem(document, index, label, ("openapi",), f"{error.message}; {error.hint or 'mend it'}")
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(one) for one in first["loc"])
        add_problem(document, index, label, ("openapi",), f"an integration has {place}: {first['msg']}")
    return {}


def _spec(fields: GatewayFields, routes: dict[str, GatewayRouteFields]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "routes": [_route(key, one) for key, one in routes.items()],
        "stages": {name: dict(one or {}) for name, one in fields.stages.items()} if fields.stages else None,
        "cors": _cors(fields),
        "keys": [one.model_dump(exclude_none=True) for one in fields.keys] or None,
        "plans": {name: _plan(one) for name, one in fields.plans.items()} or None,
        "authorizers": {name: one.model_dump(exclude_none=True) for name, one in fields.authorizers.items()} or None,
        "throttle": _plan(fields.throttle) if fields.throttle is not None else None,
        "hosts": list(fields.hosts) or None,
        "port": fields.port,
        "access": fields.access,
        "access_log": fields.access_log,
        "title": fields.title,
    }
    return {name: value for name, value in given.items() if value is not None}


def _route(key: str, fields: GatewayRouteFields) -> dict[str, Any]:
    given: dict[str, Any] = {
        "key": key,
        "target": {
            kind: value
            for kind, value in (
                ("function", fields.function),
                ("endpoint", fields.endpoint),
                ("site", fields.site),
                ("url", fields.url),
            )
            if value is not None
        },
        "payload": fields.payload,
        "needs_key": fields.key,
        "authorizer": fields.authorizer,
        "scopes": fields.scopes,
        "body": fields.body,
        "query": fields.query,
        "cache_seconds": fields.cache,
        "cache_headers": fields.cache_headers,
        "timeout_seconds": fields.timeout,
    }
    return {name: value for name, value in given.items() if value is not None}


def _cors(fields: GatewayFields) -> dict[str, Any] | None:
    cors = fields.cors
    if cors is None:
        return None
    found = cors.model_dump(exclude_none=True)
    if "max_age" in found:
        found["max_age_seconds"] = int(found.pop("max_age"))
    return found


def _plan(fields: PlanFields) -> dict[str, Any]:
    return fields.model_dump(exclude_none=True)
