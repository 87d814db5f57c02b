"""New versions come without a failed request, and those that cannot start change nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.yard import Load, Yard

pytestmark = pytest.mark.acceptance

YARD_FILE = """
- name: greeter
  predictor: {path: predictor.py, config: {word: %s}}
  autoscaling: {min_replicas: 2, max_replicas: 2}
"""

PREDICTOR = """
class Predictor:
    def __init__(self, config):
        self.word = config["word"]

    def predict(self, payload):
        return self.word
"""


def test_a_rolling_deploy_under_load_fails_no_request_and_ends_on_the_new_version(
    yard: Yard, project: Callable[..., Path]
) -> None:
    client = yard.client()
    client.deploy(project(YARD_FILE % "one", predictor__py=PREDICTOR))
    assert client.wait_endpoint("greeter").state == "live"
    with Load(yard, "greeter", {}) as load:
        client.deploy(project(YARD_FILE % "two", predictor__py=PREDICTOR))
        view = client.wait_endpoint("greeter")
        load.wait_for_answers(100)
    assert load.failures == []
    assert set(load.bodies) == {b'"one"', b'"two"'}
    assert (view.state, view.serving_version, view.up_to_date) == ("live", 2, 2)
    assert client.predict("greeter", {}) == "two"


def test_a_version_that_cannot_start_leaves_the_old_one_serving_and_says_why(
    yard: Yard, project: Callable[..., Path]
) -> None:
    client = yard.client()
    client.deploy(project(YARD_FILE % "one", predictor__py=PREDICTOR))
    client.wait_endpoint("greeter")
    before = {one["pid"] for one in yard.replicas("greeter")}
    broken = PREDICTOR.replace('self.word = config["word"]', 'raise RuntimeError("no such word")')
    with Load(yard, "greeter", {}) as load:
        client.deploy(project(YARD_FILE % "two", predictor__py=broken))
        view = client.wait_endpoint("greeter")
        load.wait_for_answers(50)
    assert load.failures == []
    assert set(load.bodies) == {b'"one"'}
    assert view.state == "error"
    assert "no such word" in view.sentence
    assert view.serving_version == 1
    assert {one["pid"] for one in yard.replicas("greeter") if one["state"] == "ready"} == before


def test_the_same_deploy_again_is_up_to_date(yard: Yard, project: Callable[..., Path]) -> None:
    client = yard.client()
    path = project(YARD_FILE % "one", predictor__py=PREDICTOR)
    first = client.deploy(path)
    client.wait_endpoint("greeter")
    again = client.deploy(path)
    assert [one["sentence"] for one in first.outcomes] == ["creating greeter (endpoint)"]
    assert [one["sentence"] for one in again.outcomes] == ["greeter (endpoint) is up to date"]


def test_a_deleted_endpoint_finishes_what_it_holds_and_is_gone(yard: Yard, project: Callable[..., Path]) -> None:
    client = yard.client()
    client.deploy(project(YARD_FILE % "one", predictor__py=PREDICTOR))
    client.wait_endpoint("greeter")
    client.delete_endpoint("greeter")
    assert client.endpoints() == []
    assert list((yard.home / "engine" / "replicas").iterdir()) == []
