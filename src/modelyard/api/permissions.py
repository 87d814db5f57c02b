"""Which role each route needs, and on what. A route that is not declared here needs an admin; a test wants every one
declared.

Three kinds of need: a role in the whole yard, a role on the thing that the path names, and a role on anything at all,
where the route answers with one's own part, or checks by itself what its body names.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from fastapi import APIRouter, Depends, Request

from modelyard.api.yard import Yard
from modelyard.domain.access import TRACKING_SERVER, Principal, PrincipalKind, Role, allows, has_anywhere
from modelyard.domain.tokens import Scope
from modelyard.errors import Forbidden, NotFound, Unauthorized
from modelyard.protocol.routes import API

PRINCIPAL: ContextVar[Principal | None] = ContextVar("principal", default=None)
"""Who asks, as long as a request lasts."""


@dataclass(frozen=True, slots=True)
class Need:
    role: Role | None
    """None lets everybody in who was recognised: to themselves, what they may do is decided elsewhere."""
    parameter: str | None = None
    """Of the path, that names the thing; None where the whole yard is meant."""
    kind: str | None = None
    """Of the thing; None where the path has it as `{kind}`."""
    anywhere: bool = False
    """The role on anything at all is enough to ask."""


def _yard(role: Role) -> Need:
    return Need(role)


def _some(role: Role) -> Need:
    return Need(role, anywhere=True)


def _on(kind: str, role: Role, parameter: str = "name") -> Need:
    return Need(role, parameter, kind)


_CALLER, _VIEWER, _DEPLOYER, _ADMIN = Role.CALLER, Role.VIEWER, Role.DEPLOYER, Role.ADMIN
_SELF = Need(None)

NEEDS: Mapping[tuple[str, str], Need] = MappingProxyType(
    {
        ("GET", "/status"): _some(_VIEWER),
        ("GET", "/overview"): _some(_VIEWER),
        ("GET", "/headlines"): _some(_VIEWER),
        ("POST", "/artifacts/missing"): _some(_DEPLOYER),
        ("PUT", "/artifacts/{sha256}"): _some(_DEPLOYER),
        ("POST", "/trees"): _some(_DEPLOYER),
        ("POST", "/data/{remote}/trees"): _some(_DEPLOYER),
        ("POST", "/deployments"): _some(_DEPLOYER),
        ("GET", "/resources"): _some(_VIEWER),
        ("GET", "/resources/{kind}/{name}"): Need(_VIEWER, "name"),
        ("POST", "/resources/{kind}/{name}/rollback"): Need(_DEPLOYER, "name"),
        ("DELETE", "/resources/{kind}/{name}"): Need(_DEPLOYER, "name"),
        ("GET", "/endpoints"): _some(_VIEWER),
        ("GET", "/endpoints/{name}"): _on("endpoint", _VIEWER),
        ("DELETE", "/endpoints/{name}"): _on("endpoint", _DEPLOYER),
        ("GET", "/endpoints/{name}/history"): _on("endpoint", _VIEWER),
        ("POST", "/endpoints/{name}/rollback"): _on("endpoint", _DEPLOYER),
        ("POST", "/endpoints/{name}/refresh"): _on("endpoint", _DEPLOYER),
        ("POST", "/endpoints/{name}/pause"): _on("endpoint", _DEPLOYER),
        ("POST", "/endpoints/{name}/resume"): _on("endpoint", _DEPLOYER),
        ("POST", "/endpoints/{name}/promote"): _on("endpoint", _DEPLOYER),
        ("GET", "/endpoints/{name}/schema"): _on("endpoint", _CALLER),
        ("GET", "/endpoints/{name}/openapi.json"): _on("endpoint", _CALLER),
        ("GET", "/endpoints/{name}/logs"): _on("endpoint", _VIEWER),
        ("GET", "/endpoints/{name}/scaling"): _on("endpoint", _VIEWER),
        ("GET", "/endpoints/{name}/load"): _on("endpoint", _VIEWER),
        ("GET", "/endpoints/{name}/metrics"): _on("endpoint", _VIEWER),
        ("GET", "/endpoints/{name}/captures"): _on("endpoint", _VIEWER),
        ("GET", "/endpoints/{name}/captures/records"): _on("endpoint", _DEPLOYER),
        ("POST", "/endpoints/{name}/replays"): _on("endpoint", _DEPLOYER),
        ("GET", "/gateways/{name}/openapi.json"): _on("gateway", _CALLER),
        ("GET", "/gateways/{name}/usage"): _on("gateway", _VIEWER),
        ("GET", "/alarms"): _some(_VIEWER),
        ("GET", "/alarms/{name}"): _on("alarm", _VIEWER),
        ("POST", "/alarms/{name}/test"): _on("alarm", _DEPLOYER),
        ("GET", "/endpoints/{name}/async-invocations"): _on("endpoint", _VIEWER),
        ("GET", "/endpoints/{name}/async-invocations/{inference_id}"): _on("endpoint", _VIEWER),
        ("POST", "/endpoints/{name}/async-invocations/{inference_id}/cancel"): _on("endpoint", _CALLER),
        ("POST", "/endpoints/{name}/async-invocations/redrive"): _on("endpoint", _DEPLOYER),
        ("GET", "/endpoints/{name}/webhook-secret"): _on("endpoint", _DEPLOYER),
        ("POST", "/runs"): _some(_DEPLOYER),
        ("GET", "/runs"): _some(_VIEWER),
        ("GET", "/runs/{run_id}"): _on("run", _VIEWER, "run_id"),
        ("GET", "/runs/{run_id}/metrics"): _on("run", _VIEWER, "run_id"),
        ("POST", "/runs/{run_id}/stop"): _on("run", _DEPLOYER, "run_id"),
        ("POST", "/runs/{run_id}/trees"): _on("run", _DEPLOYER, "run_id"),
        ("GET", "/runs/{run_id}/logs"): _on("run", _VIEWER, "run_id"),
        ("POST", "/transforms"): _some(_DEPLOYER),
        ("GET", "/transforms"): _some(_VIEWER),
        ("GET", "/transforms/{transform_id}"): _on("transform", _VIEWER, "transform_id"),
        ("POST", "/transforms/{transform_id}/stop"): _on("transform", _DEPLOYER, "transform_id"),
        ("GET", "/transforms/{transform_id}/logs"): _on("transform", _VIEWER, "transform_id"),
        ("POST", "/trainings/{name}/runs"): _on("training", _DEPLOYER),
        ("POST", "/batches/{name}/transforms"): _on("batch", _DEPLOYER),
        ("POST", "/batches/{name}/jobs"): _on("batch", _DEPLOYER),
        ("GET", "/batches/{name}/jobs"): _on("batch", _VIEWER),
        ("DELETE", "/batches/{name}/jobs"): _on("batch", _DEPLOYER),
        ("GET", "/batches/{name}/jobs/dead-letters"): _on("batch", _VIEWER),
        ("POST", "/batches/{name}/jobs/redrive"): _on("batch", _DEPLOYER),
        ("POST", "/trainings/{name}/jobs"): _on("training", _DEPLOYER),
        ("GET", "/trainings/{name}/jobs"): _on("training", _VIEWER),
        ("DELETE", "/trainings/{name}/jobs"): _on("training", _DEPLOYER),
        ("GET", "/schedules"): _some(_VIEWER),
        ("GET", "/schedules/{kind}/{name}"): Need(_VIEWER, "name"),
        ("POST", "/tunings"): _some(_DEPLOYER),
        ("GET", "/tunings"): _some(_VIEWER),
        ("GET", "/tunings/{tuning_id}"): _on("tuning", _VIEWER, "tuning_id"),
        ("POST", "/tunings/{tuning_id}/stop"): _on("tuning", _DEPLOYER, "tuning_id"),
        ("GET", "/models"): _some(_VIEWER),
        ("GET", "/models/{name}"): _on("model", _VIEWER),
        ("POST", "/models/{name}/versions"): _some(_DEPLOYER),
        ("GET", "/models/{name}/versions/{version}"): _on("model", _VIEWER),
        ("POST", "/models/{name}/versions/{version}/mlflow"): _on("model", _VIEWER),
        ("PUT", "/models/{name}/aliases/{alias}"): _on("model", _DEPLOYER),
        ("DELETE", "/models/{name}/aliases/{alias}"): _on("model", _DEPLOYER),
        ("POST", "/models/{name}/versions/{version}/tags"): _on("model", _DEPLOYER),
        ("PUT", "/models/{name}/versions/{version}/approval"): _on("model", _DEPLOYER),
        ("DELETE", "/models/{name}"): _on("model", _DEPLOYER),
        ("GET", "/packages"): _yard(_VIEWER),
        ("POST", "/packages"): _some(_DEPLOYER),
        ("GET", "/packages/{reference}"): _yard(_VIEWER),
        ("GET", "/packages/{reference}/verify"): _yard(_VIEWER),
        ("GET", "/packages/{reference}/archive"): _yard(_DEPLOYER),
        ("PUT", "/secrets/{name}"): _yard(_DEPLOYER),
        ("GET", "/secrets"): _yard(_DEPLOYER),
        ("DELETE", "/secrets/{name}"): _yard(_DEPLOYER),
        ("POST", "/retention"): _yard(_ADMIN),
        ("GET", "/events"): _some(_VIEWER),
        ("POST", "/links"): _yard(_ADMIN),
        ("GET", "/me"): _SELF,
        ("PUT", "/me/password"): _SELF,
        ("GET", "/sessions"): _SELF,
        ("DELETE", "/sessions/{session}"): _SELF,
        ("POST", "/entries"): _SELF,
        ("GET", "/keys"): _SELF,
        ("POST", "/keys"): _SELF,
        ("DELETE", "/keys/{key}"): _SELF,
        ("GET", "/users"): _yard(_ADMIN),
        ("POST", "/users"): _yard(_ADMIN),
        ("GET", "/users/{email}"): _yard(_ADMIN),
        ("PATCH", "/users/{email}"): _yard(_ADMIN),
        ("DELETE", "/users/{email}"): _yard(_ADMIN),
        ("POST", "/users/{email}/password"): _yard(_ADMIN),
        ("GET", "/groups"): _yard(_ADMIN),
        ("PUT", "/groups/{group}"): _yard(_ADMIN),
        ("DELETE", "/groups/{group}"): _yard(_ADMIN),
        ("PUT", "/groups/{group}/members/{email}"): _yard(_ADMIN),
        ("DELETE", "/groups/{group}/members/{email}"): _yard(_ADMIN),
        ("POST", "/logout"): _SELF,
        ("GET", "/providers"): _yard(_ADMIN),
        ("PUT", "/providers/{provider}"): _yard(_ADMIN),
        ("DELETE", "/providers/{provider}"): _yard(_ADMIN),
        ("POST", "/providers/{provider}/check"): _yard(_ADMIN),
        ("GET", "/audit"): _yard(_ADMIN),
        ("GET", "/audit/export"): _yard(_ADMIN),
    }
)
"""By method and path below the interface's root."""

