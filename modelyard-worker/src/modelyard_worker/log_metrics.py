"""Metrics as they stand in what a job prints: regular expressions find them while it runs. SageMaker's
MetricDefinitions.

A process of its own reads the job's output as it grows and appends what it finds to the metrics file, as `log_metric`
does. It belongs to the wrapper, which holds the other end of its standard input: when that is closed, the reader goes
on to the end of the output and ends. So it does after `kill -9` of the wrapper too.

    a line            ends with a line feed or a carriage return, as progress bars have it
    an expression     is searched for in each line, as often as it is there; its first group is the value, but for a
                      group called `step`; a group called `value` is the value wherever it stands
    what is found     says how far the output was read: whoever reads after a kill goes on there, and adds nothing twice

An expression may take for ever with some line. The reader is then ended by a timer of its own, and the job is not.
"""

import json
import os
import re
import select
import signal
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional, Pattern, Tuple

from modelyard_worker.job_environment import metrics_file
from modelyard_worker.metrics import NAME_LENGTH_MAX
from modelyard_worker.orders import JobOrder, read_order
from modelyard_worker.records import OUTPUT

DEFINITIONS_MAX = 40
"""Most metrics of one training; SageMaker's limit."""

EXPRESSION_LENGTH_MAX = 500
"""Characters; SageMaker's limit."""

PIECE_BYTES_MAX = 64 * 1024
"""What is read and searched at a time. A line that is longer is taken as several."""

LINE_LENGTH_MAX = 4096
"""Characters of a line that are searched."""

LOOK_SECONDS = 0.2
"""How often a growing output is looked at."""

PIECE_SECONDS_MAX = 3.0
"""CPU time that searching one piece may take."""

POINTS_MAX = 200_000
"""Values that are written one by one; beyond them the last one of each metric in each piece."""

VALUE, STEP = "value", "step"
"""Names of groups that have a meaning."""


class Place(NamedTuple):
    """How far an output was read."""

    begin: int = 0
    """Bytes of the output that need not be read again."""
    earlier: int = 0
    """Inode of the output's earlier part, which is another after each rotation; 0 where there is none."""


def compiled(name: str, expression: str) -> Pattern[str]:
    """The expression of a metric. Raises ValueError with what is wrong with it."""
    if not name or len(name) > NAME_LENGTH_MAX:
        raise ValueError(f"a metric's name has 1 to {NAME_LENGTH_MAX} characters")
    if not expression or len(expression) > EXPRESSION_LENGTH_MAX:
        raise ValueError(f"an expression has 1 to {EXPRESSION_LENGTH_MAX} characters")
    try:
        pattern = re.compile(expression)
    except re.error as error:
        where = f" at character {error.pos + 1}" if error.pos is not None else ""
        raise ValueError(f"it is no regular expression: {error.msg}{where}") from error
    if pattern.groups - (STEP in pattern.groupindex) < 1:
        raise ValueError("it has no group; put the value's part into parentheses, such as `loss=([0-9.]+)`")
    return pattern


def found_in(line: str, patterns: Dict[str, Pattern[str]]) -> List[Tuple[str, float, Optional[int]]]:
    """Name, value and step of every metric in a line. What is no number is passed over."""
    found: List[Tuple[str, float, Optional[int]]] = []
    for name, pattern in patterns.items():
        for match in pattern.finditer(line):
            try:
                step = match.group(STEP) if STEP in pattern.groupindex else None
                found.append((name, float(_value_of(match, pattern)), None if step is None else int(step)))
            except ValueError:
                continue
    return found


def _value_of(match: "re.Match[str]", pattern: Pattern[str]) -> str:
    """The text of the value's group, empty where it took no part in the match."""
    if VALUE in pattern.groupindex:
        return match.group(VALUE) or ""
    step = pattern.groupindex.get(STEP)
    return next((text for place, text in enumerate(match.groups(), 1) if place != step and text is not None), "")


def read_log(folder: str) -> int:
    """Reads the output of the job in `folder` until standard input is closed, and then to its end."""
    order = JobOrder(**read_order(folder))
    patterns = {name: compiled(name, expression) for name, expression in (order.metrics or {}).items()}
    reader = Reader(os.path.join(folder, OUTPUT), metrics_file(order.base), patterns)
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        reader.look()
    reader.look(ended=True)
    return 0


class Reader:
    """What of an output was read, and what was found."""

    def __init__(self, output: str, metrics: str, patterns: Dict[str, Pattern[str]]) -> None:
        self._output = output
        self._metrics = metrics
        self._patterns = patterns
        self._place = _place_in(metrics)
        self._written = 0

    def look(self, *, ended: bool = False) -> None:
        """Takes what was added since; with `ended` also a last line without an end."""
        earlier = _inode(f"{self._output}.1")
        if earlier != self._place.earlier:
            # It was rotated: what was not read yet has become the end of the earlier part.
            self._read(f"{self._output}.1", to_end=True)
            self._place = Place(0, earlier)
        self._read(self._output, to_end=ended)

    def _read(self, path: str, *, to_end: bool) -> None:
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed below; it may not be there)
        except OSError:
            return
        with file:
            while True:
                file.seek(self._place.begin)
                data = file.read(PIECE_BYTES_MAX)
                whole = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
                if not whole and (to_end or len(data) == PIECE_BYTES_MAX):
                    whole = data
                if not whole:
                    return
                self._place = self._place._replace(begin=self._place.begin + len(whole))
                self._take(whole)

    def _take(self, piece: bytes) -> None:
        # The timer's default action ends this process: no handler would run while an expression is searched for.
        signal.setitimer(signal.ITIMER_VIRTUAL, PIECE_SECONDS_MAX)
        found: List[Tuple[str, float, Optional[int]]] = []
        for line in piece.splitlines():
            found += found_in(line[: 4 * LINE_LENGTH_MAX].decode("utf-8", "replace")[:LINE_LENGTH_MAX], self._patterns)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        if self._written + len(found) > POINTS_MAX:
            found = list({name: (name, value, step) for name, value, step in found}.values())
        if found:
            self._write(found)

    def _write(self, found: List[Tuple[str, float, Optional[int]]]) -> None:
        """In one write, so that a kill leaves a piece's values or none; the last line says how far it was read."""
        now = time.time()
        lines: List[Dict[str, Any]] = [
            {"name": name, "value": value, "step": step, "at": now} for name, value, step in found
        ]
        lines[-1]["read"] = list(self._place)
        data = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        descriptor = os.open(self._metrics, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        self._written += len(found)


def _place_in(metrics: str) -> Place:
    """Where the last reader of the same output stopped, as its last value says."""
    place = Place()
    try:
        with open(metrics, "rb") as file:
            for line in file:
                if b'"read": [' in line:
                    place = Place(*json.loads(line)["read"])
    except (OSError, ValueError, TypeError, KeyError):
        return place
    return place


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0
