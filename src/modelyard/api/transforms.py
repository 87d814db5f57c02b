"""Batch transforms: what may be asked for, and how one is shown, with how far it is."""

import os
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from modelyard_worker.records import read_json
from modelyard_worker.transform.plan import PROGRESS, TransformPlan, problem_of
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from modelyard.api.audit import about
from modelyard.api.environments import check_environment
from modelyard.api.masked import masked
from modelyard.api.output import LINES_DEFAULT, LINES_MAX, text_stream, transform_output
from modelyard.api.permissions import check_role, guarded, sees, sees_everything
from modelyard.api.predictors import ModelSource, Predictor
from modelyard.api.secrets import check_secrets
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import Role
from modelyard.domain.names import check_name
from modelyard.domain.queueing import PRIORITY_MAX, PRIORITY_MIN
from modelyard.domain.sources import SOURCE_LENGTH_MAX, parse_source
from modelyard.domain.transforms import OF_ENDPOINT, Transform, TransformSpec, scorer_of
from modelyard.errors import InvalidValue, NotFound
from modelyard.packaging.package import read_document
from modelyard.packaging.scorers import ScorerSource, build_scorer
from modelyard.protocol.views_of_transforms import (
    FailedObjectView,
    TransformProgressView,
    TransformsView,
    TransformView,
)

TRANSFORMS_LOOKED_AT_MAX = 10_000
"""Newest transforms among which somebody's own are looked for."""
TRANSFORMS_MAX = 1000
"""Most transforms of one answer."""


class TransformOptions(BaseModel):
    """Fields of `modelyard_worker.transform.plan.TransformPlan`; what is left out has its default."""

    model_config = ConfigDict(extra="forbid")

    content_type: str | None = None
    accept: str | None = None
    split: str | None = None
    strategy: str | None = None
    assemble: str | None = None
    max_payload_mb: float | None = None
    processes: int | None = None
    compression: str | None = None
    csv_header: str | None = None
    input_filter: str | None = None
    output_filter: str | None = None
    join: str | None = None
    timeout_seconds: float | None = None
    retries: int | None = None
    batch_size: int | None = None


class TransformRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    project: str
    name: str | None = None
    """What its id begins with; by default the model's name and `-transform`."""
    model: ModelSource | None = None
    endpoint: str | None = None
    """An endpoint whose package scores: its code and its model, as the version that is wished has them."""
    package: str | None = None
    """Digest of a package. Exactly one of `endpoint`, `package` and (`model`, `predictor`) is given."""
    code: str | None = None
    predictor: Predictor | None = None
    input: Annotated[str, Field(min_length=1, max_length=SOURCE_LENGTH_MAX)]
    """An absolute path on the yard's machine, of a file or a folder, or an http(s) or s3 URL."""
    output: Annotated[str, Field(min_length=1, max_length=SOURCE_LENGTH_MAX)]
    """An absolute path of a folder there, or an s3 URL; `{job}` in it is the transform's id."""
    options: TransformOptions = TransformOptions()
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Variable -> name of the secret."""
    cpu_millis: Annotated[int | None, Field(gt=0)] = None
    memory_bytes: Annotated[int | None, Field(gt=0)] = None
    priority: Annotated[int, Field(ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0


def transform_view(yard: Yard, transform: Transform) -> TransformView:
    spec = transform.spec
    return TransformView(
        id=transform.id,
        project=spec.project,
        status=transform.status.value,
        model=spec.model,
        package=spec.package,
        input=_without_query(spec.input),
        output=spec.output,
        options=spec.options,
        created_at=iso(transform.created_at),
        started_at=_iso(transform.started_at),
        ended_at=_iso(transform.ended_at),
        attempts=transform.attempt,
        failure_reason=transform.failure_reason,
        failed=[FailedObjectView(one["name"], one["reason"]) for one in transform.result.get("failed", [])],
        stop_requested=transform.stop_requested,
        progress=_progress(yard.home.transforms / transform.id / PROGRESS),
        priority=spec.priority,
        waiting=transform.waiting if not transform.ended else None,
    )


def _without_query(place: str) -> str:
    """A URL without what may be a signature."""
    return place.partition("?")[0] if place.startswith(("http://", "https://")) else place


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def _progress(path: Path) -> TransformProgressView | None:
    found = read_json(str(path))
    if found is None:
        return None
    known: dict[str, Any] = {name: found.get(name) for name in TransformProgressView.__dataclass_fields__}
    requests = int(found.get("requests") or 0)
    known["tries_failed"] = known["tries_failed"] or 0
    known["seconds_per_request"] = round(float(found["request_seconds"]) / requests, 6) if requests else None
    return TransformProgressView(**known)


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "transforms")

    @router.post("/transforms", status_code=201)
    def start_transform(request: TransformRequest) -> TransformView:
        """Accepts a batch transform; it is on disk when this answers."""
        check_role(Role.DEPLOYER, request.project, f"transform/{request.name or '*'}", "start a transform")
        transform = yard.store.transforms.create(check_transform(yard, request), yard.clock.now())
        about(f"transform/{transform.id}")
        accept_transform(yard, transform)
        return transform_view(yard, transform)

    @router.get("/transforms")
    def list_transforms(
        project: str | None = None, limit: Annotated[int, Query(ge=1, le=TRANSFORMS_MAX)] = 100
    ) -> TransformsView:
        """Newest first."""
        found = yard.store.transforms.select(project, limit=limit if sees_everything() else TRANSFORMS_LOOKED_AT_MAX)
        seen = [one for one in found if sees("transform", one.id, one.spec.project)]
        return TransformsView(transforms=[transform_view(yard, one) for one in seen[:limit]])

    @router.get("/transforms/{transform_id}")
    def get_transform(transform_id: str) -> TransformView:
        """One transform, with how far it is."""
        return transform_view(yard, yard.store.transforms.get(transform_id))

    @router.post("/transforms/{transform_id}/stop", status_code=202)
    def stop_transform(transform_id: str) -> TransformView:
        """Asks a transform to end. Finished objects stay. Harmless where it has ended."""
        return transform_view(yard, ask_to_stop(yard, transform_id))

    @router.get("/transforms/{transform_id}/logs", response_class=StreamingResponse)
    def show_logs(
        transform_id: str, lines: Annotated[int, Query(ge=0, le=LINES_MAX)] = LINES_DEFAULT, *, follow: bool = False
    ) -> StreamingResponse:
        """What its processes printed, as text; with `follow`, and then what they print, until it has ended."""
        transform = yard.store.transforms.get(transform_id)
        return text_stream(masked(yard, transform_output(yard, transform.id, lines, follow=follow)), follow=follow)

    return router


def accept_transform(yard: Yard, transform: Transform) -> None:
    """Says that it was taken on, and wakes whoever starts it."""
    sentence = f"accepted: {_without_query(transform.spec.input)} -> {transform.spec.output}"
    yard.store.events.add("transform", transform.id, sentence, yard.clock.now())
    yard.poke()


def ask_to_stop(yard: Yard, transform_id: str) -> Transform:
    """Raises NotFound."""
    before = yard.store.transforms.get(transform_id)
    transform = yard.store.transforms.request_stop(transform_id)
    if transform.stop_requested and not before.stop_requested:
        yard.store.events.add("transform", transform.id, "a stop was asked for", yard.clock.now())
        yard.poke()
    return transform


def _label(model: str) -> str:
    """A model's name as ids begin with it: `_` is for models alone."""
    return scorer_of(model)[0][:40].replace("_", "-")


def check_transform(yard: Yard, request: TransformRequest) -> TransformSpec:
    """The spec, complete and possible. Raises InvalidValue, NotFound, Conflict."""
    check_name(request.project, "project name")
    if request.name is not None:
        check_name(request.name, "transform name")
    options = check_options(request.options, request.input, request.output)
    check_environment(request.environment)
    check_secrets(yard, request.secrets, request.environment)
    package, model = _package(yard, request)
    return TransformSpec(
        name=request.name or f"{_label(model or 'model')}-transform",
        project=request.project,
        package=package,
        input=request.input,
        output=request.output,
        model=model,
        options=options,
        environment=request.environment,
        secrets=request.secrets,
        cpu_millis=request.cpu_millis,
        memory_bytes=request.memory_bytes,
        priority=request.priority,
    )