OPEN: frozenset[tuple[str, str]] = frozenset(
    {
        ("POST", "/sessions"),
        ("POST", "/login"),
        ("GET", "/login/providers"),
        ("POST", "/login/{provider}/begin"),
        ("POST", "/login/{provider}/finish"),
        ("POST", "/entries/taken"),
        ("DELETE", "/entries/own"),
        ("GET", "/tokens/keys"),
    }
)
"""Routes that need no credential, because what they are sent is one, or what they tell is for everybody."""

_SCOPES: Mapping[str, frozenset[tuple[str, str]]] = MappingProxyType(
    {
        Scope.ENDPOINTS_CALL: frozenset(
            {
                ("GET", "/endpoints/{name}/schema"),
                ("GET", "/endpoints/{name}/openapi.json"),
                ("POST", "/endpoints/{name}/async-invocations/{inference_id}/cancel"),
            }
        ),
        Scope.MODELS_READ: frozenset(
            {("GET", "/models"), ("GET", "/models/{name}"), ("GET", "/models/{name}/versions/{version}")}
        ),
        Scope.MODELS_REGISTER: frozenset(
            {
                ("POST", "/artifacts/missing"),
                ("PUT", "/artifacts/{sha256}"),
                ("POST", "/trees"),
                ("POST", "/models/{name}/versions"),
                ("POST", "/models/{name}/versions/{version}/tags"),
            }
        ),
        Scope.RUNS_READ: frozenset({("GET", "/runs/{run_id}"), ("GET", "/runs/{run_id}/metrics")}),
    }
)
"""What a token's scope opens here, as far as its grants reach; what no scope names is shut to every token."""
_FOR_EVERY_TOKEN = ("GET", "/me")

