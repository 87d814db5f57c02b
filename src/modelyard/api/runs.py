"""Training runs: what may be asked for, and how a run is shown."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from modelyard_worker.algorithms.port import hyperparameter_reader
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.job_environment import ALGORITHMS
from modelyard_worker.log_metrics import DEFINITIONS_MAX, compiled
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from modelyard.api.audit import about
from modelyard.api.environments import check_environment
from modelyard.api.masked import masked
from modelyard.api.output import LINES_DEFAULT, LINES_MAX, run_output, text_stream
from modelyard.api.permissions import check_role, guarded, sees, sees_everything
from modelyard.api.secrets import check_secrets
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import Role
from modelyard.domain.names import check_model_name, check_name, nearest
from modelyard.domain.queueing import PRIORITY_MAX, PRIORITY_MIN
from modelyard.domain.runs import RETRIES_MAX, Run, RunSpec
from modelyard.domain.sources import SOURCE_LENGTH_MAX, RunSource, parse_source
from modelyard.errors import Conflict, InvalidValue, NotFound

RUNS_LOOKED_AT_MAX = 10_000
"""Newest runs among which somebody's own are looked for."""
RUNS_MAX = 1000
"""Most runs of one answer."""

POINTS_OF_ANSWER_MAX = 10_000

RUNTIME_SECONDS_MAX = 28 * 86400.0
"""SageMaker's limit for MaxRuntimeInSeconds."""

GRACE_SECONDS_MAX = 3600.0

CHANNELS_MAX = 20
HYPERPARAMETERS_MAX = 100
HYPERPARAMETER_LENGTH_MAX = 2500
"""SageMaker's limits, so that what trains here trains there."""

_HYPERPARAMETER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,255}")
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class RunRequest(BaseModel):
    """`domain.runs.RunSpec`, with values of hyperparameters still as they were written."""

    model_config = ConfigDict(extra="forbid", strict=True)

    training: str
    project: str
    algorithm: str | None = None
    entry: str | None = None
    code: str | None = None
    inputs: Annotated[dict[str, str], Field(max_length=CHANNELS_MAX)] = {}
    sources: Annotated[
        dict[str, Annotated[str, Field(max_length=SOURCE_LENGTH_MAX)]], Field(max_length=CHANNELS_MAX)
    ] = {}
    """Channel -> where the client took it from, for the record: `inputs` alone says what is read."""
    content_types: Annotated[dict[str, str], Field(max_length=CHANNELS_MAX)] = {}
    hyperparameters: Annotated[dict[str, Any], Field(max_length=HYPERPARAMETERS_MAX)] = {}
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    """Variable -> name of the secret."""
    model: str | None = None
    max_runtime_seconds: Annotated[float, Field(gt=0, le=RUNTIME_SECONDS_MAX)] = 86400.0
    stop_grace_seconds: Annotated[float, Field(ge=0, le=GRACE_SECONDS_MAX)] = 120.0
    cpu_millis: Annotated[int | None, Field(gt=0)] = None
    memory_bytes: Annotated[int | None, Field(gt=0)] = None
    priority: Annotated[int, Field(ge=PRIORITY_MIN, le=PRIORITY_MAX)] = 0
    retry_count: Annotated[int, Field(ge=0, le=RETRIES_MAX)] = 0
    retry_on: Annotated[list[Literal["interrupted", "failed", "max_runtime"]], Field(min_length=1, max_length=3)] = [
        "interrupted",
        "failed",
    ]
    log_metrics: Annotated[dict[str, str], Field(max_length=DEFINITIONS_MAX)] = {}
    """Metric -> regular expression that finds it in what is printed."""
    git_commit: Annotated[str | None, Field(max_length=128)] = None
    python_path: str | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    id: str
    training: str
    project: str
    status: str
    step: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    steps: list[list[str]]
    exit_code: int | None
    failure_reason: str | None
    metrics: dict[str, float]
    model: str | None
    model_version: int | None
    hyperparameters: dict[str, str]
    inputs: dict[str, str]
    """Channel -> digest of the tree that is read."""
    sources: dict[str, str]
    """Channel -> where it was taken from, where that was no plain path."""
    stop_requested: bool
    algorithm: str | None
    entry: str | None
    code: str | None
    """Digest of the tree of code; null for a built-in algorithm."""
    git_commit: str | None
    """With `+changes` where the work tree had any."""
    attempt: int
    retry_count: int
    priority: int
    waiting: str | None
    """Why it does not start yet; null where it does not wait."""


@dataclass(frozen=True, slots=True)
class PointView:
    name: str
    value: float | None
    """Null where it was no finite number."""
    step: int
    at: str


@dataclass(frozen=True, slots=True)
class PointsView:
    run: str
    series: dict[str, int]
    """How many values each metric has."""
    points: list[PointView]
    next: int | None


@dataclass(frozen=True, slots=True)
class RunsView:
    runs: list[RunView]


