"""Tunings: what may be asked for, and how one is shown."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelyard.api.audit import about
from modelyard.api.permissions import check_role, guarded, sees
from modelyard.api.runs import RunRequest, check_run
from modelyard.api.yard import Yard
from modelyard.clock import iso
from modelyard.domain.access import Role
from modelyard.domain.names import check_name
from modelyard.domain.runs import Run, RunStatus
from modelyard.domain.tunings import (
    NAME_LENGTH_MAX,
    PARALLEL_TRIALS_MAX,
    RANGES_MAX,
    TRIALS_MAX,
    VALUES_MAX,
    Range,
    Tuning,
    TuningSpec,
    best_trial,
)
from modelyard.errors import InvalidValue
from modelyard.protocol.views_of_tunings import TrialView, TuningsView, TuningView

TUNINGS_MAX = 1000

_METRIC_LENGTH_MAX = 250
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,255}")


class RangeRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    kind: Literal["continuous", "integer", "categorical"]
    low: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    high: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    values: Annotated[list[str], Field(max_length=VALUES_MAX)] = []
    scaling: Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"] = "Auto"


class TuningRequest(BaseModel):
    """`domain.tunings.TuningSpec`; the training as `POST /runs` takes it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=NAME_LENGTH_MAX)]
    project: str
    training: RunRequest
    metric: Annotated[str, Field(min_length=1, max_length=_METRIC_LENGTH_MAX)]
    minimize: bool
    ranges: Annotated[list[RangeRequest], Field(min_length=1, max_length=RANGES_MAX)]
    strategy: Literal["Bayesian", "Random", "Grid"] = "Bayesian"
    max_trials: Annotated[int, Field(ge=1, le=TRIALS_MAX)] = 20
    parallel_trials: Annotated[int, Field(ge=1, le=PARALLEL_TRIALS_MAX)] = 1
    early_stopping: bool = False
    target: Annotated[float | None, Field(allow_inf_nan=False)] = None
    max_runtime_seconds: Annotated[float | None, Field(gt=0)] = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    model: str | None = None


def tuning_view(tuning: Tuning, runs: list[Run], *, with_trials: bool) -> TuningView:
    spec = tuning.spec
    best = best_trial(spec, runs)
    return TuningView(
        id=tuning.id,
        name=spec.name,
        project=spec.project,
        status=tuning.status.value,
        reason=tuning.reason,
        created_at=iso(tuning.created_at),
        ended_at=None if tuning.ended_at is None else iso(tuning.ended_at),
        metric=spec.metric,
        minimize=spec.minimize,
        strategy=spec.strategy,
        max_trials=spec.trials_max,
        parallel_trials=spec.parallel_trials,
        counts=_counts(runs),
        best=None if best is None else _trial_view(spec, best),
        trials=[_trial_view(spec, one) for one in runs] if with_trials else [],
        model=spec.model,
        model_version=tuning.model_version,
    )


def _counts(runs: list[Run]) -> dict[str, int]:
    by_status = {
        "completed": (RunStatus.COMPLETED,),
        "in_progress": (RunStatus.IN_PROGRESS, RunStatus.STOPPING),
        "stopped": (RunStatus.STOPPED,),
        "failed": (RunStatus.FAILED, RunStatus.LOST),
    }
    return {name: sum(one.status in statuses for one in runs) for name, statuses in by_status.items()}


def _trial_view(spec: TuningSpec, run: Run) -> TrialView:
    tuned = {one.name: run.spec.hyperparameters.get(one.name, "") for one in spec.ranges}
    return TrialView(run.id, run.status.value, run.metrics.get(spec.metric), tuned)