OF_THE_TRACKING_SERVER: frozenset[tuple[str, str]] = frozenset(
    {
        ("POST", "/artifacts/missing"),
        ("PUT", "/artifacts/{sha256}"),
        ("POST", "/trees"),
        ("GET", "/models"),
        ("GET", "/models/{name}"),
        ("POST", "/models/{name}/versions"),
        ("GET", "/models/{name}/versions/{version}"),
        ("POST", "/models/{name}/versions/{version}/mlflow"),
        ("PUT", "/models/{name}/aliases/{alias}"),
        ("DELETE", "/models/{name}/aliases/{alias}"),
        ("POST", "/models/{name}/versions/{version}/tags"),
        ("DELETE", "/models/{name}"),
    }
)
"""Routes that its token opens: what a registry is made of."""

_UNDECLARED = _yard(_ADMIN)

_PROJECTS: Mapping[str, Callable[[Yard, str], str]] = MappingProxyType(
    {
        "endpoint": lambda yard, name: yard.store.endpoints.get(name).project,
        "app": lambda yard, name: yard.store.endpoints.get(name).project,
        "run": lambda yard, name: yard.store.runs.get(name).spec.project,
        "tuning": lambda yard, name: yard.store.tunings.get(name).spec.project,
        "transform": lambda yard, name: yard.store.transforms.get(name).spec.project,
        "model": lambda yard, name: yard.store.models.get(name).project,
    }
)
"""How the project of a thing is found; of any other kind it is a resource's. Each raises NotFound."""


