"""`python -m bench.serving`: one model behind a yard and behind its peers, measured in turns. See bench/README.md."""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from bench.serving.agreement import check_agreement
from bench.serving.costs import pss_bytes
from bench.serving.load import Load, generator_name, put_load
from bench.serving.report import (
    MIB,
    Verdict,
    figures,
    print_figures,
    print_roles,
    print_verdicts,
    ratios,
    verdict_documents,
)
from bench.serving.servers import Server, peers
from bench.serving.subject import write_model
from bench.serving.yard import ENDPOINT, PLATFORM, Yard, running_yard
from modelyard.version import VERSION

CONNECTIONS = (1, 64)
RATE_RATIO_MIN = 0.8
"""At 64 connections, of what uvicorn answers for a constant."""
LATENCY_RATIO_MAX = 1.4
"""One connection's p50, of raw ASGI with the model in process."""
DEPLOY_SECONDS_MAX = 0.5
"""From the deploy of a registered model to its first prediction."""
IDLE_BYTES_MAX = 200 * MIB
"""PSS of the platform's own processes together."""

DEPLOYS = 5
WARM_UP_SECONDS = 1
IDLE_SECONDS = 3.0
PLAIN_WIDTH = 110
"""Columns where there is no terminal to ask."""
RESULTS = Path(__file__).parents[1] / "results" / "serving.json"


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: int
    output: Path


def main() -> int:
    """Measures, prints, writes. Returns 0 where every promise is kept, else 1."""
    plan = _read_plan()
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        model = write_model(Path(folder))
        with running_yard(Path(folder) / "home", model) as yard, peers(model) as others:
            deploy_seconds = _measure_deploys(console, yard)
            ours = yard.server()
            servers = [ours, *others]
            _check(console, servers)
            idle = {"fresh": _idle_bytes(ours)}
            loads = _measure(console, servers, plan)
            idle["after load"] = _idle_bytes(ours)
            pss = {
                server.name: pss_bytes(pid for pids in server.processes.values() for pid in pids) for server in servers
            }
            roles = {role: pss_bytes(pids) for role, pids in ours.processes.items()}
    return _report(console, plan, servers, loads, deploy_seconds, idle, pss, roles)


def _read_plan() -> Plan:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description="The serving benchmark.")
    parser.add_argument("--rounds", type=int, default=5, help="times that every server is measured (default 5)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one measurement in seconds (default 4)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures go, as JSON")
    given = parser.parse_args()
    return Plan(given.rounds, given.seconds, given.output)


def _measure_deploys(console: Console, yard: Yard) -> list[float]:
    yard.deploy(ENDPOINT)
    found: list[float] = []
    for number in range(DEPLOYS):
        name = f"{ENDPOINT}-{number}"
        found.append(yard.deploy(name))
        yard.delete(name)
        console.print(f"deploy {number + 1}/{DEPLOYS}: first prediction after {found[-1] * 1e3:.0f} ms")
    return found


def _check(console: Console, servers: Sequence[Server]) -> None:
    constant = next(server for server in servers if server.name == "constant")
    predicting = [server for server in servers if server is not constant]
    count = check_agreement(predicting, constant)
    console.print(
        f"equal answers: {len(predicting)} servers agree on {count} rows, singly and in batches; the constant is right"
    )


def _measure(console: Console, servers: Sequence[Server], plan: Plan) -> list[Load]:
    for server in servers:
        put_load(server, max(CONNECTIONS), WARM_UP_SECONDS)
    loads: list[Load] = []
    for number in range(plan.rounds):
        for connections in CONNECTIONS:
            # Every round begins with another server, so that none is always measured after the same one.
            turn = number % len(servers)
            for server in [*servers[turn:], *servers[:turn]]:
                load = put_load(server, connections, plan.seconds)
                loads.append(load)
                console.print(
                    f"round {number + 1}/{plan.rounds}, {connections:>2} connections, {server.name:<10}"
                    f"{load.requests_per_second:>9,.0f} requests/s, p50 {load.p50_seconds * 1e3:.3f} ms"
                    + (f", {load.errors} errors" if load.errors else "")
                )
    return loads


def _idle_bytes(ours: Server) -> int:
    time.sleep(IDLE_SECONDS)
    return pss_bytes(pid for role in PLATFORM for pid in ours.processes.get(role, []))


def _report(
    console: Console,
    plan: Plan,
    servers: Sequence[Server],
    loads: list[Load],
    deploy_seconds: list[float],
    idle: dict[str, int],
    pss: dict[str, int],
    roles: dict[str, int],
) -> int:
    found, against = figures(loads), ratios(loads, servers[0].name)
    verdicts = _judge(against, deploy_seconds, idle)
    print_figures(console, found, servers, pss)
    print_roles(console, found, servers[0].name, roles)
    print_verdicts(console, verdicts)
    document: dict[str, Any] = {
        "version": VERSION,
        "machine": {"cores": psutil.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "load": {"generator": generator_name(), "rounds": plan.rounds, "seconds": plan.seconds,
                 "load_average": os.getloadavg()[0]},
        "figures": [asdict(one) for one in found],
        "ratios": against,
        "deploy_to_first_prediction_seconds": deploy_seconds,
        "platform_idle_pss_bytes": idle,
        "pss_bytes": {"servers": pss, "modelyard": roles},
        "verdicts": verdict_documents(verdicts),
    }  # fmt: skip
    plan.output.parent.mkdir(parents=True, exist_ok=True)
    plan.output.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {plan.output}")
    errors = sum(one.errors for one in found)
    if errors:
        console.print(f"[red]{errors} requests failed; the figures above are not to be trusted[/red]")
    return 0 if not errors and all(one.kept for one in verdicts) else 1


def _judge(
    against: dict[str, dict[str, dict[str, float]]], deploy_seconds: list[float], idle: dict[str, int]
) -> list[Verdict]:
    rate = against["64"]["constant"]["requests_per_second"]
    latency = against["1"]["raw"]["p50"]
    return [
        Verdict(f"64 connections: at least {RATE_RATIO_MIN} x uvicorn's constant", rate, RATE_RATIO_MIN, True),
        Verdict(f"1 connection: p50 at most {LATENCY_RATIO_MAX} x raw ASGI", latency, LATENCY_RATIO_MAX, False),
        Verdict(
            f"deploy to first prediction: at most {DEPLOY_SECONDS_MAX} s",
            statistics.median(deploy_seconds),
            DEPLOY_SECONDS_MAX,
            False,
        ),
        Verdict(
            f"platform idle: at most {IDLE_BYTES_MAX // MIB} MiB PSS",
            max(idle.values()) / MIB,
            IDLE_BYTES_MAX / MIB,
            False,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
