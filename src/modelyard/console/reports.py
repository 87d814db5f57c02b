"""What a function's log says of its invocations: the REPORT lines, as figures."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_REPORT = re.compile(r"REPORT RequestId: (?P<request>\S+)\s(?P<rest>.*)")
_FIGURE = re.compile(r"(?P<name>[A-Z][A-Za-z ]+): (?P<value>[\d.]+) (?P<unit>ms|MB)")


@dataclass(frozen=True, slots=True)
class Report:
    request: str
    seconds: float
    memory_bytes: float
    memory_limit_bytes: float
    init_seconds: float | None
    """What importing the code took, in the first of an instance."""
    timed_out: bool


def reports(lines: Iterable[str]) -> list[Report]:
    """In the order of the lines; those that are no reports are passed over."""
    found = (_REPORT.search(line) for line in lines)
    return [_report(one["request"], one["rest"]) for one in found if one]


def _report(request: str, rest: str) -> Report:
    figures = {one["name"]: float(one["value"]) for one in _FIGURE.finditer(rest)}
    init = figures.get("Init Duration")
    return Report(
        request=request,
        seconds=figures.get("Duration", 0.0) / 1000,
        memory_bytes=figures.get("Max Memory Used", 0.0) * 1e6,
        memory_limit_bytes=figures.get("Memory Size", 0.0) * 1e6,
        init_seconds=None if init is None else init / 1000,
        timed_out="Status: timeout" in rest,
    )