def guarded(yard: Yard, tag: str) -> APIRouter:
    """For the routes of one noun: they lie below API, and each asks first whether one may."""
    return APIRouter(prefix=API, tags=[tag], dependencies=[Depends(authorizer(yard))])


def authorizer(yard: Yard) -> Callable[[Request], Awaitable[None]]:
    """What every route of the interface depends on. Raises Unauthorized, Forbidden, and NotFound for what one may not
    know of: to those who may not see it, a thing is not there."""

    async def authorize(request: Request) -> None:
        method, path = request.method, str(request.scope["route"].path).removeprefix(API)
        if (method, path) in OPEN:
            return
        if PRINCIPAL.get() == TRACKING_SERVER and (method, path) not in OF_THE_TRACKING_SERVER:
            raise Forbidden(f"cannot {method} {path} with the tracking server's token", "it is for models alone")
        principal, need = current(), NEEDS.get((method, path), _UNDECLARED)
        check_scopes(principal, method, path)
        if need.role is not None and not allows(principal, need.role):
            # What follows looks the thing up, which must not keep the loop.
            await asyncio.to_thread(check, yard, need, dict(request.path_params), f"{method} {path}")

    return authorize


def check_scopes(principal: Principal, method: str, path: str) -> None:
    """Raises Forbidden where a token is not for this route."""
    if principal.scopes is None or (method, path) == _FOR_EVERY_TOKEN:
        return
    if not any((method, path) in _SCOPES.get(scope, ()) for scope in principal.scopes):
        raise Forbidden(
            f"cannot {method} {path}: the token of {principal.id} is for {', '.join(principal.scopes)}",
            "use a key that was granted it",
        )


def check(yard: Yard, need: Need, parameters: Mapping[str, str], what: str) -> None:
    """Raises as `authorizer` says where whoever asks does not have what is needed."""
    principal = current()
    if need.role is None:
        return
    if need.parameter is None:
        enough = has_anywhere(principal, need.role) if need.anywhere else allows(principal, need.role)
        if not enough:
            raise _forbidden(principal, need.role, what, "anything" if need.anywhere else "the yard")
        return
    if allows(principal, need.role):
        return
    kind = need.kind or parameters["kind"]
    name = parameters[need.parameter]
    project = project_of(yard, kind, name)
    resource = f"{_spoken_kind(yard, kind, name)}/{name}"
    if allows(principal, need.role, project, resource):
        return
    if project is None or not allows(principal, Role.VIEWER, project, resource):
        raise NotFound(f"cannot find {kind} {name!r}", "or it is not for you to see: an admin can grant that")
    raise _forbidden(principal, need.role, what, resource)


def _spoken_kind(yard: Yard, kind: str, name: str) -> str:
    """As grants name it: an app is asked about by an endpoint's routes, and granted as an app."""
    try:
        return yard.store.endpoints.get(name).kind if kind == "endpoint" else kind
    except NotFound:
        return kind


def check_role(role: Role, project: str | None, resource: str | None, what: str) -> None:
    """For what a body names. Raises Forbidden."""
    principal = current()
    if not allows(principal, role, project, resource):
        raise _forbidden(principal, role, what, resource or (f"project {project}" if project else "the yard"))


def sees(kind: str, name: str, project: str) -> bool:
    """Whether whoever asks may see that thing in a list."""
    return allows(current(), Role.VIEWER, project, f"{kind}/{name}")


def sees_everything() -> bool:
    return allows(current(), Role.VIEWER)


def project_of(yard: Yard, kind: str, name: str) -> str | None:
    """None where there is no such thing."""
    try:
        find = _PROJECTS.get(kind)
        return find(yard, name) if find is not None else yard.store.resources.get(kind, name).project
    except NotFound:
        return None


def current() -> Principal:
    """Who asks. Raises Unauthorized where nobody was recognised."""
    principal = PRINCIPAL.get()
    if principal is None:
        raise Unauthorized("cannot answer without a credential", "send a key, or sign in")
    return principal


def asked_by(said: str | None) -> str | None:
    """Who is remembered for a change: somebody who signed in, whatever their client says; else what it says."""
    principal = PRINCIPAL.get()
    return principal.id if principal is not None and principal.kind is PrincipalKind.USER else said


def _forbidden(principal: Principal, role: Role, what: str, where: str) -> Forbidden:
    if principal.must_change_password:
        return Forbidden(f"cannot {what}: {principal} has a temporary password", "choose one of your own first")
    return Forbidden(f"cannot {what}: {principal} is no {role.word} on {where}", "an admin can grant that")
