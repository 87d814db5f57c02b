"""`python -m bench.training`: jobs that do nothing, one by one and a hundred in the queue.

Each job is a script of one line that writes down when it began and ended. One by one says how long the way is from
submitting to the recorded finish. In the queue each job wants all cores, so that one runs at a time; while the first
one holds them the others are submitted, and then it lets go. None may be lost, or run twice, and what counts is the
time between the last line of one script and the first line of the next.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.yard import FreshYard, end_when_told, fresh_yard

if TYPE_CHECKING:
    from modelyard.sdk.views import RunView

RESULTS = Path(__file__).parents[1] / "results" / "training.json"

FINISH_SECONDS_MAX = 1.0
GAP_SECONDS_MAX = 0.2
"""The promises, each on the median."""

LIMIT_SECONDS = 600.0

SCRIPT = """\
import os, pathlib, time
began = time.time()
while "HOLD" in os.environ and not pathlib.Path(os.environ["HOLD"]).exists():
    time.sleep(0.01)
with open(os.environ["DONE"], "a") as done:
    done.write(f"{os.environ['TRAINING_JOB_NAME']} {began} {time.time()}\\n")
"""

YARD_FILE = """\
- name: alone
  kind: training
  entry: train.py
  env: {{DONE: {folder}/alone}}
- name: first
  kind: training
  entry: train.py
  compute: {{cpu: {cores}}}
  env: {{DONE: {folder}/queued, HOLD: {folder}/go}}
- name: queued
  kind: training
  entry: train.py
  compute: {{cpu: {cores}}}
  env: {{DONE: {folder}/queued}}
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """Times are seconds."""

    jobs: int
    finish_median_seconds: float
    finish_max_seconds: float
    queued: int
    lost: int
    twice: int
    gap_median_seconds: float
    gap_p95_seconds: float
    gap_max_seconds: float
    load_average: float
    """Over the last minute: what else the machine did counts."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a script wrote down."""

    run: str
    began: float
    ended: float


def one_by_one(yard: FreshYard, folder: Path, count: int) -> list[float]:
    """Seconds from submitting to the recorded finish, of each."""
    return [_submit_to_finish(yard, folder) for _ in range(count)]


def _submit_to_finish(yard: FreshYard, folder: Path) -> float:
    began = time.time()
    run = yard.client.train_file(folder, "alone")["id"]
    ended = _completed(yard.client.wait_run(run, limit_seconds=LIMIT_SECONDS))
    return ended - began


def _completed(run: "RunView") -> float:
    """When its finish was recorded."""
    if run["status"] != "Completed" or run["ended_at"] is None:
        raise RuntimeError(f"cannot go on: {run['id']} is {run['status']}: {run['failure_reason']}")
    return datetime.fromisoformat(run["ended_at"]).timestamp()


def in_the_queue(yard: FreshYard, folder: Path, notes: Path, count: int) -> tuple[list[str], list[Done]]:
    """What was submitted, and what was done, in its order."""
    first = yard.client.train_file(folder, "first")["id"]
    queued = [yard.client.train_file(folder, "queued")["id"] for _ in range(count)]
    (notes / "go").touch()
    for run in (first, *queued):
        _completed(yard.client.wait_run(run, limit_seconds=LIMIT_SECONDS))
    done = [
        Done(run, float(began), float(ended))
        for run, began, ended in map(str.split, (notes / "queued").read_text().splitlines())
    ]
    return queued, sorted(done, key=lambda one: one.began)


def gaps(done: list[Done]) -> list[float]:
    """Seconds between the end of each script and the begin of the next."""
    return [max(0.0, after.began - before.ended) for before, after in pairwise(done)]


def run(jobs: int, queued: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="bench-training-") as temporary:
        folder = Path(temporary) / "project"
        folder.mkdir()
        (folder / "train.py").write_text(SCRIPT)
        notes = Path(temporary) / "notes"
        notes.mkdir()
        cores = len(os.sched_getaffinity(0))
        (folder / "modelyard.yaml").write_text(YARD_FILE.format(folder=notes, cores=cores))
        with fresh_yard(Path(temporary) / "home") as yard:
            finishes = one_by_one(yard, folder, jobs)
            submitted, done = in_the_queue(yard, folder, notes, queued)
    names = [one.run for one in done]
    between = sorted(gaps(done))
    return Figures(
        jobs=jobs,
        finish_median_seconds=median(finishes),
        finish_max_seconds=max(finishes),
        queued=queued,
        lost=len(set(submitted) - set(names)),
        twice=len(names) - len(set(names)),
        gap_median_seconds=median(between),
        gap_p95_seconds=between[int(0.95 * (len(between) - 1))],
        gap_max_seconds=between[-1],
        load_average=os.getloadavg()[0],
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.training")
    parser.add_argument("--jobs", type=int, default=20, help="one by one")
    parser.add_argument("--queued", type=int, default=100)
    given = parser.parse_args()
    end_when_told()
    found = run(given.jobs, given.queued)
    print(
        f"{found.jobs} jobs one by one: submit to recorded finish {found.finish_median_seconds:.3f} s (median), "
        f"{found.finish_max_seconds:.3f} s (worst)"
    )
    print(
        f"{found.queued} jobs in the queue: {found.lost} lost, {found.twice} run twice; between two scripts "
        f"{1000 * found.gap_median_seconds:.0f} ms (median), {1000 * found.gap_p95_seconds:.0f} ms (95 %), "
        f"{1000 * found.gap_max_seconds:.0f} ms (worst); load average {found.load_average:.1f}"
    )
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(asdict(found), indent=2) + "\n")
    missed: list[str] = []
    if found.lost or found.twice:
        missed.append("none lost and none run twice")
    if found.finish_median_seconds >= FINISH_SECONDS_MAX:
        missed.append(f"submit to recorded finish under {FINISH_SECONDS_MAX:g} s")
    if found.gap_median_seconds >= GAP_SECONDS_MAX:
        missed.append(f"less than {1000 * GAP_SECONDS_MAX:.0f} ms between two jobs")
    for promise in missed:
        print(f"missed: {promise}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
