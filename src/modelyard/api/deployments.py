"""A deploy: several resources at once, checked, packaged, and wished for in one transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter
from modelyard_worker.object_store import is_object_url
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from modelyard.api.asked import Asked
from modelyard.api.audit import about
from modelyard.api.environments import check_environment
from modelyard.api.errors import SHAPE
from modelyard.api.hosts import Place, check_places_free, document_place
from modelyard.api.kinds import check_resource
from modelyard.api.outcomes import OutcomeView, outcome_view
from modelyard.api.permissions import asked_by, check_role, guarded
from modelyard.api.predictors import ModelSource, Predictor
from modelyard.api.rollouts import StrategyWish, check_guard
from modelyard.api.scaling import REPLICAS_MAX, AutoscalingWish
from modelyard.api.schedules import ScheduleWish
from modelyard.api.secrets import check_secrets
from modelyard.api.yard import Yard
from modelyard.domain.access import Role, policy_from
from modelyard.domain.apps import BODY_BYTES_MAX as APP_BODY_BYTES_MAX
from modelyard.domain.apps import COMMAND_WORDS_MAX, AppSettings, check_app
from modelyard.domain.apps import KIND as APP
from modelyard.domain.captures import KEEP_SECONDS, capture_from
from modelyard.domain.deployments import ENDPOINT, RESOURCES_MAX, Change, Outcome, Wanted
from modelyard.domain.endpoints import BY_LENGTH_MAX, EndpointSpec
from modelyard.domain.functions import INSTANCES_MAX, SCHEDULED_EVENT_BYTES_MAX, Function
from modelyard.domain.invocations import TIME_TO_LIVE_SECONDS_MAX, TIME_TO_LIVE_SECONDS_MIN, Asynchronous
from modelyard.domain.model_folders import model_folder_from
from modelyard.domain.models import check_approved, parse_model_reference
from modelyard.domain.names import check_name, name_key
from modelyard.domain.quantities import share_of
from modelyard.domain.resources import ANSWERS_AS_ENDPOINT, ResourceName
from modelyard.errors import Conflict, InvalidValue, ModelyardError, NotFound
from modelyard.packaging.model_folders import libraries_of
from modelyard.packaging.package import build_package, read_document
from modelyard.protocol.routes import RESERVED_NAMES
from modelyard.store.ports import JsonObject

_ADDRESSED = frozenset({ENDPOINT, *ANSWERS_AS_ENDPOINT})
"""Kinds whose names are the first part of a path: Cortex's clients post to `/NAME`."""

_PLACE_OF_MODELS = r"^(/|s3://[A-Za-z0-9][A-Za-z0-9._-]{1,62}(/|$))"

SHAPE_ENDPOINT = f"{SHAPE}endpoint"
SHAPE_OTHER = f"{SHAPE}other"
THREADS_MAX = 256
BATCH_SIZE_MAX = 4096
QUEUE_LENGTH_MAX = 1_000_000
BODY_BYTES_MAX = 100 * 2**20
SECONDS_MAX = 3600.0
ATTEMPTS_MAX = 20
MODELS_LOADED_MAX = 10_000
GPUS_MAX = 64
CONCURRENCY_MAX = 1000
"""SageMaker's limit for MaxConcurrentInvocationsPerInstance."""

_ASYNCHRONOUS = Asynchronous()
KEEP_SECONDS_MAX = 3650 * 86400.0


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class FunctionScheduleWish(ScheduleWish):
    """When a function is called, and what with; without an event it is EventBridge's."""

    event: Any = None

    def document(self) -> dict[str, Any]:
        """As `domain.functions.Function` has it. Raises InvalidValue."""
        timing = self.timing().document
        if self.event is None:
            return timing
        if len(json.dumps(self.event).encode()) > SCHEDULED_EVENT_BYTES_MAX:
            raise InvalidValue(
                f"cannot schedule an event of over {SCHEDULED_EVENT_BYTES_MAX} bytes", "name a file in it"
            )
        return {**timing, "event": self.event}


class FunctionWish(Strict):
    """Fields of `domain.functions.Function`."""

    concurrency: Annotated[int, Field(ge=1, le=INSTANCES_MAX)]
    schedule: FunctionScheduleWish | None = None

    def function(self) -> Function:
        """Raises InvalidValue where the schedule names no times or the event is too long."""
        return Function(self.concurrency, self.schedule.document() if self.schedule is not None else None)


