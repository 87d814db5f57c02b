"""Trainings that a deployment puts into the yard: what its document may be, and runs of one by its name."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.api.asked import Asked
from modelyard.api.errors import invalid_value
from modelyard.api.permissions import guarded
from modelyard.api.runs import (
    CHANNELS_MAX,
    HYPERPARAMETERS_MAX,
    RUNTIME_SECONDS_MAX,
    RunRequest,
    RunView,
    check_hyperparameters,
    check_run,
    run_view,
)
from modelyard.api.schedules import ScheduleWish
from modelyard.api.yard import Yard
from modelyard.domain.runs import Run, RunSpec
from modelyard.domain.sources import ObjectSource, PathSource, UrlSource, parse_source
from modelyard.domain.trainings import KIND, Training, training_from
from modelyard.errors import InvalidValue
from modelyard.packaging.inputs import read_inputs
from modelyard.store.ports import JsonObject


class TrainingWish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    run: RunRequest
    """What each run is asked for; its inputs are as they were when this was sent."""
    reread: Annotated[dict[str, str], Field(max_length=CHANNELS_MAX)] = {}
    """Channel -> source that the yard reads anew for each run: an absolute path of its machine, or a URL."""
    schedule: ScheduleWish | None = None


class RunChanges(BaseModel):
    """What one run has otherwise than its training."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hyperparameters: Annotated[dict[str, Any], Field(max_length=HYPERPARAMETERS_MAX)] = {}
    max_runtime_seconds: Annotated[float | None, Field(gt=0, le=RUNTIME_SECONDS_MAX)] = None


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "trainings")

    @router.post("/trainings/{name}/runs", status_code=201)
    def start_run_of_training(name: str, changes: RunChanges | None = None) -> RunView:
        """A run of a deployed training, with its inputs as they are now."""
        return run_view(start_training(yard, name, changes or RunChanges()))

    return router


def start_training(yard: Yard, name: str, changes: RunChanges) -> Run:
    """Raises NotFound, InvalidValue, and others where an input is not to be had."""
    training = training_from(yard.store.resources.get(KIND, name).wished.spec)
    spec = training.run
    hyperparameters = {**spec.hyperparameters, **check_hyperparameters(changes.hyperparameters)}
    spec = replace(
        spec,
        hyperparameters=hyperparameters,
        inputs={**spec.inputs, **read_inputs(yard.artifacts, training.reread, _environment(yard, spec))},
        max_runtime_seconds=changes.max_runtime_seconds or spec.max_runtime_seconds,
    )
    run = yard.store.runs.create(spec, yard.clock.now())
    yard.store.events.add("run", run.id, f"accepted: {spec.algorithm or spec.entry}", yard.clock.now())
    yard.poke()
    return run


def _environment(yard: Yard, spec: RunSpec) -> dict[str, str]:
    """What its script would have, with secrets: credentials for its inputs may be among it."""
    values = yard.store.secrets.reveal(set(spec.secrets.values())) if spec.secrets else {}
    return {**spec.environment, **{variable: values[name] for variable, name in spec.secrets.items()}}


def check_training_asked(asked: Asked) -> JsonObject:
    """The document as it is kept. Raises InvalidValue, NotFound, Conflict as `check_run` does."""
    try:
        wish = TrainingWish.model_validate(asked.spec)
    except ValidationError as error:
        found = [{**one, "loc": ("spec", *one["loc"])} for one in error.errors()]
        raise invalid_value(RequestValidationError(found)) from error
    if wish.run.training != asked.name or wish.run.project != asked.project:
        raise InvalidValue(f"cannot deploy training {asked.name}: its run is of another training or project")
    spec = check_run(asked.yard, wish.run)
    for channel, text in wish.reread.items():
        _check_reread(asked.name, channel, text, spec.inputs)
    timing = wish.schedule.timing() if wish.schedule is not None else None
    return Training(spec, wish.reread, timing.document if timing is not None else None).document


def _check_reread(training: str, channel: str, text: str, inputs: dict[str, str]) -> None:
    if channel not in inputs:
        raise InvalidValue(f"cannot deploy training {training}: there is no channel {channel} under `inputs`")
    source = parse_source(text)
    relative = isinstance(source, PathSource) and not source.path.startswith("/")
    if relative or not isinstance(source, (PathSource, UrlSource, ObjectSource)):
        raise InvalidValue(
            f"cannot read {text} anew for each run of {training}",
            "name an absolute path of the yard's machine, or a URL",
        )
