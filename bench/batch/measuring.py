"""One contestant's process and its children: on certain cores, with the most memory that they had together."""

import json
import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.serving.costs import pss_bytes

LOOK_SECONDS = 0.1
SECONDS_MAX = 120
"""Of one contestant: what takes longer is broken off and reported so."""


@dataclass(frozen=True, slots=True)
class Measured:
    wall_seconds: float
    """With the interpreter's start, imports and the loading of the model."""
    cpu_seconds: float
    """Of it and its children, user and system: what other work on the machine disturbs least."""
    peak_bytes: int
    """Proportional set size of all processes together."""
    said: dict[str, Any]
    """The last line that it printed, where that is a JSON object."""


class Failed(Exception):  # noqa: N818 (reads as what happened)
    """A contestant ended with an error, whose last lines these are."""


def measure(command: Sequence[str | Path], cores: Sequence[int], environment: Mapping[str, str]) -> Measured:
    """Raises Failed."""
    began, cpu_before = time.perf_counter(), _cpu_seconds()
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509 (no thread holds a lock yet)
    )
    peak = [0]
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, ended))
    watcher.start()
    try:
        said, _ = process.communicate(timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:
            one.kill()
        process.wait()
        raise Failed(f"it took longer than {SECONDS_MAX} s") from None
    finally:
        ended.set()
        watcher.join()
    if process.returncode != 0:
        raise Failed(" / ".join(said.strip().splitlines()[-3:])[-400:])
    return Measured(time.perf_counter() - began, _cpu_seconds() - cpu_before, peak[0], _last_object(said))


def _cpu_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(pid: int, peak: list[int], ended: threading.Event) -> None:
    while not ended.wait(LOOK_SECONDS):
        try:
            tree = [pid, *(one.pid for one in psutil.Process(pid).children(recursive=True))]
        except psutil.NoSuchProcess:
            return
        peak[0] = max(peak[0], pss_bytes(tree))


def _last_object(said: str) -> dict[str, Any]:
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return {}
