"""Jobs that do what no job should: hang with children of their own, print without end, lose their input; full disks."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import a_yard
from tests.acceptance.standing import standing_yard
from tests.acceptance.test_full_disk import full, small_disk
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

__all__ = ["small_disk"]
"""A fixture: pytest finds it by its name here."""

FORKS_AND_HANGS = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("pids", os.getpid(), flush=True)
while True:
    time.sleep(60)
"""

GIBIBYTE = 2**30
LOG_BYTES_MAX = 16 * 2**20

PRINTS_A_GIGABYTE = """
import os
line = b"x" * 1023 + b"\\n"
block = line * 1024
for _ in range(1024):
    os.write(1, block)
os.write(1, b"that was all\\n")
"""

WRITES_UNTIL_FULL = """
import os, pathlib, time
model = pathlib.Path(os.environ["SM_MODEL_DIR"])
print("begins", flush=True)
while not (pathlib.Path(os.environ["GO"]).exists()):
    time.sleep(0.02)
(model / "model.txt").write_bytes(bytes(2**20))
"""

SLOW = """
import time

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        time.sleep(0.002)
        return payload["x"] + 1
"""
ROWS = 2000
BY_ROW: dict[str, Any] = {
    "strategy": "SingleRecord",
    "split": "Line",
    "content_type": "application/json",
    "processes": 1,
    "max_payload_mb": 500 / 2**20,
}


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    with a_yard() as one:
        yield one


def train(yard: Yard, folder: Path, script: str, name: str, **more: Any) -> str:
    (folder / "train.py").write_text(script)
    return yard.client().train(name, entry="train.py", source=folder, **more)["id"]


def log(yard: Yard, run: str, lines: int = 100) -> str:
    return "\n".join(one.rstrip("\n") for one in yard.client().run_logs(run, lines=lines))


def rows(place: Path) -> Path:
    place.write_text("".join(f'{{"x": {number}}}\n' for number in range(ROWS)))
    return place


def scored(yard: Yard, transform: str) -> int:
    progress = yard.client().get_transform(transform).progress
    return progress.records if progress is not None else 0


def test_a_script_that_forks_and_hangs_is_ended_with_all_that_it_began(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(FORKS_AND_HANGS)
    file = tmp_path / "modelyard.yaml"
    file.write_text("- {name: hangs, kind: training, entry: train.py, stop_grace: 500ms}\n")
    run = yard.client().train_file(file)["id"]
    said = eventually(lambda: log(yard, run).split("pids ")[1:])
    child = psutil.Process(int(said[0].split()[0]))
    yard.client().stop_run(run)
    assert yard.client().wait_run(run, limit_seconds=30)["status"] == "Stopped"
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, saying="its child is gone")


@pytest.mark.long
def test_a_script_that_prints_a_gigabyte_leaves_its_last_words_and_little_else(yard: Yard, tmp_path: Path) -> None:
    run = train(yard, tmp_path, PRINTS_A_GIGABYTE, "prints")
    assert yard.client().wait_run(run, limit_seconds=90)["status"] == "Completed"
    folder = yard.home / "engine" / "jobs" / run

    def on_disk() -> int:
        return sum(one.stat().st_blocks * 512 for one in folder.iterdir())

    eventually(lambda: on_disk() < 3 * LOG_BYTES_MAX, saying="a bounded log")
    assert log(yard, run, 1) == "that was all"


def test_a_transform_whose_input_vanishes_names_it_and_keeps_what_is_whole(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "predictor.py").write_text(SLOW)
    (tmp_path / "modelyard.yaml").write_text("- {name: slow, predictor: {path: predictor.py}}\n")
    yard.client().deploy(tmp_path, project="shop")
    given = tmp_path / "in"
    given.mkdir()
    (given / "a.jsonl").write_text('{"x": 1}\n')
    rows(given / "b.jsonl")
    view = yard.client().transform("endpoint/slow", given, tmp_path / "out", project="shop", **BY_ROW)
    eventually(lambda: scored(yard, view.id) > 10, saying="some rows")
    (given / "b.jsonl").unlink()
    ended = yard.client().wait_transform(view.id, limit_seconds=60)
    assert ended.status == "Failed"
    assert [one.name for one in ended.failed] == ["b.jsonl"]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["a.jsonl.out"]


@pytest.mark.long
def test_a_disk_that_fills_up_under_a_run_and_a_transform_costs_them_and_nothing_else(
    small_disk: Path, tmp_path: Path
) -> None:
    with standing_yard(small_disk / "home") as (yard, project):
        (project / "predictor.py").write_text(SLOW)
        (project / "modelyard.yaml").write_text("- {name: slow, predictor: {path: predictor.py}}\n")
        client = yard.client()
        client.deploy(project / "modelyard.yaml", project="shop")
        go = tmp_path / "go"
        run = train(yard, project, WRITES_UNTIL_FULL, "writes", model="writes", environment={"GO": str(go)})
        eventually(lambda: "begins" in log(yard, run))
        given, out = rows(small_disk / "rows.jsonl"), small_disk / "out"
        transform = client.transform("endpoint/slow", given, out, project="shop", **BY_ROW).id
        eventually(lambda: scored(yard, transform) > 10, saying="some rows")
        with full(small_disk):
            go.touch()
            # Long enough for both to have met the full disk.
            began = time.monotonic()
            eventually(lambda: time.monotonic() - began > 5)
            assert yard.client().status()
        assert client.wait_run(run, limit_seconds=60)["status"] in ("Failed", "Completed")
        ended = client.wait_transform(transform, limit_seconds=60)
        if ended.status == "Failed":
            assert "No space left on device" in str(ended.failure_reason)
            assert not list(out.iterdir())
        else:
            assert len((out / "rows.jsonl.out").read_text().splitlines()) == ROWS
        again = client.transform("endpoint/slow", given, out, project="shop").id
        assert client.wait_transform(again, limit_seconds=60).status == "Completed"
        assert [json.loads(line) for line in (out / "rows.jsonl.out").read_text().splitlines()] == [
            number + 1 for number in range(ROWS)
        ]
        after = train(yard, project, "print('fine')", "after")
        assert client.wait_run(after, limit_seconds=60)["status"] == "Completed"