class AsynchronousWish(Strict):
    """Fields of `domain.invocations.Asynchronous`; what is left out has its default."""

    time_to_live_seconds: Annotated[float, Field(ge=TIME_TO_LIVE_SECONDS_MIN, le=TIME_TO_LIVE_SECONDS_MAX)] = (
        _ASYNCHRONOUS.time_to_live_seconds
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=SECONDS_MAX)] = _ASYNCHRONOUS.timeout_seconds
    attempts: Annotated[int, Field(ge=1, le=ATTEMPTS_MAX)] = _ASYNCHRONOUS.attempts
    max_concurrency: Annotated[int, Field(ge=1, le=CONCURRENCY_MAX)] = _ASYNCHRONOUS.max_concurrency
    webhook: Annotated[str | None, Field(pattern=r"^https?://[^\s/]+(/\S*)?$")] = None
    include_result: bool = False


class ModelFolderWish(Strict):
    """Many models behind one endpoint, as `domain.model_folders.ModelFolder` has it."""

    dir: Annotated[str | None, Field(pattern=_PLACE_OF_MODELS)] = None
    paths: dict[str, Annotated[str, Field(pattern=_PLACE_OF_MODELS)]] = {}
    cache_size: Annotated[int | None, Field(ge=1, le=MODELS_LOADED_MAX)] = None
    memory_bytes: Annotated[int | None, Field(ge=1)] = None


class CaptureWish(Strict):
    """Which requests and answers are kept, as `domain.captures.Capture` has it."""

    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    payload: Literal["both", "input", "output", "none"] = "both"
    keep_seconds: Annotated[float, Field(gt=0, le=KEEP_SECONDS_MAX)] = KEEP_SECONDS


class Spec(Strict):
    """Fields of `domain.endpoints.EndpointSpec` without those about the package and the model; what is left out has its
    default."""

    replicas: Annotated[int | None, Field(ge=0, le=REPLICAS_MAX)] = None
    """So many, always; without it the endpoint scales. 0 stops an app."""
    autoscaling: AutoscalingWish | None = None
    cpu_millis: Annotated[int, Field(ge=1)] | None = None
    memory_bytes: Annotated[int | None, Field(ge=1)] = None
    gpus: Annotated[int, Field(ge=0, le=GPUS_MAX)] = 0
    threads_per_process: Annotated[int, Field(ge=1, le=THREADS_MAX)] = 1
    max_batch_size: Annotated[int, Field(ge=1, le=BATCH_SIZE_MAX)] = 32
    max_in_flight: Annotated[int | None, Field(ge=1, le=QUEUE_LENGTH_MAX)] = None
    max_queue_length: Annotated[int, Field(ge=0, le=QUEUE_LENGTH_MAX)] = 1024
    max_queue_bytes: Annotated[int, Field(ge=0)] = 256 * 2**20
    timeout_seconds: Annotated[float, Field(gt=0, le=SECONDS_MAX)] = 60.0
    max_body_bytes: Annotated[int, Field(ge=1, le=APP_BODY_BYTES_MAX)] = 6 * 2**20
    idempotent: bool = True
    require_approval: bool = False
    """Refuses a model that is not registered, or whose version nobody has approved."""
    start_seconds: Annotated[float, Field(gt=0, le=SECONDS_MAX)] = 120.0
    drain_seconds: Annotated[float, Field(ge=0, le=SECONDS_MAX)] = 60.0
    ttl_seconds: Annotated[float | None, Field(gt=0, le=365 * 86400.0)] = None
    capture: CaptureWish | None = None
    models: ModelFolderWish | None = None
    max_surge: str = "25%"
    max_unavailable: str = "0"
    update_strategy: StrategyWish | None = None
    asynchronous: AsynchronousWish | None = None
    """Where every invocation is queued; of a function, how those are treated that are."""
    function: FunctionWish | None = None
    """Where the predictor is a handler."""
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Variable -> name of the secret."""


class AppWish(Strict):
    """How an app is started and where it is visited."""

    command: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=COMMAND_WORDS_MAX)]
    """`$PORT` stands for the port that it is to listen on."""
    environment: dict[str, str] = {}
    """What the command needs beside `spec.environment`, with `$PORT` likewise."""
    health: Annotated[str | None, Field(pattern=r"^/[!-~]*$")] = None
    path: str | None = None
    """Its main file: beside it, or at the root, the requirements are looked for."""
    python: str | None = None
    hosts: list[str] = []
    port: int | None = None
    """Where it is visited; `$PORT`, which its command listens on, is another."""
    sticky: bool = True


class EndpointResource(Strict):
    kind: Literal["endpoint", "app"] = "endpoint"
    name: str
    model: ModelSource | None = None
    code: str | None = None
    predictor: Predictor | None = None
    app: AppWish | None = None
    """Of kind `app`, in place of `model` and `predictor`."""
    package: str | None = None
    """Digest of a package that is in the yard already, in place of `model`, `code` and `predictor`."""
    access: str | dict[str, Any] | None = None
    """Who may call it: `public`, `key`, `login`, `{groups: [...]}`, each with `addresses` or without; left out it is
    the yard's to say."""
    spec: Spec = Spec()


