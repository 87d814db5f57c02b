"""A secret reaches the process that needs it, and nothing else."""

import contextlib
import os
import pty
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modelyard.errors import NotFound
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

VALUE = "correct-horse-battery-staple"
PREDICTOR = """
import os

print("starting with", os.environ["TOKEN"], flush=True)
if "broken" in os.environ["TOKEN"]:
    raise ValueError("cannot log in with " + os.environ["TOKEN"])

class Predictor:
    def predict(self, payload):
        return {"length": len(os.environ["TOKEN"])}
"""
TRAIN = """
import os, sys
print("training with", os.environ["TOKEN"], flush=True)
sys.exit("cannot log in with " + os.environ["TOKEN"])
"""
YARD_FILE = "- name: guarded\n  predictor: {path: predictor.py}\n  env: {TOKEN: {secret: TOKEN}}\n"


def files_that_hold(value: str, home: Path) -> list[Path]:
    return [path for path in home.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]


def test_a_secret_reaches_predictor_and_training_and_is_shown_nowhere(yard: Yard, project: Callable[..., Path]) -> None:
    client = yard.client()
    path = project(YARD_FILE, predictor__py=PREDICTOR, train__py=TRAIN)
    with pytest.raises(NotFound, match="TOKEN"):
        client.deploy(path)
    client.set_secret("token", VALUE)
    client.deploy(path)
    assert client.wait_endpoint("guarded").state == "live"
    assert client.predict("guarded", {}) == {"length": len(VALUE)}
    run = client.train("t", entry="train.py", source=path.parent, secrets={"TOKEN": "token"})
    ended = client.wait_run(run["id"], limit_seconds=60)
    assert "cannot log in with ***" in str(ended["failure_reason"])
    assert "starting with ***" in "\n".join(client.endpoint_logs("guarded"))
    assert "training with ***" in "\n".join(client.run_logs(run["id"]))
    # What the code itself printed is in its own log; nowhere else is the value in the clear.
    assert {path.name for path in files_that_hold(VALUE, yard.home)} <= {"output.log", "exit.json"}
    assert not [one for one in yard.everything_alive() if VALUE in " ".join(_cmdline(one))]
    assert not [event for event in client.events() if VALUE in event["sentence"]]


def test_a_changed_secret_is_noted_and_a_failing_start_does_not_tell_it(
    yard: Yard, project: Callable[..., Path]
) -> None:
    client = yard.client()
    client.set_secret("token", VALUE)
    client.deploy(project(YARD_FILE, predictor__py=PREDICTOR))
    client.wait_endpoint("guarded")
    assert client.endpoint("guarded").notes == []
    client.set_secret("token", f"broken-{VALUE}")
    (note,) = client.endpoint("guarded").notes
    assert note.startswith("secret token was set after replicas had started")
    client.refresh("guarded")
    view = eventually(lambda: _failed(client.endpoint("guarded")))
    assert "ValueError: cannot log in with ***" in view.versions[-1].reason
    assert VALUE not in str(view)
    assert client.predict("guarded", {}) == {"length": len(VALUE)}


def test_secrets_are_set_listed_and_deleted_as_typed(yard: Yard) -> None:
    assert yard.command("secret", "list").stdout.startswith("no secrets yet")
    done = yard.command("secret", "set", "token", "-", stdin=f"{VALUE}\n")
    assert done.stdout == "set secret token (revision 1)\n", done.stderr
    assert _asked(yard, "secret", "set", "token") == "set secret token (revision 1)"
    assert yard.command("secret", "list").stdout.splitlines()[1].split()[:2] == ["token", "1"]
    refused = yard.command("secret", "delete", "tokn")
    assert (refused.returncode, "did you mean token?" in refused.stderr) == (1, True)
    assert yard.command("secret", "delete", "token").stdout == "deleted secret token\n"
    unasked = yard.command("secret", "set", "token", stdin="")
    assert (unasked.returncode, "there is no terminal" in unasked.stderr) == (1, True)


def _asked(yard: Yard, *words: str) -> str:
    """Types the value at a terminal where it is asked for; the last line shown. Nothing shows the value."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["MODELYARD_HOME"] = str(yard.home)
        os.execv(sys.executable, [sys.executable, "-m", "modelyard.cli.main", *words])
    shown = b""
    while b"Value of" not in shown:
        shown += os.read(terminal, 1024)
    # What is typed before the terminal has stopped to echo is thrown away.
    eventually(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO)
    os.write(terminal, f"{VALUE}\n".encode())
    with contextlib.suppress(OSError):  # how Linux tells that the other side has closed
        while part := os.read(terminal, 1024):
            shown += part
    os.close(terminal)
    os.waitpid(pid, 0)
    assert VALUE.encode() not in shown
    return shown.decode().strip().splitlines()[-1]


def _failed(view):
    return view if view.versions[-1].state == "failed" else None


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
