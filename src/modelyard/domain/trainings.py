"""Trainings that a deploy put into the yard, so that it can start their runs: by schedule, or by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelyard.domain.runs import RunSpec, run_spec_from
from modelyard.domain.schedules import Timing, timing_of

KIND = "training"


@dataclass(frozen=True, slots=True)
class Training:
    run: RunSpec
    """What each run is asked for, with its inputs as they were when it was deployed."""
    reread: dict[str, str] = field(default_factory=dict[str, str])
    """Channel -> source that is read anew for each run: a path of the yard's machine, or a URL."""
    schedule: dict[str, Any] | None = None

    @property
    def timing(self) -> Timing | None:
        return timing_of({"schedule": self.schedule})

    @property
    def document(self) -> dict[str, Any]:
        return asdict(self)


def training_from(document: Mapping[str, Any]) -> Training:
    """The inverse of `Training.document`, tolerant of keys that a later version added."""
    return Training(run_spec_from(document["run"]), document.get("reread", {}), document.get("schedule"))
