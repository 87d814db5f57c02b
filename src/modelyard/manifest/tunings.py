"""`kind: tuning`: fields as written -> what a tuning is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from modelyard.domain.names import name_key
from modelyard.manifest.checks import add_problem, check_fields
from modelyard.manifest.document import Document
from modelyard.manifest.problems import shown
from modelyard.manifest.schema import ParameterFields, TuningFields
from modelyard.manifest.values import scalar_text


@dataclass(frozen=True, slots=True)
class TuningResource:
    """A tuning as a yard file has it."""

    kind: ClassVar[Literal["tuning"]] = "tuning"

    name: str
    training: str
    """Name of a training of the same file."""
    metric: str
    minimize: bool
    line: int = 0
    """Where it begins in the file, from 1; 0 where no file was read."""
    ranges: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    """Fields of `domain.tunings.Range`."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further fields of `domain.tunings.TuningSpec`; what the file leaves out stays out."""


def read_tuning(document: Document, index: int, label: str, folder: Path) -> TuningResource | None:  # noqa: ARG001 (the port's)
    """None where the document got problems."""
    before = len(document.problems)
    fields = check_fields(document, TuningFields, index, label)
    if fields is None:
        return None
    _check_training(document, index, label, fields.training)
    if len(document.problems) > before:
        return None
    options: dict[str, Any] = {
        "strategy": fields.strategy.capitalize() if fields.strategy else None,
        "max_trials": fields.max_trials,
        "parallel_trials": fields.parallel_trials,
        "early_stopping": fields.early_stopping,
        "target": fields.target,
        "max_runtime_seconds": fields.max_runtime,
        "seed": fields.seed,
        "model": fields.model,
    }
    return TuningResource(
        name=fields.name,
        training=fields.training,
        metric=fields.objective.metric,
        minimize=fields.objective.direction == "minimize",
        line=document.line((index,)),
        ranges=[_range(name, one) for name, one in fields.parameters.items()],
        options={name: value for name, value in options.items() if value is not None},
    )


def _check_training(document: Document, index: int, label: str, wanted: str) -> None:
    trainings: list[str] = []
    for item in cast("list[Any]", document.value):
        found = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        if found.get("kind") == "training" and isinstance(found.get("name"), str):
            trainings.append(found["name"])
    if name_key(wanted) not in [name_key(one) for one in trainings]:
        allowed = ", ".join(trainings) or "none; write one with `kind: training`"
        sentence = f"found {shown(wanted)}; allowed: a training of this file: {allowed}"
        add_problem(document, index, label, ("training",), sentence)


def _range(name: str, fields: ParameterFields) -> dict[str, Any]:
    if fields.values is not None:
        return {"name": name, "kind": "categorical", "values": [scalar_text(one) for one in fields.values]}
    assert fields.min is not None
    assert fields.max is not None
    whole = isinstance(fields.min, int) and isinstance(fields.max, int)
    kind = fields.type or ("integer" if whole else "continuous")
    scaling = {None: "Auto", "reverse_logarithmic": "ReverseLogarithmic"}.get(fields.scaling)
    return {
        "name": name,
        "kind": kind,
        "low": float(fields.min),
        "high": float(fields.max),
        "scaling": scaling or str(fields.scaling).capitalize(),
    }