class OtherResource(Strict):
    """Anything else; what its document holds is its kind's own affair."""

    kind: str
    name: str
    spec: dict[str, Any] = {}


def _shape(resource: Any) -> str:
    """Which of the two is meant, so that a mistake in one is not told as a mistake in the other."""
    if isinstance(resource, dict):
        kind: object = cast("dict[str, Any]", resource).get("kind", ENDPOINT)
    else:
        kind = getattr(resource, "kind", ENDPOINT)
    return SHAPE_ENDPOINT if kind in (ENDPOINT, APP) else SHAPE_OTHER


Resource = Annotated[
    Annotated[EndpointResource, Tag(SHAPE_ENDPOINT)] | Annotated[OtherResource, Tag(SHAPE_OTHER)],
    Discriminator(_shape),
]


class Deployment(Strict):
    project: str
    by: Annotated[str | None, Field(max_length=BY_LENGTH_MAX)] = None
    """Who asks, for the history."""
    resources: Annotated[list[Resource], Field(min_length=1, max_length=RESOURCES_MAX)]
    from_file: bool = False
    """Whether this is all that the project's yard file wishes, so that a later `prune` knows it."""
    prune: bool = False
    """Deletes what the file of the project wished before and does not any more."""


@dataclass(frozen=True, slots=True)
class OutcomesView:
    outcomes: list[OutcomeView]


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "deployments")

    @router.post("/deployments")
    def deploy(deployment: Deployment) -> OutcomesView:
        """Wishes for every resource or, where one cannot be, for none. On disk when this answers."""
        return OutcomesView(outcomes=[outcome_view(outcome) for outcome in apply(yard, deployment)])

    return router


def apply(yard: Yard, deployment: Deployment) -> list[Outcome]:
    """Packages first, so that the transaction at the end is short. Raises as the checks do; then nothing is wished."""
    check_name(deployment.project, "project name")
    _check_allowed(deployment)
    if deployment.prune and not deployment.from_file:
        raise InvalidValue("cannot prune: only a whole yard file says what is to stay", "say `from_file` too")
    _check_names(deployment.resources)
    wanted = _wanted(yard, deployment)
    now = yard.clock.now()
    applied = yard.store.deployments.apply(deployment.project, wanted, now, asked_by(deployment.by))
    apps = {name_key(name) for name, spec in wanted.endpoints.items() if spec.app is not None}
    outcomes = [
        replace(one, kind=APP) if one.kind == ENDPOINT and name_key(one.name) in apps else one for one in applied
    ]
    for outcome in outcomes:
        if outcome.change is not Change.UP_TO_DATE:
            about(f"{outcome.kind}/{outcome.name}")
            yard.store.events.add(outcome.kind, outcome.name, outcome.sentence, now)
    yard.poke()
    return outcomes


def _check_allowed(deployment: Deployment) -> None:
    """Raises Forbidden. Pruning deletes what nobody named, so it takes the role in the whole project."""
    if deployment.prune:
        check_role(Role.DEPLOYER, deployment.project, None, "prune")
    for one in deployment.resources:
        check_role(Role.DEPLOYER, deployment.project, f"{one.kind}/{one.name}", "deploy")


def _check_names(resources: list[Resource]) -> None:
    seen: set[tuple[str, str]] = set()
    for resource in resources:
        name = ResourceName(resource.kind, resource.name)
        check_name(resource.name, f"{resource.kind} name")
        if resource.kind in _ADDRESSED and name_key(resource.name) in RESERVED_NAMES:
            raise InvalidValue(
                f"cannot deploy {name}: the yard's own address /{name_key(resource.name)} has that name",
                f"choose another, such as {resource.name}-model",
            )
        if name.key in seen:
            raise InvalidValue(
                f"cannot deploy {name}: the deployment has two of that name", "names differ by more than case"
            )
        seen.add(name.key)


