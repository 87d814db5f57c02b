"""Batches: what a deployment's document becomes, and transforms of one by its name."""

from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.api.asked import Asked
from modelyard.api.environments import check_environment
from modelyard.api.errors import invalid_value
from modelyard.api.permissions import check_role, guarded
from modelyard.api.predictors import Predictor
from modelyard.api.schedules import ScheduleWish
from modelyard.api.secrets import check_secrets
from modelyard.api.transforms import (
    TransformOptions,
    accept_transform,
    check_options,
    check_place_words,
    transform_view,
)
from modelyard.api.yard import Yard
from modelyard.domain.access import Role
from modelyard.domain.batches import KIND, NAME_LENGTH_MAX, Batch, batch_from, output_of_jobs, transform_of
from modelyard.domain.models import parse_model_reference
from modelyard.domain.names import name_key
from modelyard.domain.queueing import PRIORITY_MAX, PRIORITY_MIN
from modelyard.domain.sources import SOURCE_LENGTH_MAX
from modelyard.domain.transforms import Transform
from modelyard.errors import InvalidValue
from modelyard.packaging.scorers import ScorerSource, build_scorer
from modelyard.protocol.views_of_transforms import TransformView
from modelyard.store.ports import JsonObject

Place = Annotated[str, Field(min_length=1, max_length=SOURCE_LENGTH_MAX)]


class BatchWish(BaseModel):
    """`domain.batches.Batch`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: Place | None = None
    output: Place | None = None
    model: str | None = None
    model_tree: str | None = None
    endpoint: str | None = None
    predictor: Predictor | None = None
    code: str | None = None
    options: TransformOptions = TransformOptions()
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    cpu_millis: Annotated[int | None, Field(gt=0)] = None
    memory_bytes: Annotated[int | None, Field(gt=0)] = None
    priority: Annotated[int, Field(ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    schedule: ScheduleWish | None = None


class TransformChanges(BaseModel):
    """What one transform has otherwise than its batch."""

    model_config = ConfigDict(extra="forbid", strict=True)

    input: Place | None = None
    output: Place | None = None
    options: TransformOptions = TransformOptions()


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "batches")

    @router.post("/batches/{name}/transforms", status_code=201)
    def start_transform_of_batch(name: str, changes: TransformChanges | None = None) -> TransformView:
        """A transform of a deployed batch, with the version of its model that counts now."""
        return transform_view(yard, start_batch(yard, name, changes or TransformChanges()))

    return router


def start_batch(
    yard: Yard,
    name: str,
    changes: TransformChanges,
    *,
    submitted: dict[str, Any] | None = None,
    job_output: str | None = None,
    max_runtime_seconds: float | None = None,
    retries: int | None = None,
) -> Transform:
    """`submitted` is what the predictor is told of the job; its `config` is merged into the predictor's. `job_output`
    says that the names of its objects are those of every job: its answers go to a folder of its own in the batch's
    output, to `job_output` where it has none. `retries` is not bound to SageMaker's limit, as the option is. Raises
    NotFound, InvalidValue."""
    resource = yard.store.resources.get(KIND, name)
    batch = batch_from(resource.wished.spec)
    if job_output is not None:
        batch = replace(batch, output=output_of_jobs(batch.output) if batch.output is not None else job_output)
    given = changes.options.model_dump(exclude_none=True)
    batch = replace(
        batch,
        input=changes.input or batch.input,
        output=changes.output or batch.output,
        options={**batch.options, **given},
    )
    config: dict[str, Any] = (submitted or {}).get("config") or {}
    if batch.predictor is not None and config:
        own: dict[str, Any] = batch.predictor.get("config") or {}
        batch = replace(batch, predictor={**batch.predictor, "config": {**own, **config}})
    if batch.input is None or batch.output is None:
        raise InvalidValue(f"cannot start batch {name}: it has no input or no output", "name both, here or in its file")
    package, model = _package(yard, batch)
    now = yard.clock.now()
    spec = transform_of(batch, resource.name.name, resource.project, package, model, now, None)
    spec = replace(spec, max_runtime_seconds=max_runtime_seconds, submitted=submitted or {})
    check_options(TransformOptions.model_validate(spec.options), spec.input, spec.output)
    if retries is not None:
        spec = replace(spec, options={**spec.options, "retries": retries})
    transform = yard.store.transforms.create(spec, now)
    accept_transform(yard, transform)
    return transform


def _package(yard: Yard, batch: Batch) -> tuple[str, str | None]:
    if batch.endpoint is not None:
        endpoint = yard.store.endpoints.get(batch.endpoint)
        return endpoint.wished.spec.package, f"{endpoint.name}:{endpoint.wished.number}"
    source = ScorerSource(batch.model, batch.model_tree, None, batch.predictor, batch.code)
    return build_scorer(yard.artifacts, source, yard.store.models.resolve)


def check_batch_asked(asked: Asked) -> JsonObject:
    """The document as it is kept. Raises InvalidValue, NotFound, Forbidden."""
    try:
        wish = BatchWish.model_validate(asked.spec)
    except ValidationError as error:
        found = [{**one, "loc": ("spec", *one["loc"])} for one in error.errors()]
        raise invalid_value(RequestValidationError(found)) from error
    if len(asked.name) > NAME_LENGTH_MAX:
        raise InvalidValue(f"cannot deploy batch {asked.name}: its name is over {NAME_LENGTH_MAX} characters")
    options = check_place_words(wish.options, wish.input, wish.output)
    check_environment(wish.environment)
    check_secrets(asked.yard, wish.secrets, wish.environment)
    timing = wish.schedule.timing() if wish.schedule is not None else None
    if timing is not None and (wish.input is None or wish.output is None):
        raise InvalidValue(f"cannot deploy batch {asked.name}: a schedule needs an input and an output")
    given = wish.model_dump(exclude={"schedule", "options", "predictor"})
    batch = Batch(
        **given,
        options=options,
        predictor=wish.predictor.model_dump(by_alias=True) if wish.predictor is not None else None,
        schedule=timing.document if timing is not None else None,
    )
    _check_source(asked, batch)
    return asdict(batch)


def _check_source(asked: Asked, batch: Batch) -> None:
    """What scores must be there now, as it must be at each start."""
    own = [batch.model, batch.model_tree, batch.predictor]
    if (batch.endpoint is not None) == any(one is not None for one in own) or None not in (
        batch.model,
        batch.model_tree,
    ):
        raise InvalidValue(
            f"cannot deploy batch {asked.name}: it must be clear what scores",
            "give either `endpoint`, or `model`, `predictor` or both",
        )
    if batch.endpoint is None:
        if batch.model is not None:
            found = asked.yard.store.models.resolve(parse_model_reference(batch.model))
            check_role(Role.VIEWER, found.project, f"model/{found.model}", "score with the model")
        _package(asked.yard, batch)
    elif name_key(batch.endpoint) not in asked.endpoints:
        endpoint = asked.yard.store.endpoints.get(batch.endpoint)
        check_role(Role.CALLER, endpoint.project, f"endpoint/{endpoint.name}", "score with an endpoint's package")
