"""A tuning goes on where it was, whoever was killed in the middle of it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.yard import Yard, eventually, kill

pytestmark = pytest.mark.acceptance

TRIES = """
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("--point", type=float)
point = parser.parse_args().point
run = os.environ["TRAINING_JOB_NAME"]
go = pathlib.Path(os.environ["GO"], run)
while not go.exists():
    time.sleep(0.01)
with open(os.environ["GO"] + ".done", "a") as done:
    done.write(run + "\\n")
print(f"distance: {abs(point - 0.3):.4f}", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "point.txt").write_text(str(point))
"""

YARD_FILE = """
- name: tries
  kind: training
  entry: train.py
  metrics: {{distance: 'distance: (\\S+)'}}
  env: {{GO: {go}}}
- name: tune
  kind: tuning
  training: tries
  objective: {{metric: distance}}
  parameters: {{point: {{min: 0.0, max: 1.0}}}}
  max_trials: 4
  model: closest
"""


def test_a_tuning_ends_with_every_trial_once_though_the_whole_yard_is_killed_in_the_middle(
    yard: Yard, project: Callable[..., Path], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    go.mkdir()
    file = yard.client().read_file(project(YARD_FILE.format(go=go), train__py=TRIES))
    tuning = yard.client().start_tuning(file.tunings[0], file).id

    def trials() -> list[dict[str, Any]]:
        return [asdict(one) for one in yard.client().tuning(tuning).trials]

    for number in (1, 2):
        (go / f"{tuning}-{number}").touch()
    eventually(lambda: [one["status"] for one in trials()] == ["Completed", "Completed", "InProgress"])
    eventually(lambda: yard.engine_pid(yard.home / "engine" / "jobs" / f"{tuning}-3"))
    before = trials()
    for name in ("supervisor", "controller", "control"):
        yard.kill(name)
    kill(yard.engine_process("jobs", f"{tuning}-3"))
    yard.up()
    for number in (3, 4):
        (go / f"{tuning}-{number}").touch()
    ended = yard.client().wait_tuning(tuning)
    assert (ended.status, ended.counts["completed"], ended.reason) == ("Completed", 4, None)
    assert trials()[:2] == before[:2]
    assert trials()[2]["hyperparameters"] == before[2]["hyperparameters"]
    assert go.with_suffix(".done").read_text().split() == [f"{tuning}-{number}" for number in (1, 2, 3, 4)]
    best = min(trials(), key=lambda one: one["value"])
    assert ended.best is not None
    assert ended.best.run == best["run"]
    (version,) = yard.client().model("closest")
    assert version["lineage"].get("run") == best["run"]