def _wanted(yard: Yard, deployment: Deployment) -> Wanted:
    endpoints = [one for one in deployment.resources if isinstance(one, EndpointResource)]
    others = [one for one in deployment.resources if isinstance(one, OtherResource)]
    keys = frozenset(name_key(one.name) for one in endpoints)
    names = frozenset(ResourceName(one.kind, one.name).key for one in others)
    resources = {
        ResourceName(one.kind, one.name): check_resource(
            one.kind, Asked(yard, deployment.project, one.name, one.spec, keys, names)
        )
        for one in others
    }
    for one in endpoints:
        check_guard(yard, one.name, one.spec.update_strategy, names)
    specs = {one.name: endpoint_spec(yard, one) for one in endpoints}
    access = {one.name: policy_from(one.access) for one in endpoints if one.access is not None}
    check_places_free(yard, _places(deployment.project, specs, resources))
    return Wanted(specs, resources, access, from_file=deployment.from_file, prune=deployment.prune)


def _places(
    project: str, specs: Mapping[str, EndpointSpec], resources: Mapping[ResourceName, JsonObject]
) -> list[Place]:
    """Of those with an origin of their own."""
    apps = [Place(APP, name, project, one.app.hosts, one.app.port) for name, one in specs.items() if one.app]
    others = [document_place(one.kind, one.name, project, spec) for one, spec in resources.items()]
    return [*apps, *filter(None, others)]


def endpoint_spec(yard: Yard, resource: EndpointResource) -> EndpointSpec:
    """The domain's spec, with the package built. An error names the resource that it is about."""
    _check_spec(yard, resource)
    _check_kind(yard, resource)
    given = resource.spec.model_dump(
        exclude={"replicas", "autoscaling", "update_strategy", "asynchronous", "capture", "function", "models"}
    )
    given["update_strategy"] = (resource.spec.update_strategy or StrategyWish()).strategy()
    wish = resource.spec.asynchronous
    given["asynchronous"] = Asynchronous(**wish.model_dump()) if wish is not None else None
    function = resource.spec.function
    given["function"] = function.function() if function is not None else None
    captured = resource.spec.capture
    given["capture"] = capture_from(captured.model_dump()) if captured is not None else None
    folder = model_folder_from(resource.spec.models.model_dump()) if resource.spec.models is not None else None
    given["models"] = folder
    if resource.app is not None:
        return _app_spec(yard, resource, resource.app, given)
    if resource.package is not None:
        return EndpointSpec(package=_check_package(yard, resource), **given, **_replicas(resource.spec))
    try:
        model = _resolve_model(yard, resource)
        package = build_package(
            yard.artifacts,
            predictor=resource.predictor.model_dump(by_alias=True) if resource.predictor else None,
            code_tree=resource.code,
            model_tree=model.tree,
            model_name=model.name,
            model_version=model.version,
            framework=model.framework,
            libraries=libraries_of(folder) if folder is not None else None,
        )
    except ModelyardError as error:
        raise type(error)(f"{error.message} (endpoint {resource.name})", error.hint) from error
    return EndpointSpec(
        package=package, model=model.reference, model_asked=model.asked, **given, **_replicas(resource.spec)
    )


def _app_spec(yard: Yard, resource: EndpointResource, app: AppWish, given: dict[str, Any]) -> EndpointSpec:
    settings = check_app(AppSettings(tuple(app.hosts), app.sticky, app.port))
    started = app.model_dump(include={"command", "environment", "health", "path", "python"})
    package = build_package(yard.artifacts, predictor=None, code_tree=resource.code, model_tree=None, app=started)
    return EndpointSpec(package=package, app=settings, **given, **_replicas(resource.spec))


def _check_kind(yard: Yard, resource: EndpointResource) -> None:
    """Raises InvalidValue for what does not go with the kind, Conflict where the name is the other kind's."""
    name = ResourceName(resource.kind, resource.name)
    if (resource.kind == APP) != (resource.app is not None):
        raise InvalidValue(f"cannot deploy {name}: only an app has `app`, and it needs one")
    if resource.kind == ENDPOINT and resource.spec.replicas == 0:
        raise InvalidValue(f"cannot deploy {name} with 0 replicas", "write 1, or `autoscaling` with min_replicas 0")
    if resource.kind == ENDPOINT and resource.spec.max_body_bytes > BODY_BYTES_MAX:
        raise InvalidValue(f"cannot deploy {name}: max_body_bytes is over {BODY_BYTES_MAX}", "queue such requests")
    try:
        found = yard.store.endpoints.get(resource.name)
    except NotFound:
        return
    kind = "function" if resource.spec.function is not None else resource.kind
    if found.kind != kind:
        raise Conflict(
            f"cannot deploy {kind}/{resource.name}: there is {found.kind}/{found.name}",
            f"`modelyard delete {found.kind}/{found.name}` first, or choose another name",
        )


