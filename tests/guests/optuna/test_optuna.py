"""Optuna 4 in an environment of its own, beside the yard's Optuna: a study of one's own drives runs."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import project, yard
from tests.acceptance.yard import Yard
from tests.guests.guest_environment import guest_python

pytestmark = [pytest.mark.environments, pytest.mark.timeout(300)]

__all__ = ["project", "yard"]
"""Fixtures: pytest finds them by their names here."""

YARD_FILE = """
- name: tries
  kind: training
  entry: train.py
  metrics: {distance: 'distance: (\\S+)'}
"""

TRIES = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--point", type=float)
print(f"distance: {abs(parser.parse_args().point - 0.3):.6f}")
"""


def test_a_study_of_ones_own_takes_a_run_for_its_objective(yard: Yard, project: Callable[..., Path]) -> None:
    folder = project(YARD_FILE, train__py=TRIES).parent
    command = Path(sys.executable).with_name("modelyard")
    script = Path(__file__).with_name("study.py")
    # -P: beside the script's folder lie folders with the names of libraries.
    done = subprocess.run(
        [guest_python("optuna"), "-P", str(script), str(command)],
        cwd=folder,
        env={**os.environ, "MODELYARD_HOME": str(yard.home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["version"].startswith("4.")
    runs = {one["id"]: one for one in yard.client().runs("tries")}
    assert sorted(one["metrics"]["distance"] for one in runs.values()) == sorted(found["values"])
    run, value, point = found["best"]
    assert value == min(found["values"])
    assert runs[run]["metrics"]["distance"] == value
    assert float(runs[run]["hyperparameters"]["point"]) == pytest.approx(point)
