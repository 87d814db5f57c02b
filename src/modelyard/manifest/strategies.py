"""`update_strategy`: fields as written -> how a version takes over."""

from typing import Any

from modelyard.domain.strategies import UpdateStrategy, check_strategy
from modelyard.errors import InvalidValue
from modelyard.manifest.checks import add_problem
from modelyard.manifest.document import Document
from modelyard.manifest.schema import UpdateFields

_OF_TYPE = {
    "steps": ("canary",),
    "step_size": ("linear",),
    "interval": ("linear",),
    "bake_time": ("canary", "blue_green", "shadow"),
    "termination_wait": ("canary", "linear", "blue_green", "shadow"),
    "sample": ("shadow",),
    "compare": ("shadow",),
    "tolerance": ("shadow",),
}
"""Fields that only some types have."""

_FIELDS = {
    "type": "type",
    "step_size": "step_percent",
    "bake_time": "bake_seconds",
    "interval": "bake_seconds",
    "termination_wait": "termination_wait_seconds",
    "sample": "sample_percent",
    "compare": "compare",
    "tolerance": "tolerance",
}
"""Name in the file -> name in `domain.strategies.UpdateStrategy`."""


def strategy_settings(fields: UpdateFields) -> dict[str, Any] | None:
    """What the section says, by the domain's names; None where it says nothing of it."""
    settings = {ours: getattr(fields, name) for name, ours in _FIELDS.items() if getattr(fields, name) is not None}
    if fields.steps is not None:
        settings["steps"] = list(fields.steps)
    if fields.auto_rollback is not None:
        settings["guard"] = _guard(fields)
    return settings or None


def _guard(fields: UpdateFields) -> dict[str, Any]:
    given = fields.auto_rollback.model_dump(exclude_none=True) if fields.auto_rollback is not None else {}
    if "error_rate" in given:
        given["error_rate"] /= 100
    return given


def check_update(document: Document, index: int, label: str, fields: UpdateFields) -> None:
    """Adds what does not go together to the document's problems."""
    chosen = fields.type or "rolling"
    for name, types in _OF_TYPE.items():
        if getattr(fields, name) is not None and chosen not in types:
            sentence = f"found with type {chosen}; only {' and '.join(types)} have it"
            sentence = sentence.replace(" have it", " has it") if len(types) == 1 else sentence
            add_problem(document, index, label, ("update_strategy", name), sentence)
    if fields.steps is not None:
        try:
            check_strategy(UpdateStrategy(steps=tuple(fields.steps)))
        except InvalidValue as error:
            sentence = f"found {', '.join(f'{one:g}' for one in fields.steps)}; {error.hint}"
            add_problem(document, index, label, ("update_strategy", "steps"), sentence)
