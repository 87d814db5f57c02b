"""Load on one side of a comparison by wrk, and what it cost: the same figures as `bench.serving` has."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.costs import cpu_seconds
from bench.serving.load import GENERATOR, Load

_SCRIPT = Path(__file__).with_name("load.lua")
_GRACE_SECONDS = 30.0


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
    before = {role: cpu_seconds(pids) for role, pids in side.processes.items()}
    generator_before = _ended_children_cpu_seconds()
    report = _generate(side, connections, seconds)
    spent = {role: cpu_seconds(pids) - before[role] for role, pids in side.processes.items()}
    spent[GENERATOR] = _ended_children_cpu_seconds() - generator_before
    requests = int(report["requests"])
    return Load(
        case=case,
        server=side.name,
        connections=connections,
        requests=requests,
        requests_per_second=requests / report["seconds"],
        p50_seconds=report["p50_us"] / 1e6,
        p99_seconds=report["p99_us"] / 1e6,
        errors=int(report["errors"]),
        cpu_us_per_request={role: used / max(requests, 1) * 1e6 for role, used in spent.items()},
    )


def _generate(side: Side, connections: int, seconds: int) -> dict[str, float]:
    headers = [word for name, value in side.headers.items() for word in ("-H", f"{name}: {value}")]
    posted = ["--", str(side.body)] if side.body is not None else []
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *headers, "-s", str(_SCRIPT), side.url, *posted]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=seconds + _GRACE_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"cannot measure {side.url}: wrk ended with {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _ended_children_cpu_seconds() -> float:
    # No other child of this process ends while load is put on a side, so the difference is the generator's.
    times = os.times()
    return times.children_user + times.children_system
