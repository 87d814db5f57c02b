"""What is wrong with a yard file, each problem with its place."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelyard.errors import InvalidValue

PROBLEMS_SHOWN_MAX = 50
FOUND_LENGTH_MAX = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is the path as people write it, `price.autoscaling.min_replicas`; empty where the file as a whole is
    meant."""

    line: int
    field: str
    sentence: str

    def written(self, file: str) -> str:
        where = f"{file}:{self.line}: "
        return f"{where}{self.field}: {self.sentence}" if self.field else where + self.sentence


def refusal(file: str, problems: Iterable[Problem]) -> InvalidValue:
    """All problems of a file as one error, by line."""
    listed = sorted(set(problems), key=lambda one: (one.line, one.field, one.sentence))
    shown = [f"  {one.written(file)}" for one in listed[:PROBLEMS_SHOWN_MAX]]
    if len(listed) > PROBLEMS_SHOWN_MAX:
        shown.append(f"  ... and {len(listed) - PROBLEMS_SHOWN_MAX} more")
    count = "1 problem" if len(listed) == 1 else f"{len(listed)} problems"
    return InvalidValue(
        f"cannot use {file}: {count}\n" + "\n".join(shown), "nothing was changed; correct the file and try again"
    )


def shown(value: Any) -> str:
    """A value as a problem quotes it, with its type in YAML's words: `'two' (text)`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"{str(value).lower()} (true/false)"
        case int() | float():
            return f"{value} (number)"
        case str():
            short = value if len(value) <= FOUND_LENGTH_MAX else value[: FOUND_LENGTH_MAX - 3] + "..."
            return f"{short!r} (text)"
        case list():
            return "a list"
        case _:
            return "a map"