def run_view(run: Run) -> RunView:
    return RunView(
        id=run.id,
        training=run.spec.training,
        project=run.spec.project,
        status=run.status.value,
        step=run.step.value,
        created_at=iso(run.created_at),
        started_at=_iso(run.started_at),
        ended_at=_iso(run.ended_at),
        steps=[[name, iso(at)] for name, at in run.steps],
        exit_code=run.exit_code,
        failure_reason=run.failure_reason,
        metrics=run.metrics,
        model=run.spec.model,
        model_version=run.model_version,
        hyperparameters=run.spec.hyperparameters,
        inputs=run.spec.inputs,
        sources=run.spec.sources,
        stop_requested=run.stop_requested,
        algorithm=run.spec.algorithm,
        entry=run.spec.entry,
        code=run.spec.code,
        git_commit=run.spec.git_commit,
        attempt=run.attempt,
        retry_count=run.spec.retry_count,
        priority=run.spec.priority,
        waiting=run.waiting if not run.ended else None,
    )


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "runs")

    @router.post("/runs", status_code=201)
    def start_run(request: RunRequest) -> RunView:
        """Accepts a training run; it is on disk when this answers, and begins when a core is free."""
        check_role(Role.DEPLOYER, request.project, f"training/{request.training}", "start a run")
        run = yard.store.runs.create(check_run(yard, request), yard.clock.now())
        about(f"run/{run.id}")
        what = run.spec.algorithm or run.spec.entry
        yard.store.events.add("run", run.id, f"accepted: {what}", yard.clock.now())
        yard.poke()
        return run_view(run)

    @router.get("/runs")
    def list_runs(
        project: str | None = None,
        training: str | None = None,
        limit: Annotated[int, Query(ge=1, le=RUNS_MAX)] = 100,
    ) -> RunsView:
        """Newest first."""
        among = limit if sees_everything() else RUNS_LOOKED_AT_MAX
        found = yard.store.runs.select(project, training, among)
        seen = [run for run in found if sees("run", run.id, run.spec.project)]
        return RunsView(runs=[run_view(run) for run in seen[:limit]])

    @router.get("/runs/{run_id}")
    def get_run(run_id: str) -> RunView:
        """One run."""
        return run_view(yard.store.runs.get(run_id))

    @router.get("/runs/{run_id}/metrics")
    def get_metrics(
        run_id: str,
        name: str | None = None,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=POINTS_OF_ANSWER_MAX)] = 1000,
    ) -> PointsView:
        """Every value that was logged, of one metric or of all, in the order of logging; `next` is the `after` of the
        following page."""
        run = yard.store.runs.get(run_id)
        found = yard.store.tracking.points(run.id, name=name, after=after, limit=limit)
        return PointsView(
            run=run.id,
            series=yard.store.tracking.series(run.id),
            points=[
                PointView(point.name, point.value if math.isfinite(point.value) else None, point.step, iso(point.at))
                for _, point in found
            ],
            next=found[-1][0] if len(found) == limit else None,
        )

    @router.post("/runs/{run_id}/stop", status_code=202)
    def stop_run(run_id: str) -> RunView:
        """Asks a run to end: SIGTERM, and SIGKILL after its grace. Harmless where it has ended."""
        before = yard.store.runs.get(run_id)
        run = yard.store.runs.request_stop(run_id, yard.clock.now())
        if run.stop_requested and not before.stop_requested:
            yard.store.events.add("run", run.id, "a stop was asked for", yard.clock.now())
            yard.poke()
        return run_view(run)

    @router.get("/runs/{run_id}/logs", response_class=StreamingResponse)
    def show_logs(
        run_id: str, lines: Annotated[int, Query(ge=0, le=LINES_MAX)] = LINES_DEFAULT, *, follow: bool = False
    ) -> StreamingResponse:
        """What it printed, as text; with `follow`, and then what it prints, until it has ended."""
        run = yard.store.runs.get(run_id)
        return text_stream(masked(yard, run_output(yard, run.id, lines, follow=follow)), follow=follow)

    return router


def check_run(yard: Yard, request: RunRequest, tried: Sequence[Mapping[str, str]] = ({},)) -> RunSpec:
    """The spec, complete and possible with each of the further hyperparameters that will be `tried`. Raises
    InvalidValue, NotFound, Conflict."""
    check_name(request.training, "training name")
    check_name(request.project, "project name")
    if (request.algorithm is None) == (request.entry is None):
        raise InvalidValue(f"cannot train {request.training}: give exactly one of `algorithm` and `entry`")
    if request.algorithm is not None and request.algorithm not in ALGORITHMS:
        close = nearest(request.algorithm, ALGORITHMS)
        raise InvalidValue(
            f"cannot train {request.training}: there is no algorithm {request.algorithm!r}",
            f"did you mean {close}?" if close else f"built in are {', '.join(ALGORITHMS)}",
        )
    _check_code(yard, request)
    _check_inputs(yard, request)
    check_environment(request.environment)
    check_secrets(yard, request.secrets, request.environment)
    _check_log_metrics(request)
    _check_model(yard, request)
    given = request.model_dump()
    given["hyperparameters"] = check_hyperparameters(request.hyperparameters)
    for further in tried:
        _check_algorithm(request.training, request.algorithm, {**given["hyperparameters"], **further})
    given["parents"] = _parents(yard, request)
    return RunSpec(**given)


