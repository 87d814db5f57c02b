"""What a tracking server is told of a run, and in which pieces. MLflow's words and limits."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.domain.runs import Run, RunStatus

METRICS_PER_BATCH_MAX = 1000
PARAMS_PER_BATCH_MAX = 100
TAGS_PER_BATCH_MAX = 100
"""MLflow's limits for one log-batch."""

PARAM_LENGTH_MAX = 6000
TAG_LENGTH_MAX = 5000
"""Characters; MLflow's limits."""

NAME_LENGTH_MAX = 250
"""Characters of a name; MLflow's limit."""

RUN_TAG = "modelyard.run"

_STATUSES = {
    RunStatus.COMPLETED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.LOST: "FAILED",
    RunStatus.STOPPED: "KILLED",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric. `step` counts from 0; where none was given it is the value's place in its series."""

    name: str
    value: float
    step: int
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run's metrics have come: out of its file, and into the tracking server."""

    run: str
    read_bytes: int = 0
    """How much of the run's metrics file was read."""
    read_all: bool = False
    """The run has ended, and its file was read to the end."""
    count: int = 0
    """Points that were kept."""
    dropped: int = 0
    """Points beyond what one run may have."""
    sent: int = 0
    """Number of the last point that the tracking server has."""
    begun: bool = False
    """The tracking server has the run, with its parameters and inputs."""
    closed: bool = False
    """The tracking server has all of it."""


def status_of(run: Run) -> str:
    """MLflow's word for how a run stands."""
    return _STATUSES.get(run.status, "RUNNING")


def params_of(run: Run) -> dict[str, str]:
    """Hyperparameters, cut to what MLflow takes."""
    return {allowed_name(name): value[:PARAM_LENGTH_MAX] for name, value in run.spec.hyperparameters.items()}


def allowed_name(name: str) -> str:
    """What MLflow takes as a metric's or a parameter's name: `ndcg@5` is `ndcg_5` there, and `a//b` is `a/b`: names are
    paths to it, each written in one way only."""
    parts = re.sub(r"[^\w./ :-]", "_", name).split("/")
    return "/".join(one for one in parts if one.strip(". "))[:NAME_LENGTH_MAX].strip("/. ") or "_"


def tags_of(run: Run) -> dict[str, str]:
    """What MLflow shows of a run beside its parameters and metrics: where its code came from, and what is ours."""
    spec = run.spec
    commit = (spec.git_commit or "").partition("+")[0]
    found = {
        RUN_TAG: run.id,
        "mlflow.runName": run.id,
        "mlflow.user": "yard",
        "mlflow.source.type": "JOB",
        "mlflow.source.name": spec.entry or f"algorithm {spec.algorithm}",
        "mlflow.source.git.commit": commit,
        "modelyard.project": spec.project,
        "modelyard.training": spec.training,
        "modelyard.code": spec.code or "",
        "modelyard.commit": spec.git_commit or "",
    }
    return {name: value[:TAG_LENGTH_MAX] for name, value in found.items() if value}


def end_tags_of(run: Run) -> dict[str, str]:
    """What can be said when a run has ended."""
    found = {
        "modelyard.status": run.status.value,
        "modelyard.reason": run.failure_reason or "",
        "modelyard.model": f"{run.spec.model}:{run.model_version}" if run.model_version else "",
    }
    return {name: value[:TAG_LENGTH_MAX] for name, value in found.items() if value}


def inputs_of(run: Run) -> list[dict[str, Any]]:
    """Each channel as a dataset of MLflow's: its name, its digest, where it was taken from."""
    return [
        {
            "tags": [{"key": "mlflow.data.context", "value": channel}],
            "dataset": {
                "name": channel,
                # MLflow's column has 36 characters; the whole digest is in the source.
                "digest": digest[:36],
                "source_type": "modelyard",
                "source": f'{{"tree": "{digest}", "from": {_quoted(run.spec.sources.get(channel, ""))}}}',
            },
        }
        for channel, digest in run.spec.inputs.items()
    ]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def metrics_of(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Points as log-batch takes them; JSON has no NaN, so MLflow writes such values as words."""
    return [
        {"key": allowed_name(one.name), "value": _number(one.value), "timestamp": int(one.at * 1000), "step": one.step}
        for one in points
    ]


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def pieces(found: Mapping[str, str], most: int) -> Iterator[list[dict[str, str]]]:
    """Names and values in lists of at most `most`, as log-batch takes parameters and tags."""
    listed = [{"key": name, "value": value} for name, value in found.items()]
    for begin in range(0, len(listed), most):
        yield listed[begin : begin + most]