def routes(yard: Yard) -> APIRouter:
    router = guarded(yard, "tunings")

    @router.post("/tunings", status_code=201)
    def start_tuning(request: TuningRequest) -> TuningView:
        """Accepts a tuning; it is on disk when this answers, and each trial waits its turn as a run does."""
        check_role(Role.DEPLOYER, request.project, f"tuning/{request.name}", "start a tuning")
        tuning = yard.store.tunings.create(check_tuning(yard, request), yard.clock.now())
        about(f"tuning/{tuning.id}")
        yard.store.events.add("tuning", tuning.id, f"accepted: {tuning.spec.trials_max} trials", yard.clock.now())
        yard.poke()
        return tuning_view(tuning, [], with_trials=True)

    @router.get("/tunings")
    def list_tunings(name: str | None = None, limit: Annotated[int, Query(ge=1, le=TUNINGS_MAX)] = 100) -> TuningsView:
        """Newest first, without their trials."""
        found = yard.store.tunings.select(name, limit)
        seen = [one for one in found if sees("tuning", one.id, one.spec.project)]
        return TuningsView([tuning_view(one, _trials(yard, one), with_trials=False) for one in seen])

    @router.get("/tunings/{tuning_id}")
    def get_tuning(tuning_id: str) -> TuningView:
        """One tuning with its trials."""
        tuning = yard.store.tunings.get(tuning_id)
        return tuning_view(tuning, _trials(yard, tuning), with_trials=True)

    @router.post("/tunings/{tuning_id}/stop", status_code=202)
    def stop_tuning(tuning_id: str) -> TuningView:
        """Asks a tuning and its trials to end. Harmless where it has ended."""
        before = yard.store.tunings.get(tuning_id)
        tuning = yard.store.tunings.request_stop(tuning_id)
        if tuning.stop_requested and not before.stop_requested:
            yard.store.events.add("tuning", tuning.id, "a stop was asked for", yard.clock.now())
            yard.poke()
        return tuning_view(tuning, _trials(yard, tuning), with_trials=True)

    return router


def _trials(yard: Yard, tuning: Tuning) -> list[Run]:
    found = yard.store.runs.select(training=tuning.id, limit=10 * tuning.spec.max_trials)
    return [one for one in reversed(found) if one.spec.tuning == tuning.id]


def check_tuning(yard: Yard, request: TuningRequest) -> TuningSpec:
    """The spec, complete and possible. Raises InvalidValue, NotFound, Conflict."""
    check_name(request.name, "tuning name")
    ranges = [_range(one) for one in request.ranges]
    training = check_run(yard, request.training.model_copy(update={"model": request.model}), _ends(ranges))
    names = [one.name for one in ranges]
    if len(set(names)) < len(names):
        raise InvalidValue(f"cannot tune {request.name}: a range is given twice", "give each hyperparameter one range")
    fixed = sorted(set(names) & set(training.hyperparameters))
    if fixed:
        raise InvalidValue(
            f"cannot tune {request.name}: {fixed[0]} has a range, and a value in its training", "take one of both away"
        )
    if request.strategy == "Grid" and any(one.kind == "continuous" for one in ranges):
        raise InvalidValue(
            f"cannot tune {request.name}: a grid has no points of a continuous range",
            "give it as categorical values, or choose the strategy Bayesian or Random",
        )
    given = request.model_dump(exclude={"training", "ranges"})
    if training.algorithm is not None:
        # SageMaker's name for what is `validation-rmse` here.
        given["metric"] = request.metric.replace(":", "-")
    return TuningSpec(**given, training=training, ranges=ranges)


def _ends(ranges: list[Range]) -> list[dict[str, str]]:
    """Two trials at the ends of every range: what refuses neither is likely to refuse none between."""
    return [
        {one.name: one.values[end] if one.kind == "categorical" else _number(one, at) for one in ranges}
        for end, at in ((0, "low"), (-1, "high"))
    ]


def _number(one: Range, at: str) -> str:
    value: float = getattr(one, at)
    return str(int(value)) if one.kind == "integer" else str(value)


def _range(one: RangeRequest) -> Range:
    if not _NAME.fullmatch(one.name):
        raise InvalidValue(f"cannot use hyperparameter name {one.name[:40]!r}", "use letters, digits and _ . : -")
    if one.kind == "categorical":
        if not one.values or len(set(one.values)) < len(one.values):
            raise InvalidValue(f"cannot tune {one.name}: it needs values, each once", "write them under `values`")
        return Range(**one.model_dump())
    if not one.low < one.high:
        raise InvalidValue(f"cannot tune {one.name}: {one.low:g} is not below {one.high:g}", "give min below max")
    if one.kind == "integer" and not (one.low.is_integer() and one.high.is_integer()):
        raise InvalidValue(f"cannot tune {one.name}: an integer range needs whole ends", "write whole numbers")
    if one.scaling == "Logarithmic" and one.low <= 0:
        raise InvalidValue(f"cannot tune {one.name}: a logarithmic range must begin above 0", "raise min")
    if one.scaling == "ReverseLogarithmic" and (one.kind == "integer" or one.low < 0 or one.high >= 1):
        raise InvalidValue(
            f"cannot tune {one.name}: a reverse logarithmic range is continuous, from 0 to below 1", "change its ends"
        )
    return Range(**one.model_dump())
