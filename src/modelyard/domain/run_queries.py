"""Which runs somebody means: conditions over parameters, metrics and attributes, and an order.

    metrics.rmse < 3 and params.eta = 0.1 and status = Completed

Words are MLflow's. A value is compared as a number where both sides are numbers, else as text, and text only for
equality. A run that lacks what is asked for is not meant, whatever the comparison. Names with other signs are put in
backquotes.
"""

import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.errors import InvalidValue

CONDITIONS_MAX = 20
ATTRIBUTES = ("id", "training", "project", "status", "algorithm", "model", "created_at", "attempt")

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "==": operator.eq,
}
_FIELD = r"(?:(?P<kind>metrics?|params?)\.)?(?:`(?P<quoted>[^`]+)`|(?P<name>[\w.@:-]+))"
_CONDITION = re.compile(
    rf"\s*{_FIELD}\s*(?P<sign><=|>=|!=|==|<|>|=)\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<bare>[^\s'\"]+))\s*"
)
_AND = re.compile(r"and\s", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    kind: str
    """`metrics`, `params`, or `` for an attribute."""
    name: str

    def of(self, run: Mapping[str, Any]) -> Any:
        """Its value in a run's view; None where it has none."""
        if not self.kind:
            return run.get(self.name)
        return run["metrics" if self.kind == "metrics" else "hyperparameters"].get(self.name)

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}" if self.kind else self.name


@dataclass(frozen=True, slots=True)
class Condition:
    field: Field
    sign: str
    value: str

    def holds(self, run: Mapping[str, Any]) -> bool:
        found = self.field.of(run)
        if found is None:
            return False
        left, right = _number(found), _number(self.value)
        if left is not None and right is not None:
            return _COMPARED[self.sign](left, right)
        if self.sign in ("=", "==", "!="):
            return _COMPARED[self.sign](str(found).lower(), self.value.lower())
        # Times are written so that their order as text is their order.
        return self.field.name == "created_at" and _COMPARED[self.sign](str(found), self.value)


def parse_filter(text: str) -> list[Condition]:
    """Raises InvalidValue, with the place that cannot be read."""
    conditions: list[Condition] = []
    position = 0
    while position < len(text) or not conditions:
        match = _CONDITION.match(text, position)
        if match is None or len(conditions) == CONDITIONS_MAX:
            raise InvalidValue(
                f"cannot read the filter at {text[position : position + 40]!r}",
                "write such as `metrics.rmse < 3 and params.eta = 0.1 and status = Completed`",
            )
        value = next(part for part in (match["single"], match["double"], match["bare"]) if part is not None)
        conditions.append(Condition(_field(match), match["sign"], value))
        position = match.end()
        joined = _AND.match(text, position)
        if position < len(text) and joined is None:
            raise InvalidValue(
                f"cannot read the filter at {text[position : position + 40]!r}", "join conditions by `and`"
            )
        position = joined.end() if joined else position
    return conditions


def parse_field(text: str) -> Field:
    """`metrics.rmse`, `params.eta` or an attribute. Raises InvalidValue."""
    match = re.fullmatch(_FIELD, text.strip())
    if match is None:
        raise InvalidValue(f"cannot read {text[:60]!r} as a field", "write metrics.NAME, params.NAME or an attribute")
    return _field(match)


def telling_metrics(runs: Sequence[Mapping[str, Any]], count: int) -> list[Field]:
    """The metrics that most of these runs have, at most so many; in order of their names."""
    found = Counter(name for run in runs for name in run["metrics"])
    most = sorted(found, key=lambda name: (-found[name], name))[:count]
    return [Field("metrics", name) for name in sorted(most)]


def select_runs(
    runs: Sequence[Mapping[str, Any]], conditions: Sequence[Condition], order: Field | None, *, descending: bool
) -> list[Mapping[str, Any]]:
    """Those for which every condition holds; by `order`, those that lack it last, else as they were."""
    found = [run for run in runs if all(condition.holds(run) for condition in conditions)]
    if order is None:
        return found
    lacking = [run for run in found if order.of(run) is None]
    having = [run for run in found if order.of(run) is not None]
    return sorted(having, key=lambda run: _rank(order.of(run)), reverse=descending) + lacking


def differing(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Any], bool]]:
    """Rows of a comparison: name, each run's value (None where it has none), and whether they differ; by name."""
    names = sorted({name for column in columns for name in column})
    rows = [(name, [column.get(name) for column in columns]) for name in names]
    return [(name, values, any(value != values[0] for value in values)) for name, values in rows]


def _field(match: re.Match[str]) -> Field:
    kind = {"metric": "metrics", "param": "params"}.get(match["kind"] or "", match["kind"] or "")
    name = match["quoted"] or match["name"]
    if not kind and name not in ATTRIBUTES:
        raise InvalidValue(
            f"cannot ask for {name[:40]!r}: it is no attribute of a run",
            f"write metrics.{name} or params.{name}; attributes are {', '.join(ATTRIBUTES)}",
        )
    return Field(kind, name)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _rank(value: Any) -> tuple[bool, float, str]:
    number = _number(value)
    return (number is None, 0.0 if number is None else number, str(value))