def _check_algorithm(training: str, algorithm: str | None, hyperparameters: dict[str, str]) -> None:
    """By the algorithm's own reader: what it would refuse when the job starts is refused now."""
    if algorithm is None:
        return
    try:
        hyperparameter_reader(algorithm)(hyperparameters)
    except BadInput as error:
        raise InvalidValue(f"cannot train {training}: {error}") from error


def _check_code(yard: Yard, request: RunRequest) -> None:
    if request.entry is None:
        if request.code is not None or request.python_path is not None:
            raise InvalidValue(f"cannot train {request.training}: `code` and `python_path` are for an `entry`")
        return
    if request.code is None:
        raise InvalidValue(f"cannot train {request.training}: an `entry` needs `code`", "send the tree that has it")
    paths = [file.path for file in yard.artifacts.tree(request.code)]
    if request.entry not in paths:
        close = nearest(request.entry, paths)
        raise NotFound(
            f"cannot find the entry {request.entry} in the code of {request.training}",
            f"did you mean {close}?" if close else f"files there: {', '.join(paths[:5]) or 'none'}",
        )
    folder = request.python_path
    if folder is not None and folder != "." and not any(path.startswith(f"{folder}/") for path in paths):
        raise NotFound(f"cannot find the folder {folder} of python_path in the code of {request.training}")


def _check_inputs(yard: Yard, request: RunRequest) -> None:
    for channel, digest in request.inputs.items():
        if not _CHANNEL_NAME.fullmatch(channel):
            raise InvalidValue(
                f"cannot use channel name {channel!r}", "use letters, digits, `_`, `.` and `-`, at most 64"
            )
        try:
            yard.artifacts.tree(digest)
        except NotFound as error:
            raise NotFound(
                f"cannot find the files of channel {channel}: {error.message}",
                "send them, then name their tree's digest",
            ) from error
    for field, channels in (("content_types", request.content_types), ("sources", request.sources)):
        for channel in channels:
            if channel not in request.inputs:
                raise InvalidValue(f"cannot use {field}.{channel}: there is no such channel under `inputs`")


def _check_log_metrics(request: RunRequest) -> None:
    if request.log_metrics and request.entry is None:
        raise InvalidValue(
            f"cannot train {request.training}: `log_metrics` are for an `entry`",
            f"algorithm {request.algorithm} logs its metrics by itself",
        )
    for name, expression in request.log_metrics.items():
        try:
            compiled(name, expression)
        except ValueError as error:
            raise InvalidValue(
                f"cannot find metric {name[:40]!r} in what {request.training} prints: {error}"
            ) from error


def _parents(yard: Yard, request: RunRequest) -> dict[str, str]:
    """Model versions that are read, by channel: those that the runs named as sources registered."""
    parents: dict[str, str] = {}
    for channel, text in request.sources.items():
        source = parse_source(text)
        if isinstance(source, RunSource) and source.part == "model":
            run = yard.store.runs.get(source.run)
            if run.spec.model is not None and run.model_version is not None:
                parents[channel] = f"{run.spec.model}:{run.model_version}"
    return parents


def _check_model(yard: Yard, request: RunRequest) -> None:
    """A name that could not be registered under is refused before the training, not after it."""
    if request.model is None:
        return
    check_model_name(request.model)
    try:
        owner = yard.store.models.get(request.model).project
    except NotFound:
        return
    if owner != request.project:
        raise Conflict(
            f"cannot register model {request.model}: project {owner} has one of that name",
            f"choose another name, or train with --project {owner}",
        )


def check_hyperparameters(given: Mapping[str, Any]) -> dict[str, str]:
    """Values as text. Raises InvalidValue for what is no name or too long."""
    return {name: _hyperparameter(name, value) for name, value in given.items()}


def _hyperparameter(name: str, value: Any) -> str:
    """A value as text: text stays as it is, everything else as JSON (`true`, `0.2`, `[1, 2]`)."""
    if not _HYPERPARAMETER_NAME.fullmatch(name):
        raise InvalidValue(f"cannot use hyperparameter name {name[:40]!r}", "use letters, digits and _ . : -")
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > HYPERPARAMETER_LENGTH_MAX or "\0" in text:
        raise InvalidValue(
            f"cannot use hyperparameter {name}: its value is longer than {HYPERPARAMETER_LENGTH_MAX} characters",
            "put it into a file of an input channel",
        )
    return text
