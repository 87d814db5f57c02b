"""A yard comes up quickly, alone in its home, and goes down without leaving a process."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

BOUND = 4.0
TRIES_MAX = 4


def test_down_leaves_no_process(yard: Yard, project: Callable[..., Path], iris_model: Path) -> None:
    path = project("- name: iris\n  model: iris.joblib\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    (path.parent / "sleep.py").write_text(
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print('asleep', flush=True)\n"
        "time.sleep(600)\n"
    )
    client = yard.client()
    client.deploy(path)
    client.wait_endpoint("iris")
    run = client.train("sleeper", entry="sleep.py", source=path.parent)
    eventually(lambda: "asleep" in "".join(client.run_logs(run["id"])))
    assert yard.supervisor is not None
    children = {one.pid for one in yard.everything_alive()}
    assert len(children) >= 7
    assert yard.down() == 0
    assert yard.everything_alive() == []
    assert not (yard.home / "yard.json").exists()
    yard.up()
    ended = yard.client().run(run["id"])
    assert (ended["status"], ended["failure_reason"]) == ("Stopped", "the yard went down while it ran")
    eventually(lambda: yard.client().endpoint("iris").state == "live")


def test_a_second_up_in_the_same_home_is_refused_with_the_address_of_the_first(yard: Yard) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "modelyard.processes.supervisor", "--port", "0"],
        env={"MODELYARD_HOME": str(yard.home), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert "one runs there already" in second.stderr
    assert yard.url in second.stderr
    assert yard.client().status()["url"] == yard.url


def test_up_takes_less_than_four_times_what_importing_its_largest_process_takes(yard: Yard) -> None:
    """On a machine that does nothing else that is one second, and `up` less than two."""
    ratios: list[float] = []
    while len(ratios) < TRIES_MAX and min(ratios, default=BOUND) >= BOUND:
        assert yard.down() == 0
        imported = _seconds(
            lambda: subprocess.run([sys.executable, "-c", "import modelyard.processes.control"], check=True)
        )
        ratios.append(_seconds(yard.up) / imported)
        assert yard.client().endpoints() == []
    assert min(ratios) < BOUND, ratios


def _seconds(step: Callable[[], object]) -> float:
    began = time.monotonic()
    step()
    return time.monotonic() - began
