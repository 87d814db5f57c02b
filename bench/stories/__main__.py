"""`python -m bench.stories`: steady load while replicas come, go, are replaced and die. See bench/README.md."""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from bench.serving.promises import Verdict
from bench.serving.report import print_verdicts
from bench.stories.telling import STORIES, Noticed
from bench.yard import end_when_told, fresh_yard
from modelyard.version import VERSION

PLAIN_WIDTH = 120
RESULTS = Path(__file__).parents[1] / "results" / "stories.json"

# (story, what is promised, bound in the figure's own unit, the figure): each at most its bound.
BOUNDS: tuple[tuple[str, str, float, Callable[[Noticed], float]], ...] = (
    *(
        (name, f"{name}: failed requests", 0.0, lambda one: float(one.failed))
        for name in ("rolling", "canary", "scaling", "kills", "zero", "step", "queued")
    ),
    (
        "zero",
        "zero: first answer with the template warm, s",
        0.1,
        lambda one: one.figures["cold_start_warm_seconds"],
    ),
    (
        "zero",
        "zero: first answer without a template, s",
        2.0,
        lambda one: one.figures["cold_start_without_template_seconds"],
    ),
    (
        "step",
        "step: p95 queueing from 3 s after it, s",
        0.05,
        lambda one: one.figures["p95_queueing_seconds"],
    ),
    ("memory", "memory: one more replica, of the first", 0.2, lambda one: one.figures["one_more_of_first"]),
)


def main() -> int:
    """Tells the stories, prints, writes. Returns 1 where a promise was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.stories",
        description="Steady load while replicas come, go, are replaced and die.",
        epilog="stories:\n" + "\n".join(f"  {name:<10}{story.__doc__}" for name, story in STORIES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stories", nargs="*", choices=[[], *STORIES], help="which to tell (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures go, as JSON")
    given = parser.parse_args()
    end_when_told()
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    found = [_told(console, name) for name in given.stories or STORIES]
    verdicts = [
        Verdict(text, measured(one), bound, at_least=False)
        for one in found
        for story, text, bound, measured in BOUNDS
        if story == one.story
    ]
    _print(console, found)
    print_verdicts(console, verdicts)
    document = {
        "version": VERSION,
        "machine": {"cores": psutil.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "load_average": os.getloadavg()[0],
        "stories": [asdict(one) for one in found],
        "verdicts": [{**asdict(one), "kept": one.kept} for one in verdicts],
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(document, indent=2) + "\n")
    console.print(f"written to {given.output}")
    return 0 if all(one.kept for one in verdicts) else 1


def _told(console: Console, name: str) -> Noticed:
    """One story, in a yard of its own."""
    with tempfile.TemporaryDirectory(prefix="story-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with fresh_yard(folder / "home") as yard:
            found = STORIES[name](yard, folder / "stories")
    console.print(f"{name}: {found.requests} requests, {found.failed} failed, {_shown(found.figures)}")
    return found


def _shown(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items())


def _print(console: Console, found: Sequence[Noticed]) -> None:
    table = Table(title="Stories", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("story")
    for column in ("requests", "failed", "p99 ms at rest", "p99 ms during"):
        table.add_column(column, justify="right")
    for one in found:
        times = (one.rest_p99_seconds, one.p99_seconds)
        shown = ["" if seconds is None else f"{seconds * 1e3:.1f}" for seconds in times]
        table.add_row(one.story, str(one.requests), str(one.failed), *shown)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
