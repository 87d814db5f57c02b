"""What was acknowledged is done, once, whoever is killed meanwhile; what cannot be done any more says so."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from modelyard_worker.records import is_alive

from tests.acceptance.yard import Yard, eventually, kill

pytestmark = pytest.mark.acceptance

WAITS = """
import os, pathlib, time
print("pid", os.getpid(), flush=True)
while not pathlib.Path(os.environ["GO"]).exists():
    time.sleep(0.02)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text("learnt")
with open(os.environ["GO"] + ".done", "a") as file:
    file.write("once\\n")
"""


class Waiting:
    """A run that trains until it is let go."""

    def __init__(self, yard: Yard, folder: Path, model: str) -> None:
        (folder / "train.py").write_text(WAITS)
        self.go = folder / "go"
        self.yard = yard
        environment = {"GO": str(self.go)}
        view = yard.client().train(model, entry="train.py", source=folder, model=model, environment=environment)
        self.id = view["id"]
        self.model = model

    def started(self) -> psutil.Process:
        """The script's own process."""
        return psutil.Process(eventually(self._pid))

    def _pid(self) -> int | None:
        words = "".join(self.yard.client().run_logs(self.id)).split()
        return int(words[words.index("pid") + 1]) if "pid" in words else None

    def assert_completes_once(self) -> None:
        self.go.touch()
        ended = self.yard.client().wait_run(self.id)
        assert (ended["status"], ended["model_version"]) == ("Completed", 1), ended["failure_reason"]
        assert self.go.with_name("go.done").read_text() == "once\n"
        assert len(self.yard.client().model(self.model)) == 1


@pytest.fixture
def waiting(tmp_path: Path) -> Callable[[Yard, str], Waiting]:
    return lambda yard, model: Waiting(yard, tmp_path, model)


def test_a_job_that_is_killed_is_lost_and_its_script_is_gone_too(
    shared_yard: Yard, waiting: Callable[[Yard, str], Waiting]
) -> None:
    run = waiting(shared_yard, "killed")
    script = run.started()
    kill(shared_yard.engine_process("jobs", run.id))
    ended = shared_yard.client().wait_run(run.id)
    assert ended["status"] == "Lost"
    assert "left no exit record" in str(ended["failure_reason"])
    eventually(lambda: not script.is_running())


def test_a_run_completes_once_though_the_controller_is_killed_while_it_trains(
    shared_yard: Yard, waiting: Callable[[Yard, str], Waiting]
) -> None:
    run = waiting(shared_yard, "uncontrolled")
    run.started()
    shared_yard.kill("controller")
    run.assert_completes_once()


def test_a_run_that_was_answered_completes_though_control_and_controller_are_killed_at_once(
    shared_yard: Yard, waiting: Callable[[Yard, str], Waiting]
) -> None:
    run = waiting(shared_yard, "acknowledged")
    shared_yard.kill("control")
    shared_yard.kill("controller")
    run.assert_completes_once()


def test_a_run_completes_once_though_the_supervisor_is_killed_and_the_yard_comes_up_again(
    shared_yard: Yard, waiting: Callable[[Yard, str], Waiting]
) -> None:
    run = waiting(shared_yard, "unsupervised")
    script = run.started()
    shared_yard.kill("supervisor")
    shared_yard.up()
    assert script.is_running()
    assert is_alive(shared_yard.process("controller"))
    run.assert_completes_once()
