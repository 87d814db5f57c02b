"""`python -m bench.front`: what stands in front of people and programs, beside the same without it. See
bench/README.md."""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from bench.front.comparisons import COMPARISONS, OURS, Effort, Found
from bench.front.house import standing_house
from bench.front.load import check_generator
from bench.front.promises import echo_ratio, judge
from bench.serving.agreement import DifferentAnswer
from bench.serving.figures import Figures, figures, ratios
from bench.serving.load import GENERATOR
from bench.serving.report import print_verdicts
from bench.serving.servers import CannotStart
from bench.yard import end_when_told
from modelyard.version import VERSION

PLAIN_WIDTH = 120
RESULTS = Path(__file__).parents[1] / "results" / "front.json"


def main() -> int:
    """Measures, prints, writes. Returns 1 where a request failed; with `--strict` also where a promise was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.front",
        description="Apps, WebSockets, sites, functions and guarded predictions beside the same without a yard before.",
        epilog="comparisons:\n" + "\n".join(f"  {name:<11}{one.__doc__}" for name, one in COMPARISONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("comparisons", nargs="*", choices=[[], *COMPARISONS], help="which to make (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="times that both sides are measured (default 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one measurement in seconds (default 2)")
    parser.add_argument("--sockets", type=int, default=1000, help="WebSockets open at once (default 1000)")
    parser.add_argument("--nginx-workers", type=int, default=psutil.cpu_count() or 1,
                        help="nginx's worker processes (default: as many as there are cores)")  # fmt: skip
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures go, as JSON")
    parser.add_argument("--strict", action="store_true", help="a missed promise is a failure")
    given = parser.parse_args()
    end_when_told()
    check_generator()
    _allow_files()
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    effort = Effort(given.rounds, given.seconds, given.sockets, given.nginx_workers)
    found, absent = _measured(console, given.comparisons or tuple(COMPARISONS), effort)
    return _report(console, found, absent, effort, given.output, strict=given.strict)


def _allow_files() -> None:
    """A thousand WebSockets are a thousand open files, here, in the app and twice in the gateway."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _measured(console: Console, names: Sequence[str], effort: Effort) -> tuple[Found, dict[str, str]]:
    """All that was found, and which comparisons could not be made here, with the reason."""
    found, absent = Found(), dict[str, str]()
    with tempfile.TemporaryDirectory(prefix="front-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with standing_house(folder) as house:
            for name in names:
                try:
                    one = COMPARISONS[name](house, folder, effort, console.print)
                except (CannotStart, DifferentAnswer) as reason:
                    absent[name] = str(reason)
                    console.print(f"[red]{name} is not measured: {reason}[/red]")
                    continue
                found.loads += one.loads
                found.echoes += one.echoes
                found.held = one.held or found.held
    return found, absent


def _report(
    console: Console, found: Found, absent: dict[str, str], effort: Effort, output: Path, *, strict: bool
) -> int:
    measured = figures(found.loads)
    console.print()
    if measured:
        _print_loads(console, measured, found)
    if found.echoes:
        _print_echoes(console, found)
    if found.held is not None:
        _print_held(console, found)
    verdicts = judge(found)
    print_verdicts(console, verdicts)
    document = {
        "version": VERSION,
        "machine": {"cores": psutil.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "effort": asdict(effort),
        "load_average": os.getloadavg()[0],
        "figures": [asdict(one) for one in measured],
        "ratios": [asdict(one) for one in ratios(found.loads, OURS)],
        "echoes": [asdict(one) for one in found.echoes],
        "held": asdict(found.held) if found.held is not None else None,
        "absent": absent,
        "verdicts": [{**asdict(one), "kept": one.kept} for one in verdicts],
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {output}; load average {os.getloadavg()[0]:.1f}")
    errors = sum(one.errors for one in measured if one.server == OURS)
    if errors:
        console.print(f"[red]{errors} requests of ours failed[/red]")
    return 1 if errors or (strict and (absent or not all(one.kept for one in verdicts))) else 0


def _print_loads(console: Console, measured: Sequence[Figures], found: Found) -> None:
    table = Table(title="Requests", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("case")
    table.add_column("side")
    for column in ("conn.", "requests/s", "ours to it", "p50 ms", "p99 ms", "errors", "CPU us"):
        table.add_column(column, justify="right", no_wrap=True)
    ratio = {(one.case, one.connections, one.peer): one.requests_per_second for one in ratios(found.loads, OURS)}
    for one, following in zip(measured, [*measured[1:], None], strict=True):
        ours = one.server == OURS
        place = (one.case, one.connections)
        table.add_row(
            one.case if ours else "",
            one.server,
            str(one.connections),
            f"{one.requests_per_second:,.0f}",
            f"{ratio[*place, one.server]:.2f}" if not ours else "",
            f"{one.p50_seconds * 1e3:.3f}",
            f"{one.p99_seconds * 1e3:.3f}",
            str(one.errors),
            ", ".join(f"{role} {cpu:.0f}" for role, cpu in one.cpu_us_per_request.items() if role != GENERATOR),
            end_section=following is None or (following.case, following.connections) != place,
        )
    console.print(table)


def _print_echoes(console: Console, found: Found) -> None:
    p50 = echo_ratio(found.echoes, lambda one: one.p50_seconds)
    p99 = echo_ratio(found.echoes, lambda one: one.p99_seconds)
    ours = min(one.p50_seconds for one in found.echoes if one.side == OURS)
    alone = min(one.p50_seconds for one in found.echoes if one.side != OURS)
    console.print(
        f"WebSocket echo: best p50 {ours * 1e6:.0f} us, of the app alone {alone * 1e6:.0f} us; ratio of the p50 "
        f"{p50:.2f}, of the p99 {p99:.2f}\n"
    )


def _print_held(console: Console, found: Found) -> None:
    assert found.held is not None
    shown = ", ".join(f"{role} {found.held.bytes_each(role) / 1024:.1f} KiB" for role in found.held.open_bytes)
    console.print(f"{found.held.sockets:,} WebSockets open, each one answered; for each of them: {shown}\n")


if __name__ == "__main__":
    sys.exit(main())
