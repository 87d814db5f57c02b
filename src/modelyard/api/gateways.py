"""API gateways: what a deployment's document must be, what keeps what they lead to, and their OpenAPI description."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.api.asked import Asked
from modelyard.api.errors import invalid_value
from modelyard.api.permissions import check_role, guarded
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain import sites
from modelyard.domain.access import Role, policy_document, policy_from
from modelyard.domain.gateways import KIND, ROUTES_MAX, Gateway, check_gateway, gateway_document, gateway_from
from modelyard.domain.names import name_key
from modelyard.domain.openapi_gateways import openapi_of
from modelyard.domain.usage import Plan, Usage, standing
from modelyard.errors import InvalidValue, NotFound
from modelyard.protocol.body_schemas import compile_schema
from modelyard.protocol.browsers import own_origin
from modelyard.protocol.routes import GATEWAYS
from modelyard.protocol.usages import digest_of, read_usages
from modelyard.protocol.views import UsagesView, UsageView
from modelyard.store.ports import JsonObject


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TargetWish(_Strict):
    function: str | None = None
    endpoint: str | None = None
    site: str | None = None
    url: str | None = None


class RouteWish(_Strict):
    key: str
    target: TargetWish
    payload: str = "2.0"
    needs_key: bool = False
    authorizer: str | None = None
    scopes: list[str] = []
    body: dict[str, Any] | None = None
    query: list[str] = []
    cache_seconds: float = 0.0
    cache_headers: list[str] = []
    timeout_seconds: float = Field(default=30.0, gt=0, le=30.0)


class CorsWish(_Strict):
    origins: list[str] = []
    methods: list[str] = []
    headers: list[str] = []
    expose: list[str] = []
    max_age_seconds: int | None = None
    credentials: bool = False


class PlanWish(_Strict):
    rate: float | None = None
    burst: int | None = None
    quota: int | None = None
    per: str = "day"


class KeyWish(_Strict):
    name: str
    secret: str
    plan: str | None = None


class AuthorizerWish(_Strict):
    issuer: str
    audience: list[str]
    jwks: str | None = None
    source: str = "authorization"


class GatewayWish(_Strict):
    """Fields of `domain.gateways.Gateway`; what is left out has its default."""

    routes: list[RouteWish] = Field(min_length=1, max_length=ROUTES_MAX)
    stages: dict[str, dict[str, str]] = {"$default": {}}
    cors: CorsWish | None = None
    keys: list[KeyWish] = []
    plans: dict[str, PlanWish] = {}
    authorizers: dict[str, AuthorizerWish] = {}
    throttle: PlanWish | None = None
    hosts: list[str] = []
    port: int | None = None
    access: dict[str, Any] | str | None = None
    access_log: bool = True
    title: str = ""


def check_gateway_asked(asked: Asked) -> JsonObject:
    """The document as it is kept. Raises InvalidValue, Forbidden for what whoever asks may not call themselves."""
    try:
        wish = GatewayWish.model_validate(asked.spec)
    except ValidationError as error:
        found = [{**one, "loc": ("spec", *one["loc"])} for one in error.errors()]
        raise invalid_value(RequestValidationError(found)) from error
    document = wish.model_dump()
    if wish.access is not None:
        document["access"] = policy_document(policy_from(wish.access))
    gateway = gateway_from(document)
    check_gateway(gateway)
    for route in gateway.routes:
        if route.body is not None:
            compile_schema(route.body)
    _check_targets(asked, sorted(gateway.functions | gateway.endpoints))
    _check_sites(asked, sorted(gateway.sites))
    known = {one.name for one in asked.yard.store.secrets.select()}
    for key in gateway.keys:
        if key.secret not in known:
            raise InvalidValue(
                f"cannot use key {key.name}: there is no secret {key.secret}", f"`modelyard secret set {key.secret}`"
            )
    return gateway_document(gateway)


def _check_targets(asked: Asked, names: list[str]) -> None:
    for name in names:
        if name_key(name) in asked.endpoints:
            continue
        try:
            endpoint = asked.yard.store.endpoints.get(name)
        except NotFound as error:
            raise InvalidValue(
                f"cannot route to {name}: there is no such function or endpoint", "deploy it first, or in the same file"
            ) from error
        check_role(Role.CALLER, endpoint.project, f"endpoint/{endpoint.name}", "route to it")


def _check_sites(asked: Asked, names: list[str]) -> None:
    for name in names:
        if (sites.KIND, name_key(name)) in asked.resources:
            continue
        try:
            site = asked.yard.store.resources.get(sites.KIND, name)
        except NotFound as error:
            message = f"cannot route to {name}: there is no such site"
            raise InvalidValue(message, "deploy it first, or in the same file") from error
        check_role(Role.CALLER, site.project, f"{sites.KIND}/{site.name.name}", "route to it")


def _bounds(gateway: Gateway) -> Iterator[tuple[str | None, str | None, Plan]]:
    """Key, plan's name, plan; the gateway's own bound without a key."""
    if gateway.throttle is not None:
        yield None, None, gateway.throttle
    for key in gateway.keys:
        if key.plan is not None:
            yield key.name, key.plan, gateway.plans[key.plan]


def _usage_view(key: str | None, plan_name: str | None, plan: Plan, usage: Usage | None, now: float) -> UsageView:
    stands = standing(plan, usage, now)
    return UsageView(
        key=key,
        plan=plan_name,
        rate=plan.rate,
        burst=plan.burst,
        quota=plan.quota,
        per=plan.per,
        used=stands.used,
        left=stands.left,
        at_once=stands.at_once,
        resets_at=None if stands.resets_at is None else iso(stands.resets_at),
        asked_at=iso(usage.at) if usage is not None and usage.used else None,
    )


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "gateways")

    @router.get("/gateways/{name}/openapi.json")
    def describe_gateway(request: Request, name: str, stage: str | None = None) -> dict[str, Any]:
        """OpenAPI of the gateway's routes; of one stage or of all."""
        found = yard.store.resources.get(KIND, name)
        gateway = gateway_from(found.wished.spec)
        if stage is not None and stage not in gateway.stages:
            raise NotFound(f"cannot find stage {stage!r} of {name}", f"there are {', '.join(gateway.stages)}")
        origin = f"{own_origin(request.headers)}{GATEWAYS}{found.name.name}"
        return openapi_of(found.name.name, gateway, origin, stage)

    @router.get("/gateways/{name}/usage")
    def gateway_usage(name: str) -> UsagesView:
        """What each key has used of its plan, and what is left."""
        found = yard.store.resources.get(KIND, name)
        gateway = gateway_from(found.wished.spec)
        counted = read_usages(yard.home.usages / name_key(found.name.name))
        now = yard.clock.now()
        views = [
            _usage_view(key, plan_name, plan, counted.get(digest_of(key or "")), now)
            for key, plan_name, plan in _bounds(gateway)
        ]
        return UsagesView(found.name.name, views)

    return router
