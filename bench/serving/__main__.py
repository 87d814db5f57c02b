"""`python -m bench.serving`: endpoints of a yard beside their peers, measured in turns. See bench/README.md."""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from bench.serving.cases import CASES, CASES_BY_NAME, Case, write_models
from bench.serving.chart import drawn
from bench.serving.costs import pss_bytes
from bench.serving.figures import figures, ratios, streamed
from bench.serving.load import generator_name
from bench.serving.measuring import Effort, Found, measure
from bench.serving.promises import Evidence, judge
from bench.serving.report import print_figures, print_streamed, print_verdicts
from bench.serving.servers import PEERS
from bench.serving.yard import OURS, PLATFORM, REGISTERED, Yard, running_yard
from bench.yard import end_when_told
from modelyard.version import VERSION

DEPLOYS = 5
IDLE_SECONDS = 3.0
PLAIN_WIDTH = 120
"""Columns where there is no terminal to ask."""
RESULTS = Path(__file__).parents[1] / "results" / "serving.json"


@dataclass(frozen=True, slots=True)
class Plan:
    cases: tuple[Case, ...]
    peers: tuple[str, ...]
    effort: Effort
    output: Path
    strict: bool


def main() -> int:
    """Measures, prints, writes. Returns 1 where a request failed; with `--strict` also where a promise was missed."""
    plan = _read_plan()
    end_when_told()
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        models = folder / "models"
        models.mkdir()
        write_models(models)
        with running_yard(folder, models) as yard:
            deploy_seconds = _measure_deploys(console, yard)
            idle = {"fresh": _idle_bytes(yard)}
            found = [measure(case, plan.peers, yard, models, folder, plan.effort, console.print) for case in plan.cases]
            idle["after load"] = _idle_bytes(yard)
    return _report(console, plan, found, deploy_seconds, idle)


def _read_plan() -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving",
        description="The serving benchmark: endpoints of a yard beside other servers that do the same work.",
        epilog=_listed(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--cases", type=_names(CASES_BY_NAME), default=tuple(CASES_BY_NAME), metavar="A,B,...",
                        help="cases to measure (default: all)")  # fmt: skip
    parser.add_argument("--peers", type=_names(PEERS), default=tuple(PEERS), metavar="A,B,...",
                        help="peers to measure beside us, or `none` (default: all that a case has)")  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="times that every server is measured (default 3)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement in seconds (default 2)")
    parser.add_argument("--connections", type=_counts, metavar="1,16,...", help="instead of what each case names")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures go, as JSON; the chart beside")
    parser.add_argument("--strict", action="store_true", help="a missed promise is a failure")
    given = parser.parse_args()
    cases = tuple(CASES_BY_NAME[name] for name in given.cases)
    effort = Effort(given.rounds, given.seconds, given.connections)
    return Plan(cases, given.peers, effort, given.output, given.strict)


def _listed() -> str:
    cases = "\n".join(f"  {case.name:<12}{case.what}" for case in CASES)
    peers = "\n".join(f"  {peer.name:<12}{peer.what}" for peer in PEERS.values())
    return f"cases:\n{cases}\n\npeers:\n{peers}\n"


def _names(known: dict[str, Any]) -> Any:
    def read(text: str) -> tuple[str, ...]:
        names = () if text == "none" else tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"cannot take {unknown[0]}: there are {', '.join(known)}")
        return names

    return read


def _counts(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _measure_deploys(console: Console, yard: Yard) -> list[float]:
    found: list[float] = []
    for number in range(DEPLOYS):
        name = f"{REGISTERED}-{number}"
        found.append(yard.timed_deploy(name))
        yard.delete(name)
        console.print(f"deploy {number + 1}/{DEPLOYS}: first prediction after {found[-1] * 1e3:.0f} ms")
    return found


def _idle_bytes(yard: Yard) -> int:
    time.sleep(IDLE_SECONDS)
    processes = yard.processes(REGISTERED)
    return pss_bytes(pid for role in PLATFORM for pid in processes.get(role, []))


def _report(
    console: Console, plan: Plan, found: Sequence[Found], deploy_seconds: list[float], idle: dict[str, int]
) -> int:
    cases = [(one, figures(one.loads), streamed(one.first_bytes)) for one in found]
    loads = [load for one in found for load in one.loads]
    evidence = Evidence(
        [figure for _, each, _ in cases for figure in each],
        ratios(loads, OURS),
        [time for _, _, each in cases for time in each],
        deploy_seconds,
        list(idle.values()),
    )
    console.print()
    for one, each, times in cases:
        if times:
            print_streamed(console, one, times)
        else:
            print_figures(console, one, each)
    verdicts = judge(evidence)
    print_verdicts(console, verdicts)
    document: dict[str, Any] = {
        "version": VERSION,
        "machine": {"cores": psutil.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "load": {"generator": generator_name(), **asdict(plan.effort), "load_average": os.getloadavg()[0]},
        "figures": [asdict(one) for one in evidence.figures],
        "ratios": [asdict(one) for one in evidence.ratios],
        "streamed": [asdict(one) for one in evidence.streamed],
        "deploy_to_first_prediction_seconds": deploy_seconds,
        "platform_idle_pss_bytes": idle,
        "pss_bytes": {one.case.name: one.pss_bytes for one in found},
        "absent": {one.case.name: one.absent for one in found},
        "verdicts": [{**asdict(one), "kept": one.kept} for one in verdicts],
    }
    plan.output.parent.mkdir(parents=True, exist_ok=True)
    plan.output.write_text(json.dumps(document, indent=2) + "\n")
    chart = plan.output.with_suffix(".svg")
    chart.write_text(drawn(cases))
    console.print(f"written to {plan.output} and {chart}")
    errors = sum(one.errors for one in evidence.figures if one.server == OURS)
    if errors:
        console.print(f"[red]{errors} requests of ours failed[/red]")
    return 1 if errors or (plan.strict and not all(one.kept for one in verdicts)) else 0


if __name__ == "__main__":
    sys.exit(main())
