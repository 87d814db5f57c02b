"""Another version of the platform takes over a home: its own processes are new, what serves goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from modelyard_worker.records import is_alive

from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

PLATFORM = ("gateway", "control", "controller")
ROWS = [[5.1, 3.5, 1.4, 0.2]]


def test_a_new_version_replaces_the_platform_and_old_replicas_serve_on(
    yard: Yard, project: Callable[..., Path], iris_model: Path
) -> None:
    path = project("- name: iris\n  model: iris.joblib\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    yard.client().deploy(path)
    yard.client().wait_endpoint("iris")
    before = [(one["id"], one["pid"]) for one in yard.replicas("iris")]
    platform = {name: yard.process(name) for name in PLATFORM}
    yard.kill("supervisor")
    # As if another version had started what is still at work.
    processes = yard.home / "processes.json"
    processes.write_text(json.dumps({**json.loads(processes.read_text()), "version": "0.0.9"}))
    yard.up()
    assert not [name for name, identity in platform.items() if is_alive(identity)]
    eventually(lambda: yard.client().predict("iris", ROWS), 30, "a prediction")
    view = yard.client().wait_endpoint("iris")
    assert view.state == "live"
    assert [(one["id"], one["pid"]) for one in yard.replicas("iris")] == before
