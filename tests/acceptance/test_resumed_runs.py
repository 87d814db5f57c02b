"""A run with retries goes on from its checkpoints, whoever was killed in the middle of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.sdk.client import Client
from tests.acceptance.yard import Yard, eventually, kill

pytestmark = pytest.mark.acceptance

STEPS = 4

COUNTS = f"""
import os, pathlib, time
place = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "step")
done = int(place.read_text()) if place.exists() else 0
print(f"begins at {{done}}", flush=True)
while done < {STEPS}:
    go = pathlib.Path(os.environ["GO"], str(done))
    while not go.exists():
        time.sleep(0.01)
    done += 1
    aside = place.with_suffix(".aside")
    aside.write_text(str(done))
    aside.rename(place)
    print(f"did {{done}}", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(done))
"""

YARD_FILE = """
- name: {name}
  kind: training
  entry: train.py
  model: {name}
  retries: {{count: 3, on: [interrupted]}}
  env: {{GO: {go}}}
"""


class Counting:
    """A run that does one step whenever it may, and writes a checkpoint after each."""

    def __init__(self, yard: Yard, project: Callable[..., Path], name: str, go: Path) -> None:
        go.mkdir()
        self.yard, self.go = yard, go
        self.id = self.client.train_file(project(YARD_FILE.format(name=name, go=go), train__py=COUNTS))["id"]

    @property
    def client(self) -> Client:
        return self.yard.client()

    def log(self) -> list[str]:
        return list(self.client.run_logs(self.id))

    def do(self, step: int) -> None:
        (self.go / str(step - 1)).touch()
        eventually(lambda: f"did {step}" in self.log(), saying=f"step {step}")

    def finish(self) -> None:
        for step in range(STEPS):
            (self.go / str(step)).touch()
        ended = self.client.wait_run(self.id)
        assert (ended["status"], ended["model_version"], ended["attempt"]) == ("Completed", 1, 2), ended
        lines = self.log()
        assert [line for line in lines if line.startswith("did")] == [f"did {step + 1}" for step in range(STEPS)]
        assert [line for line in lines if line.startswith("begins")] == ["begins at 0", "begins at 2"]


@pytest.fixture
def counting(project: Callable[..., Path], tmp_path: Path) -> Callable[[Yard, str], Counting]:
    return lambda yard, name: Counting(yard, project, name, tmp_path / "go")


def test_a_killed_job_goes_on_where_its_checkpoint_was(
    shared_yard: Yard, counting: Callable[[Yard, str], Counting]
) -> None:
    run = counting(shared_yard, "killed")
    run.do(1)
    run.do(2)
    kill(shared_yard.engine_process("jobs", run.id))
    eventually(lambda: "begins at 2" in run.log())
    run.finish()


def test_a_job_killed_together_with_the_controller_goes_on_too(
    shared_yard: Yard, counting: Callable[[Yard, str], Counting]
) -> None:
    run = counting(shared_yard, "uncontrolled")
    run.do(1)
    run.do(2)
    kill(shared_yard.engine_process("jobs", run.id))
    shared_yard.kill("controller")
    run.finish()


def test_a_yard_that_went_down_in_the_middle_goes_on_when_it_comes_up(
    yard: Yard, counting: Callable[[Yard, str], Counting]
) -> None:
    run = counting(yard, "down")
    run.do(1)
    run.do(2)
    yard.down()
    yard.up()
    run.finish()
