"""Hyperparameters of built-in algorithms: names, types, ranges and defaults, as values that are read and documented.

Values arrive as text or as numbers. An unknown name is refused, so that a misspelt one is not silently without effect.
"""

import difflib
import json
import math
from typing import Any, Dict, NamedTuple, Optional, Sequence, Tuple

from modelyard_worker.algorithms.refusal import BadInput


class Kind:
    """What a value may be. `read` raises ValueError with what is allowed."""

    def read(self, text: str) -> Any:
        raise NotImplementedError

    def describe(self) -> str:
        raise NotImplementedError


class Real(Kind):
    """A number from `low` to `high`, or above `above`."""

    def __init__(
        self, low: Optional[float] = None, high: Optional[float] = None, above: Optional[float] = None
    ) -> None:
        self.low, self.high, self.above = low, high, above

    def read(self, text: str) -> Any:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        too_low = (self.low is not None and value < self.low) or (self.above is not None and value <= self.above)
        if not math.isfinite(value) or too_low or (self.high is not None and value > self.high):
            raise ValueError(f"it must be {self.describe()}")
        return value

    def describe(self) -> str:
        words = [
            f"from {self.low:g}" if self.low is not None else "",
            f"above {self.above:g}" if self.above is not None else "",
            f"to {self.high:g}" if self.high is not None else "",
        ]
        return " ".join(["a number", *(word for word in words if word)])


class Whole(Real):
    """A whole number."""

    def read(self, text: str) -> Any:
        value = super().read(text)
        if not value.is_integer():
            raise ValueError(f"it must be {self.describe()}")
        return int(value)

    def describe(self) -> str:
        return super().describe().replace("a number", "a whole number")


class Choice(Kind):
    def __init__(self, *allowed: str) -> None:
        self.allowed = allowed

    def read(self, text: str) -> Any:
        if text not in self.allowed:
            close = difflib.get_close_matches(text, self.allowed, n=1)
            raise ValueError(f"it must be {self.describe()}" + (f"; did you mean {close[0]}?" if close else ""))
        return text

    def describe(self) -> str:
        return " or ".join((", ".join(self.allowed[:-1]), self.allowed[-1]) if self.allowed[1:] else self.allowed)


class Flag(Kind):
    def read(self, text: str) -> Any:
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError("it must be true or false")
        return text.lower() in ("true", "1")

    def describe(self) -> str:
        return "true or false"


class WholeNumbers(Kind):
    """A list such as `64,16`."""

    def read(self, text: str) -> Any:
        try:
            numbers = tuple(int(word) for word in text.strip("[]() ").split(","))
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) < 1:
            raise ValueError(f"it must be {self.describe()}")
        return numbers

    def describe(self) -> str:
        return "whole numbers from 1: 64,16"


class Hyperparameter(NamedTuple):
    name: str
    kind: Kind
    default: Any
    """None where there is none; `about` says what then holds."""
    about: str
    required: bool = False


def read_hyperparameters(known: Sequence[Hyperparameter], given: Dict[str, Any]) -> Dict[str, Any]:
    """Every value by name, defaults filled in. Raises BadInput naming the hyperparameter and what is allowed."""
    by_name = {one.name: one for one in known}
    values = {one.name: one.default for one in known}
    for name, value in given.items():
        if name.startswith("sagemaker_") or name == "_tuning_objective_metric":
            continue
        if name not in by_name:
            raise BadInput(f"cannot use hyperparameter {name}: unknown; {_nearest(name, tuple(by_name))}")
        text = _text(value)
        try:
            values[name] = by_name[name].kind.read(text)
        except ValueError as error:
            raise BadInput(f"cannot use hyperparameter {name}={text!r}: {error}") from None
    for one in known:
        if one.required and values[one.name] is None:
            raise BadInput(f"cannot train: hyperparameter {one.name} is needed: {one.about}")
    return values


def _nearest(name: str, known: Tuple[str, ...]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.strip() if isinstance(value, str) else json.dumps(value)
