"""sagemaker-training's own `train` finds its container's world in a job of the yard, and runs a user's script there."""

from pathlib import Path

import pytest

from tests.acceptance.conftest import yard
from tests.acceptance.yard import Yard
from tests.guests.guest_environment import guest_python

# Its environment takes minutes to build where it is not there yet.
pytestmark = pytest.mark.timeout(600)

__all__ = ["yard"]
"""A fixture: pytest finds it by its name here."""

TOOLKIT = """
# Were this script the program that the toolkit runs, it would start itself for ever.
[ -z "$IN_TOOLKIT" ] || { echo "train runs train.sh again"; exit 9; }
export IN_TOOLKIT=1
# The toolkit waits until every host's name resolves, and a yard's one host has no name in DNS.
sed -i 's/algo-1/localhost/g' "$SM_INPUT_CONFIG_DIR/resourceconfig.json"
# In a container nothing but the hyperparameters names the program.
unset SAGEMAKER_PROGRAM
exec "$TOOLKIT/train"
"""

SCRIPT = """
import argparse, json, os, pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--rate", type=float)
parser.add_argument("--model_dir", default=os.environ["SM_MODEL_DIR"])
given = parser.parse_args()
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
print("found", given.epochs, given.rate, json.loads(os.environ["SM_HOSTS"]), rows.strip(), flush=True)
if given.epochs == 13:
    raise ValueError("epochs are unlucky")
pathlib.Path(given.model_dir, "model.txt").write_text("learnt")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "train.sh").write_text(TOOLKIT)
    (tmp_path / "rows.csv").write_text("1,2\n")
    return tmp_path


def train(yard: Yard, project: Path, epochs: int) -> tuple[str, str | None, str]:
    """Status, reason and log of a run by the toolkit."""
    run = yard.client().train(
        "toolkit",
        entry="train.sh",
        source=project,
        inputs={"train": "rows.csv"},
        hyperparameters={
            "epochs": epochs,
            "rate": 0.1,
            "sagemaker_program": "script.py",
            "sagemaker_submit_directory": ".",
            "sagemaker_container_log_level": 20,
        },
        model="toolkit",
        environment={"TOOLKIT": str(Path(guest_python("sagemaker_training")).parent)},
    )
    ended = yard.client().wait_run(run["id"], limit_seconds=120)
    return ended["status"], ended["failure_reason"], "".join(yard.client().run_logs(run["id"]))


def test_its_train_runs_a_script_and_what_it_leaves_is_registered(yard: Yard, project: Path) -> None:
    status, reason, log = train(yard, project, 3)
    assert status == "Completed", f"{reason}\n{log}"
    assert "found 3 0.1 ['localhost'] 1,2" in log
    assert yard.client().model("toolkit")[0]["version"] == 1


def test_its_failure_file_is_the_reason(yard: Yard, project: Path) -> None:
    status, reason, log = train(yard, project, 13)
    assert status == "Failed", log
    assert "ExecuteUserScriptError" in str(reason)