def _replicas(spec: Spec) -> dict[str, Any]:
    """A fixed number, or how it scales; what says neither scales as the yard sees fit."""
    if spec.replicas is not None:
        return {"replicas": spec.replicas}
    settings = (spec.autoscaling or AutoscalingWish()).settings()
    return {"replicas": settings.begins_with, "autoscaling": settings}


def _check_package(yard: Yard, resource: EndpointResource) -> str:
    digest = str(resource.package)
    if resource.model is not None or resource.code is not None or resource.predictor is not None:
        raise InvalidValue(
            f"cannot deploy endpoint {resource.name}: a package has its own model, code and predictor",
            "leave them out, or leave `package` out",
        )
    document = read_document(yard.artifacts, digest)
    _check_function(
        resource, has_handler=cast("dict[str, Any]", document.get("predictor") or {}).get("handler") is not None
    )
    return digest


def _check_spec(yard: Yard, resource: EndpointResource) -> None:
    check_environment(resource.spec.environment)
    check_secrets(yard, resource.spec.secrets, resource.spec.environment)
    for share in (resource.spec.max_surge, resource.spec.max_unavailable):
        share_of(share, 1, up=True)
    if resource.spec.replicas is not None and resource.spec.autoscaling is not None:
        raise InvalidValue(
            f"cannot deploy endpoint {resource.name}: both `replicas` and `autoscaling` are given", "give one of them"
        )
    if resource.spec.models is not None:
        _check_models(resource, resource.spec.models)
    if resource.package is None:
        _check_function(resource, has_handler=resource.predictor is not None and resource.predictor.handler is not None)
    if resource.predictor is not None and resource.code is None:
        raise InvalidValue(
            f"cannot deploy endpoint {resource.name}: a predictor needs `code`", "send the tree that has it"
        )


def _check_models(resource: EndpointResource, models: ModelFolderWish) -> None:
    cannot = f"cannot deploy endpoint {resource.name}"
    if resource.model is not None:
        raise InvalidValue(f"{cannot}: both `model` and `models` are given", "give one of them")
    if models.dir is None and not models.paths:
        raise InvalidValue(f"{cannot}: `models` names neither a folder nor a path", "give `dir`")
    places = [*([models.dir] if models.dir is not None else []), *models.paths.values()]
    if len({is_object_url(one) for one in places}) > 1:
        raise InvalidValue(f"{cannot}: some of `models` lie in buckets and some do not", "have all in one or the other")
    if models.dir is not None and not is_object_url(models.dir) and not Path(models.dir).is_dir():
        raise InvalidValue(f"{cannot}: there is no folder {models.dir}", "name one on the yard's machine")


def _check_function(resource: EndpointResource, *, has_handler: bool) -> None:
    if has_handler != (resource.spec.function is not None):
        raise InvalidValue(
            f"cannot deploy {resource.name}: a function has both `predictor.handler` and `function`",
            "give both for a function, and neither for an endpoint",
        )


@dataclass(frozen=True, slots=True)
class _Model:
    """What is to be served; empty for a predictor alone."""

    tree: str | None = None
    name: str | None = None
    version: int | None = None
    framework: str | None = None
    asked: str | None = None

    @property
    def reference(self) -> str | None:
        return f"{self.name}:{self.version}" if self.name else None


def _resolve_model(yard: Yard, resource: EndpointResource) -> _Model:
    source = resource.model
    if resource.spec.require_approval and (source is None or source.reference is None):
        raise Conflict(
            "cannot require approval of a model that is not registered",
            "`modelyard register` it and name it, or leave `require_approval` out",
        )
    if source is None:
        return _Model()
    if (source.reference is None) == (source.tree is None):
        raise InvalidValue("cannot tell which model is meant: give exactly one of `reference` and `tree`")
    if source.reference is None:
        return _Model(tree=source.tree, framework=source.framework)
    asked = parse_model_reference(source.reference)
    found = yard.store.models.resolve(asked)
    check_role(Role.VIEWER, found.project, f"model/{found.model}", "deploy the model")
    if resource.spec.require_approval:
        check_approved(found)
    return _Model(found.tree, found.model, found.version, source.framework or found.framework, str(asked))
