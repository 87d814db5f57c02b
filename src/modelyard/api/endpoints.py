"""Endpoints: how one is shown, deleted, and what its replicas printed."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from modelyard.api.hosts import Place, check_places_free
from modelyard.api.masked import masked
from modelyard.api.moments import moment
from modelyard.api.outcomes import OutcomeView, outcome_view
from modelyard.api.output import LINES_DEFAULT, LINES_MAX, text_stream
from modelyard.api.permissions import asked_by, guarded, sees
from modelyard.api.ports import OwnPorts, own_ports
from modelyard.api.replica_logs import Followed, LogQuestion, replica_folders, replica_output
from modelyard.api.rollouts import rollout_view, shadow_view
from modelyard.api.schemas import body_type, description_of, example_body, openapi_of
from modelyard.api.secrets import secret_notes
from modelyard.api.splitters import check_not_split
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import policy_document
from modelyard.domain.apps import KIND as APP
from modelyard.domain.deployments import Change, Outcome, previous_ready
from modelyard.domain.endpoints import (
    BY_LENGTH_MAX,
    Endpoint,
    EndpointSpec,
    EndpointStatus,
    EndpointVersion,
    ReplicaStatus,
    told_of,
)
from modelyard.domain.idleness import Requests, expires_at
from modelyard.domain.names import name_key
from modelyard.domain.secrets import Secret
from modelyard.protocol.browsers import own_origin
from modelyard.protocol.routes import ASYNC_INVOCATIONS, ENDPOINTS, FUNCTIONS, INVOCATIONS, REQUEST_ID_LENGTH_MAX
from modelyard.protocol.views_of_endpoints import (
    EndpointsView,
    EndpointView,
    HistoryView,
    ReplicaView,
    VersionView,
)
from modelyard.store.log_lines import Wanted

By = Annotated[str | None, Field(max_length=BY_LENGTH_MAX)]


class Rollback(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: Annotated[int | None, Field(ge=1)] = None
    by: By = None


class Refresh(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Annotated[int | None, Field(ge=1)] = None
    by: By = None


def endpoint_view(
    endpoint: Endpoint,
    seen: EndpointStatus | None,
    origin: str,
    now: float,
    secrets: Sequence[Secret] = (),
    requests: Requests | None = None,
    *,
    ports: OwnPorts,
) -> EndpointView:
    """The wish and what was last seen of it, as one. `origin` is where the client reached the yard."""
    wished = endpoint.wished
    said = told_of(endpoint, seen)
    requests = requests or Requests()
    expiry = None if endpoint.deleting else expires_at(wished.spec.ttl_seconds, wished.created_at, requests)
    return EndpointView(
        kind=endpoint.kind,
        name=endpoint.name,
        project=endpoint.project,
        model=wished.spec.model,
        model_asked=wished.spec.model_asked,
        state=said.state.value,
        sentence=said.sentence,
        ready=seen.ready if seen else 0,
        requested=_requested(endpoint, seen),
        up_to_date=seen.up_to_date if seen and said.current else 0,
        serving_version=seen.serving_version if seen else None,
        wished_version=wished.number,
        created_at=iso(endpoint.versions[0].created_at),
        updated_at=iso(max(seen.updated_at if seen else 0.0, wished.created_at)),
        last_request_at=None if requests.last_at is None else iso(requests.last_at),
        expires_at=None if expiry is None else iso(expiry),
        url=_url(origin, endpoint, ports),
        is_function=endpoint.wished.spec.function is not None,
        is_queued=_is_queued(endpoint.wished.spec),
        has_models=endpoint.wished.spec.models is not None,
        access=policy_document(endpoint.access) if endpoint.access is not None else None,
        replicas=[_replica_view(one) for one in seen.replicas] if seen else [],
        versions=[_version_view(endpoint, one) for one in endpoint.versions],
        notes=[*secret_notes(wished.spec, seen, secrets), *_port_notes(endpoint, ports)],
        example=example_body(seen),
        content_type=body_type(seen),
        rollout=rollout_view(endpoint, now),
        shadow=shadow_view(endpoint, seen),
    )


def _port_notes(endpoint: Endpoint, ports: OwnPorts) -> list[str]:
    app = endpoint.wished.spec.app
    return ports.notes(app.port) if app is not None else []


def _url(origin: str, endpoint: Endpoint, ports: OwnPorts) -> str:
    app = endpoint.wished.spec.app
    if app is not None:
        return ports.address(origin, endpoint.name, app.hosts, app.port)
    if endpoint.wished.spec.function is not None:
        return f"{origin}{FUNCTIONS}{endpoint.name}"
    verb = ASYNC_INVOCATIONS if _is_queued(endpoint.wished.spec) else INVOCATIONS
    return f"{origin}{ENDPOINTS}{endpoint.name}{verb}"


def _is_queued(spec: EndpointSpec) -> bool:
    return spec.asynchronous is not None and spec.function is None


def _requested(endpoint: Endpoint, seen: EndpointStatus | None) -> int:
    spec = endpoint.governing.spec
    return spec.replicas if spec.autoscaling is None or seen is None else seen.requested


def _version_view(endpoint: Endpoint, one: EndpointVersion) -> VersionView:
    return VersionView(
        number=one.number,
        state=endpoint.told_state(one),
        reason=one.reason,
        model=one.spec.model,
        model_asked=one.spec.model_asked,
        created_at=iso(one.created_at),
        cause=one.origin.cause.value,
        source=one.origin.source,
        by=one.origin.by,
    )


def _replica_view(one: ReplicaStatus) -> ReplicaView:
    return ReplicaView(
        id=one.id,
        version=one.version,
        state=one.state,
        pid=one.pid,
        started_at=iso(one.started_at),
        forked=one.forked,
        reason=one.reason,
    )


class LogsAsked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lines: Annotated[int, Field(ge=0, le=LINES_MAX)] = LINES_DEFAULT
    """The last of those that are wanted."""
    follow: bool = False
    replica: str | None = None
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] | None = None
    """At least so grave."""
    since: str | None = None
    """A time as RFC 3339 has it, or how long ago: `10m`."""
    request: Annotated[str | None, Field(max_length=REQUEST_ID_LENGTH_MAX)] = None
    format: Literal["text", "json"] = "text"
    """`json` is a JSON object a line."""


def _wish(yard: Yard, outcome: Outcome) -> OutcomeView:
    """What follows a new wish: the event that people read, and word to the controller."""
    if outcome.change is not Change.UP_TO_DATE:
        yard.store.events.add(outcome.kind, outcome.name, outcome.sentence, yard.clock.now())
        yard.poke()
    return outcome_view(outcome)


def _check_place(yard: Yard, endpoint: Endpoint, to: int | None) -> None:
    """Raises Conflict where the version that is wished again had a place which is another's by now."""
    target = endpoint.version(to) if to is not None else previous_ready(endpoint)
    app = target.spec.app if target is not None else None
    if app is not None:
        check_places_free(yard, [Place(APP, endpoint.name, endpoint.project, app.hosts, app.port)])


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "endpoints")

    @router.get("/endpoints")
    def list_endpoints(request: Request, project: str | None = None) -> EndpointsView:
        """By name."""
        seen = yard.store.endpoints.statuses()
        origin = own_origin(request.headers)
        found = [one for one in yard.store.endpoints.select(project) if sees(one.kind, one.name, one.project)]
        secrets, requests, ports = yard.store.secrets.select(), yard.store.endpoints.requests(), own_ports(yard)
        return EndpointsView(
            endpoints=[
                endpoint_view(
                    one,
                    seen.get(name_key(one.name)),
                    origin,
                    yard.clock.now(),
                    secrets,
                    requests.get(name_key(one.name)),
                    ports=ports,
                )
                for one in found
            ]
        )

    @router.get("/endpoints/{name}")
    def get_endpoint(name: str, request: Request) -> EndpointView:
        """One endpoint, with its replicas and versions."""
        found = yard.store.endpoints.get(name)
        seen, origin = yard.store.endpoints.status(name), own_origin(request.headers)
        secrets, requests = yard.store.secrets.select(), yard.store.endpoints.requests_of(name)
        return endpoint_view(found, seen, origin, yard.clock.now(), secrets, requests, ports=own_ports(yard))

    @router.delete("/endpoints/{name}", status_code=202)
    def delete_endpoint(name: str, request: Request) -> EndpointView:
        """Deletes it: its replicas finish what they hold, then it is gone."""
        already = yard.store.endpoints.get(name).deleting
        check_not_split(yard, name)
        endpoint = yard.store.endpoints.delete(name, yard.clock.now())
        if not already:
            yard.store.events.add(
                "endpoint", endpoint.name, f"deleting {endpoint.name} ({endpoint.kind})", yard.clock.now()
            )
        yard.poke()
        seen, origin = yard.store.endpoints.status(name), own_origin(request.headers)
        return endpoint_view(endpoint, seen, origin, yard.clock.now(), ports=own_ports(yard))

    @router.get("/endpoints/{name}/history")
    def show_history(name: str) -> HistoryView:
        """Its versions that are remembered, newest first, and how each came about."""
        endpoint = yard.store.endpoints.get(name)
        seen = yard.store.endpoints.status(name)
        back = previous_ready(endpoint)
        return HistoryView(
            name=endpoint.name,
            wished_version=endpoint.wished.number,
            serving_version=seen.serving_version if seen else None,
            rollback_version=back.number if back else None,
            versions=[_version_view(endpoint, one) for one in reversed(endpoint.versions)],
        )

    @router.post("/endpoints/{name}/rollback")
    def roll_back(name: str, rollback: Rollback) -> OutcomeView:
        """Wishes for a new version equal to version `to`. Asked again with the same `to`, nothing is done."""
        _check_place(yard, yard.store.endpoints.get(name), rollback.to)
        return _wish(yard, yard.store.endpoints.roll_back(name, rollback.to, yard.clock.now(), asked_by(rollback.by)))

    @router.post("/endpoints/{name}/refresh")
    def refresh(name: str, refresh: Refresh) -> OutcomeView:
        """Wishes for a new version equal to the present one, so that every replica is replaced without a gap. Asked
        again with the same `version`, nothing is done."""
        return _wish(yard, yard.store.endpoints.refresh(name, refresh.version, yard.clock.now(), asked_by(refresh.by)))

    @router.get("/endpoints/{name}/schema")
    def show_schema(name: str) -> dict[str, Any]:
        """What it takes and gives, as its replicas say it."""
        return description_of(yard.store.endpoints.get(name), yard.store.endpoints.status(name))

    @router.get("/endpoints/{name}/openapi.json")
    def show_openapi(name: str, request: Request) -> dict[str, Any]:
        """The same as an OpenAPI document; a web application's own, where it has one."""
        found, seen = yard.store.endpoints.get(name), yard.store.endpoints.status(name)
        return openapi_of(found, seen, own_origin(request.headers))

    @router.get("/endpoints/{name}/logs", response_class=StreamingResponse)
    def show_logs(name: str, asked: Annotated[LogsAsked, Query()]) -> StreamingResponse:
        """What its replicas printed, each line with its time, its level and the request that it is about; with
        `follow`, and then what they print."""
        endpoint = yard.store.endpoints.get(name).name
        replica_folders(yard, endpoint, asked.replica)
        since = moment(asked.since, yard.clock.now()) if asked.since else None
        wanted = Wanted(asked.level, iso(since) if since is not None else None, asked.request)
        question = LogQuestion(asked.lines, asked.replica, wanted, asked.format == "json")
        lines = Followed(yard, endpoint, question).lines() if asked.follow else replica_output(yard, endpoint, question)
        return text_stream(masked(yard, lines), follow=asked.follow)

    return router
