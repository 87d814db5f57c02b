"""`python -m bench.soak --minutes 30`: mixed load over all lanes; fails where memory or descriptors grow, or where a
request fails. See bench/README.md."""

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

from bench.serving.costs import pss_bytes
from bench.soak.growth import Sample, growth_of
from bench.soak.lanes import Lanes, Soaked, write_yard_file
from bench.yard import FreshYard, end_when_told, fresh_yard
from modelyard.version import VERSION

SAMPLE_SECONDS = 5.0
SHOWN_MAX = 10
"""Samples of each process, and failures, that are printed; the file has all."""

PLAIN_WIDTH = 120
RESULTS = Path(__file__).parents[1] / "results" / "soak.json"
ENDPOINTS = ("mixed", "tensors", "queued", "both-one", "both-two")


def main() -> int:
    """Soaks, prints, writes. Returns 1 where something grew or failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Mixed load over all lanes.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the figures go, as JSON")
    given = parser.parse_args()
    end_when_told()
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        with fresh_yard(folder / "home") as yard:
            yard.client.deploy(write_yard_file(folder / "project", 1))
            for name in ENDPOINTS:
                view = yard.client.wait_endpoint(name)
                if view.state != "live":
                    raise RuntimeError(f"cannot soak: {name}: {view.sentence}")
            found, samples = _soak(yard, folder / "project", given.minutes * 60)
    grown = _print(console, found, samples)
    document = {
        "version": VERSION,
        "minutes": given.minutes,
        "answers": dict(found.answers),
        "failures": found.failures,
        "samples": {name: [asdict(one) for one in taken] for name, taken in samples.items()},
        "grown": grown,
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(document, indent=1) + "\n")
    console.print(f"written to {given.output}")
    return 1 if grown or found.failures else 0


def _soak(yard: FreshYard, folder: Path, seconds: float) -> tuple[Soaked, dict[str, list[Sample]]]:
    began = time.monotonic()
    lanes = Lanes(yard, folder, began + seconds)
    loading = threading.Thread(target=lambda: asyncio.run(lanes.run()))
    loading.start()
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    while loading.is_alive():
        at = time.monotonic() - began
        for name, pid in _processes(yard).items():
            sample = _sample(at, pid)
            if sample is not None:
                samples[name].append(sample)
        loading.join(SAMPLE_SECONDS)
    return lanes.found, dict(samples)


def _processes(yard: FreshYard) -> dict[str, int]:
    """The platform's processes, each with its pid in its name: another one is another, and says so."""
    return {f"{one['name']} {one['pid']}": one["pid"] for one in yard.client.status()["processes"] if one["pid"]}


def _sample(at: float, pid: int) -> Sample | None:
    try:
        return Sample(at, pss_bytes([pid]), psutil.Process(pid).num_fds())
    except psutil.Error:
        return None


def _print(console: Console, found: Soaked, samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Returns what grew, a sentence each."""
    lanes = Table(title="Answers", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    lanes.add_column("lane")
    lanes.add_column("answers", justify="right")
    for name, count in found.answers.items():
        lanes.add_row(name, f"{count:,}")
    console.print(lanes)
    for failure in found.failures[:SHOWN_MAX]:
        console.print(f"failed: {failure}")
    console.print(f"{len(found.failures)} requests failed")
    table = Table(title="Processes over time", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("process", "PSS MiB", "open files", "verdict"):
        table.add_column(column)
    grown: list[str] = []
    for name, taken in sorted(samples.items()):
        verdict, sentences = _verdict(name, taken)
        grown += sentences
        shown = taken[:: max(1, len(taken) // SHOWN_MAX)]
        memory = " ".join(f"{one.memory_bytes / 2**20:.1f}" for one in shown)
        table.add_row(name, memory, " ".join(str(one.open_files) for one in shown), verdict)
    console.print(table)
    return grown


def _verdict(name: str, taken: Sequence[Sample]) -> tuple[str, list[str]]:
    growth = growth_of(taken)
    if growth is None:
        return "too short to say", []
    before, after = growth.before, growth.after
    sentences: list[str] = []
    if growth.memory_grows:
        sentences.append(f"{name}: memory grew from {before.memory_bytes:,} to {after.memory_bytes:,} bytes")
    if growth.files_grow:
        sentences.append(f"{name}: open files grew from {before.open_files} to {after.open_files}")
    return "grows" if sentences else "flat", sentences


if __name__ == "__main__":
    sys.exit(main())
