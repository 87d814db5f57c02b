"""Batches: transforms that the yard can start again, by schedule or by name. Each start is a transform of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from modelyard.domain.schedules import Timing, timing_of
from modelyard.domain.transforms import JOB_WORD, TransformSpec

KIND = "batch"

NAME_LENGTH_MAX = 56
"""Of a batch: its transforms are NAME-1, NAME-2, ..."""


@dataclass(frozen=True, slots=True)
class Batch:
    """As a deploy wishes it. Which version of a model scores is found at each start."""

    input: str | None = None
    """A path of the yard's machine or a URL; None where each start names its own. `{date}` and `{time}` in it, and in
    `output`, are those of the start."""
    output: str | None = None
    """In it `{job}` is the id of the transform."""
    model: str | None = None
    """A registered model, `price@champion`. At most one of `model` and `model_tree`."""
    model_tree: str | None = None
    endpoint: str | None = None
    """An endpoint whose package scores, in place of model, predictor and code."""
    predictor: dict[str, Any] | None = None
    code: str | None = None
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    priority: int = 0
    schedule: dict[str, Any] | None = None

    @property
    def timing(self) -> Timing | None:
        return timing_of({"schedule": self.schedule})


def batch_from(document: Mapping[str, Any]) -> Batch:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Batch(**{key: document[key] for key in Batch.__dataclass_fields__ if key in document})


def place_at(text: str, moment: float, time_zone: str) -> str:
    """An input or output with the day and the time of day of a start in it: `out/{date}` is `out/2030-01-31`."""
    at = datetime.fromtimestamp(moment, ZoneInfo(time_zone))
    return text.replace("{date}", at.strftime("%Y-%m-%d")).replace("{time}", at.strftime("%H%M"))


def output_of_jobs(output: str) -> str:
    """An output as jobs use it that name theirs alike, `000000.json.out`: each has a folder of its own there."""
    return output if JOB_WORD in output else f"{output.rstrip('/')}/{JOB_WORD}"


def transform_of(
    batch: Batch, name: str, project: str, package: str, model: str | None, moment: float, scheduled_at: float | None
) -> TransformSpec:
    """What one start asks for. `moment` is the time that it is for; it has an input and an output."""
    timing = batch.timing
    zone = timing.time_zone if timing is not None else "UTC"
    return TransformSpec(
        name=name,
        project=project,
        package=package,
        input=place_at(batch.input or "", moment, zone),
        output=place_at(batch.output or "", moment, zone),
        model=model,
        options=batch.options,
        environment=batch.environment,
        secrets=batch.secrets,
        batch=name,
        cpu_millis=batch.cpu_millis,
        memory_bytes=batch.memory_bytes,
        priority=batch.priority,
        scheduled_at=scheduled_at,
    )
