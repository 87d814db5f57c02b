"""`kind: training`: fields as written -> what a run is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from modelyard.manifest.checks import check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.places import check_place, check_source
from modelyard.manifest.schedules import read_schedule
from modelyard.manifest.schema import TrainingFields

MAX_RUNTIME_SECONDS = 86400.0
"""SageMaker's default: one day."""
STOP_GRACE_SECONDS = 120.0
"""SageMaker's: between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class ChannelSource:
    """Where a channel's data lies."""

    path: str
    """A path relative to the file's folder, or another source that `domain.sources` reads."""
    content_type: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingResource:
    """A training as a yard file has it. Hyperparameters are text, as SageMaker has them: `5` is "5", `0.10` is "0.1",
    `true` is "true", as JSON writes them."""

    kind: ClassVar[Literal["training"]] = "training"

    name: str
    line: int = 0
    """Where it begins in the file, from 1; 0 where no file was read."""
    algorithm: str | None = None
    entry: str | None = None
    """Script inside the project. Exactly one of both is given."""
    python_path: str | None = None
    inputs: dict[str, ChannelSource] = field(default_factory=dict[str, ChannelSource])
    hyperparameters: dict[str, str] = field(default_factory=dict[str, str])
    model: str | None = None
    """Model to register a version of on success."""
    max_runtime_seconds: float = MAX_RUNTIME_SECONDS
    stop_grace_seconds: float = STOP_GRACE_SECONDS
    environment: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """Variable -> name of the secret."""
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    priority: int = 0
    retry_count: int = 0
    retry_on: tuple[str, ...] | None = None
    """Values of `domain.runs.RunEnd`; None is the domain's default."""
    log_metrics: dict[str, str] = field(default_factory=dict[str, str])
    """Metric -> regular expression that finds it in what the training prints."""
    schedule: dict[str, Any] | None = None
    """`domain.schedules.Timing` as a document."""
    deployed: bool = False
    """Whether a deploy puts it into the yard."""


TASKS = ("task", "TaskAPI")
"""Trainings that a deploy puts into the yard, also without a schedule."""


def read_training(document: Document, index: int, label: str, folder: Path) -> TrainingResource | None:
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, TrainingFields, index, label)
    if fields is None:
        return None
    _check_places(document, index, label, fields, folder)
    schedule = read_schedule(document, index, label, fields.schedule)
    if len(document.problems) > before:
        return None
    return TrainingResource(
        name=fields.name,
        line=document.line((index,)),
        algorithm=fields.algorithm,
        entry=fields.entry,
        python_path=fields.python_path,
        inputs={name: ChannelSource(one.path, one.content_type) for name, one in fields.inputs.items()},
        hyperparameters=dict(fields.hyperparameters),
        model=fields.model,
        max_runtime_seconds=MAX_RUNTIME_SECONDS if fields.max_runtime is None else fields.max_runtime,
        stop_grace_seconds=STOP_GRACE_SECONDS if fields.stop_grace is None else fields.stop_grace,
        environment=fields.env.plain if fields.env else {},
        secrets=fields.env.secrets if fields.env else {},
        cpu_millis=fields.compute.cpu if fields.compute else None,
        memory_bytes=fields.compute.mem if fields.compute else None,
        priority=fields.priority,
        retry_count=fields.retries.count if fields.retries else 0,
        retry_on=tuple(fields.retries.on) if fields.retries and fields.retries.on else None,
        log_metrics=dict(fields.metrics),
        schedule=schedule,
        deployed=schedule is not None or fields.kind in TASKS,
    )


def _check_places(document: Document, index: int, label: str, fields: TrainingFields, folder: Path) -> None:
    if fields.entry is not None:
        check_place(document, index, label, ("entry",), folder, fields.entry, inside=True, want="file")
    if fields.python_path is not None:
        place = fields.python_path
        check_place(document, index, label, ("python_path",), folder, place, inside=True, want="folder")
    for channel, source in fields.inputs.items():
        check_source(document, index, label, ("inputs", channel), folder, source.path)
