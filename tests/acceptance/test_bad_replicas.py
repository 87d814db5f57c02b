"""Replicas that hang, before they are ready or after, and what other processes may see of a yard's secrets."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modelyard.domain.replicas import STUCK_GRACE_SECONDS
from modelyard.errors import ModelyardError
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

STICKS = """
import time
class Predictor:
    def predict(self, payload):
        if payload == "stick":
            time.sleep(600)
        return payload
"""

HANGS_WHEN_FORKED = """
import os, time
class Predictor:
    def __init__(self, config):
        if "template" in open(f"/proc/{os.getppid()}/cmdline").read():
            time.sleep(600)
    def predict(self, payload):
        return payload
"""


def test_a_predictor_that_is_stuck_is_killed_and_replaced(shared_yard: Yard, project: Callable[..., Path]) -> None:
    client = shared_yard.client()
    client.deploy(project("- {name: sticky, predictor: {path: sticky.py}, timeout: 1s}\n", sticky__py=STICKS))
    assert client.wait_endpoint("sticky").state == "live"
    (before,) = shared_yard.replicas("sticky")
    began = time.monotonic()
    with pytest.raises(ModelyardError):
        client.predict("sticky", "stick")
    eventually(lambda: [one["pid"] for one in shared_yard.replicas("sticky")] not in ([], [before["pid"]]))
    assert time.monotonic() - began >= 1.0 + STUCK_GRACE_SECONDS
    eventually(lambda: client.endpoint("sticky").state == "live")
    assert client.predict("sticky", "answer") == "answer"


def test_a_replica_that_hangs_after_the_fork_is_followed_by_a_fresh_process_with_the_reason(
    shared_yard: Yard, project: Callable[..., Path]
) -> None:
    client = shared_yard.client()
    text = "- {name: hanging, predictor: {path: hanging.py}, start_limit: 4s}\n"
    client.deploy(project(text, hanging__py=HANGS_WHEN_FORKED))
    assert client.wait_endpoint("hanging").state == "live"
    (replica,) = shared_yard.replicas("hanging")
    assert (replica["forked"], replica["state"]) == (False, "ready")
    assert replica["reason"] == "not forked: a forked one hung: it was not ready within 4 s"
    assert client.predict("hanging", 1) == 1


def test_no_process_has_a_secret_of_the_yard_among_its_arguments_or_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, yard: Yard, project: Callable[..., Path]
) -> None:
    assert yard.down() == 0
    monkeypatch.setenv("MODELYARD_API_KEY", yard.key)
    yard.up()
    client = yard.client()
    path = project("- {name: sticky, predictor: {path: sticky.py}}\n", sticky__py=STICKS)
    (path.parent / "wait.py").write_text("import time; print('here', flush=True); time.sleep(600)")
    client.deploy(path)
    run = client.train("fit", entry="wait.py", source=path.parent)
    assert client.wait_endpoint("sticky").state == "live"
    eventually(lambda: "here" in "".join(client.run_logs(run["id"])))
    secrets = {json.loads(order.read_text()).get("token") for order in (yard.home / "engine").glob("*/*/order.json")}
    secrets = {one.encode() for one in secrets if one} | {yard.key.encode()}
    assert len(secrets) >= 3
    workers = [one for one in yard.everything_alive() if "modelyard_worker" in " ".join(one.cmdline())]
    scripts = [child for one in workers for child in one.children(recursive=True)]
    assert len(workers) >= 3
    for process in {*workers, *scripts}:
        assert not found_in(process, "cmdline", secrets)
        assert not found_in(process, "environ", secrets)
    for process in yard.everything_alive():
        assert not found_in(process, "cmdline", secrets)


def found_in(process: psutil.Process, what: str, secrets: set[bytes]) -> list[bytes]:
    try:
        content = Path(f"/proc/{process.pid}/{what}").read_bytes()
    except FileNotFoundError:
        return []
    return [one for one in secrets if one in content]
