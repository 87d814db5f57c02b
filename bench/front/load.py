"""The two sides of a comparison, and how load is put on one: by wrk, with the figures that `bench.serving` has."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving import load
from bench.serving.load import Load


@dataclass(frozen=True, slots=True)
class Side:
    """One of two that answer the same. `processes` maps a role to its process ids; `body` is a file that is posted,
    None for a GET."""

    name: str
    url: str
    processes: Mapping[str, list[int]]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Path | None = None


def check_generator() -> None:
    """Raises RuntimeError where wrk is missing."""
    if shutil.which("wrk") is None:
        raise RuntimeError("cannot measure without wrk: apt-get install wrk")


def put_load(case: str, side: Side, connections: int, seconds: int) -> Load:
    """Keeps `connections` requests under way. Raises RuntimeError where the generator fails."""
    return load.put_load(case, side, side.body, connections, seconds, side.headers)