def check_options(options: TransformOptions, given_input: str, output: str) -> dict[str, Any]:
    """What was given, where a transform can be made of it now. Raises InvalidValue, NotFound."""
    given = check_place_words(options, given_input, output)
    _check_input(given_input)
    _check_output(output)
    return given


def check_place_words(options: TransformOptions, given_input: str | None, output: str | None) -> dict[str, Any]:
    """What was given, where a transform could be made of it; whether its input is there is not looked at. Raises
    InvalidValue."""
    given = options.model_dump(exclude_none=True)
    problem = problem_of(TransformPlan("", "", given_input or "", output or "")._replace(**given))
    if problem is not None:
        raise InvalidValue(f"cannot transform: {problem}", "see `modelyard transform --help`")
    if given_input is not None:
        _check_input_words(given_input)
    if output is not None:
        _check_output_words(output)
    return given


def _check_input_words(place: str) -> None:
    scheme, separator, _ = place.partition("://")
    if separator:
        if scheme == "s3":
            parse_source(place)
        elif scheme not in ("http", "https"):
            raise InvalidValue(
                f"cannot read from {scheme}://: inputs are paths, http(s) URLs and s3 URLs",
                "presign the object's URL, or mount the bucket",
            )
        return
    if not Path(place).is_absolute() or "\0" in place:
        raise InvalidValue(f"cannot read from {place[:120]!r}: it is no absolute path on the yard's machine")


def _check_input(place: str) -> None:
    if "://" not in place and not os.access(place, os.R_OK):
        raise NotFound(
            f"cannot find the input {place}" if not Path(place).exists() else f"cannot read the input {place}",
            "name a file or a folder on the yard's machine",
        )


def _check_output_words(place: str) -> None:
    scheme, separator, _ = place.partition("://")
    if separator:
        if scheme != "s3":
            raise InvalidValue(
                f"cannot write to {scheme}://: outputs are folders of the yard's machine and s3 URLs",
                "name a folder, and copy from there",
            )
        parse_source(place)
        return
    if not Path(place).is_absolute() or "\0" in place:
        raise InvalidValue(f"cannot write to {place[:120]!r}: it is no absolute path on the yard's machine")


def _check_output(place: str) -> None:
    if "://" in place:
        return
    path = Path(place)
    if path.exists() and not path.is_dir():
        raise InvalidValue(f"cannot write to {place}: it is a file", "name a folder; each input becomes NAME.out there")
    existing = next(one for one in (path, *path.parents) if one.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InvalidValue(f"cannot write to {place}: {existing} is not writable for the yard")


def _package(yard: Yard, request: TransformRequest) -> tuple[str, str | None]:
    """Digest of what scores, and the name of its model's version."""
    ways = [request.endpoint is not None, request.package is not None, bool(request.model or request.predictor)]
    if sum(ways) != 1:
        raise InvalidValue("cannot tell what scores: give exactly one of `model`, `predictor`, `endpoint`, `package`")
    if request.endpoint is not None:
        endpoint = yard.store.endpoints.get(request.endpoint)
        check_role(Role.CALLER, endpoint.project, f"endpoint/{endpoint.name}", "score with an endpoint's package")
        return endpoint.wished.spec.package, f"{OF_ENDPOINT}{endpoint.name}:{endpoint.wished.number}"
    if request.package is not None:
        read_document(yard.artifacts, request.package)
        return request.package, None
    return _built(yard, request)


def _built(yard: Yard, request: TransformRequest) -> tuple[str, str | None]:
    model = request.model or ModelSource()
    if request.model is not None and (model.reference is None) == (model.tree is None):
        raise InvalidValue("cannot tell which model is meant: give exactly one of `reference` and `tree`")
    source = ScorerSource(
        reference=model.reference,
        tree=model.tree,
        framework=model.framework,
        predictor=request.predictor.model_dump(by_alias=True) if request.predictor else None,
        code=request.code,
    )
    return build_scorer(yard.artifacts, source, yard.store.models.resolve)
