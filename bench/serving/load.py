"""Load on one server, and what it cost: the generator's report, the CPU of every process that took part."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.serving.costs import cpu_seconds

GENERATOR = "generator"
"""The role under which the generator's own CPU is reported."""

_SCRIPT = Path(__file__).with_name("load.lua")
_GRACE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """One measurement. Times are seconds, CPU is microseconds a request."""

    case: str
    server: str
    connections: int
    requests: int
    requests_per_second: float
    p50_seconds: float
    p99_seconds: float
    errors: int
    cpu_us_per_request: dict[str, float]
    """By role of the server's processes, and `GENERATOR`."""


class Measured(Protocol):
    """What load is put on. `processes` maps a role to its process ids."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def processes(self) -> Mapping[str, list[int]]: ...


def generator_name() -> str:
    return "wrk" if shutil.which("wrk") else "bench.serving.generator"


def put_load(
    case: str,
    server: Measured,
    body: Path | None,
    connections: int,
    seconds: int,
    headers: Mapping[str, str] | None = None,
) -> Load:
    """Keeps `connections` requests under way: posts of the file `body`, or GETs where there is none. Without a body and
    with headers the generator must be wrk. Raises RuntimeError where the generator fails."""
    before = {role: cpu_seconds(pids) for role, pids in server.processes.items()}
    report, generator_cpu = _generate(_command(server.url, body, connections, seconds, headers or {}), seconds)
    spent = {role: cpu_seconds(pids) - before[role] for role, pids in server.processes.items()}
    requests = int(report["requests"])
    return Load(
        case=case,
        server=server.name,
        connections=connections,
        requests=requests,
        requests_per_second=requests / report["seconds"],
        p50_seconds=report["p50_us"] / 1e6,
        p99_seconds=report["p99_us"] / 1e6,
        errors=int(report["errors"]),
        cpu_us_per_request={
            role: used / max(requests, 1) * 1e6 for role, used in {**spent, GENERATOR: generator_cpu}.items()
        },
    )


def _generate(command: list[str], seconds: int) -> tuple[dict[str, float], float]:
    before = _ended_children_cpu_seconds()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate(timeout=seconds + _GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise RuntimeError(f"cannot measure: {' '.join(command)} did not end") from None
    if process.returncode != 0:
        raise RuntimeError(f"cannot measure: {' '.join(command)} ended with {process.returncode}")
    return json.loads(output.strip().splitlines()[-1]), _ended_children_cpu_seconds() - before


def _ended_children_cpu_seconds() -> float:
    # No other child of this process ends while load is put on a server, so the difference is the generator's.
    times = os.times()
    return times.children_user + times.children_system


def _command(url: str, body: Path | None, connections: int, seconds: int, headers: Mapping[str, str]) -> list[str]:
    if generator_name() == "wrk":
        shown = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
        posted = ["--", str(body)] if body is not None else []
        return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *shown, "-s", str(_SCRIPT), url, *posted]
    return [sys.executable, "-m", "bench.serving.generator", url, str(connections), str(seconds), str(body)]
