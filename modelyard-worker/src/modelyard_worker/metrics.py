"""Metrics of a training: one JSON line a value, in the file that MODELYARD_METRICS_FILE names.

A line is `{"name": "loss", "value": 0.25, "step": 3, "at": 1700000000.0}`; `step` is null where none was given. Lines
are appended with one write each, so several processes of one job may log at once.
"""

import json
import math
import os
import time
from typing import Dict, List, Optional, Tuple

METRICS_FILE = "MODELYARD_METRICS_FILE"
"""Environment variable with the path of the file."""

NAME_LENGTH_MAX = 250
"""MLflow's limit, so that every metric can go there."""

NAMES_MAX = 1000
"""Most metrics of one run; what comes after them is left out of its record."""


def log_metric(name: str, value: float, step: Optional[int] = None) -> None:
    """Records a metric of the training that this process is part of. Outside of a training it prints the value instead.

    Raises ValueError for an empty or overlong name.
    """
    if not name or len(name) > NAME_LENGTH_MAX:
        raise ValueError(f"cannot log metric {name[:40]!r}: a name has 1 to {NAME_LENGTH_MAX} characters")
    path = os.environ.get(METRICS_FILE)
    if not path:
        print(f"metric {name}={float(value)!r}" + ("" if step is None else f" at step {step}"), flush=True)
        return
    line = json.dumps({"name": name, "value": float(value), "step": step, "at": time.time()}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def last_values(path: str) -> Dict[str, float]:
    """The last finite value of each metric in a metrics file, empty where there is no file. A torn line is skipped."""
    values: Dict[str, float] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                _take(line, values)
    except OSError:
        return {}
    return values


def values_of(path: str, wanted: str) -> List[float]:
    """Every finite value of one metric in the order in which they were logged, empty where there is no file."""
    values: List[float] = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                name, value = _read(line)
                if name == wanted and math.isfinite(value):
                    values.append(value)
    except OSError:
        return []
    return values


def _read(line: str) -> Tuple[str, float]:
    """NaN where the line is torn or none of ours."""
    try:
        entry = json.loads(line)
        return str(entry["name"]), float(entry["value"])
    except (ValueError, TypeError, KeyError):
        return "", math.nan


def _take(line: str, values: Dict[str, float]) -> None:
    name, value = _read(line)
    if math.isfinite(value) and (name in values or len(values) < NAMES_MAX):
        values[name] = value
