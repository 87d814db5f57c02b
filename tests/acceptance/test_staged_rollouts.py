"""New versions that take over in steps: each strategy under load, going back by itself and by hand, through kills."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import Conflict
from tests.acceptance.yard import Load, Yard, eventually

pytestmark = pytest.mark.acceptance

YARD_FILE = """
- name: {name}
  predictor: {{path: predictor.py, config: {{word: {word}}}}}
  autoscaling: {{min_replicas: 1, max_replicas: 1}}
  update_strategy: {strategy}
"""

PREDICTOR = """
import time

class Predictor:
    def __init__(self, config):
        self.word = config["word"]

    def predict(self, payload):
        if self.word == "broken":
            raise RuntimeError("no word")
        if self.word == "slow":
            time.sleep(0.1)
        return self.word
"""

Deploy = Callable[[str, str, str], Any]


@pytest.fixture
def deploy(shared_yard: Yard, project: Callable[..., Path]) -> Iterator[Deploy]:
    """Deploys `name` with a word and a strategy; what it deployed is gone after the test."""
    client, names = shared_yard.client(), set[str]()

    def make(name: str, word: str, strategy: str) -> Any:
        names.add(name)
        text = YARD_FILE.format(name=name, word=word, strategy=strategy)
        return client.deploy(project(text, predictor__py=PREDICTOR))

    yield make
    for name in names:
        client.delete_endpoint(name, wait=False)


def first(yard: Yard, deploy: Deploy, name: str) -> None:
    deploy(name, "one", "{}")
    assert yard.client().wait_endpoint(name).state == "live"


@pytest.mark.parametrize(
    "strategy",
    [
        "{type: canary, steps: [20%, 50%], bake_time: 500ms}",
        "{type: linear, step_size: 40%, interval: 300ms}",
        "{type: blue_green, termination_wait: 500ms}",
        "{type: shadow, bake_time: 500ms}",
        "{type: swap}",
    ],
)
def test_each_strategy_brings_the_new_version_without_a_failed_request(
    shared_yard: Yard, deploy: Deploy, strategy: str
) -> None:
    name = strategy.split()[1].strip(",}").replace("_", "-")
    first(shared_yard, deploy, name)
    client = shared_yard.client()
    with Load(shared_yard, name, {}, clients=4) as load:
        deploy(name, "two", strategy)
        view = client.wait_endpoint(name)
        load.wait_for_answers(50)
    assert load.failures == []
    assert set(load.bodies) == {b'"one"', b'"two"'}
    assert (view.state, view.serving_version) == ("live", 2)
    assert client.predict(name, {}) == "two"


def step_of(yard: Yard, name: str) -> int | None:
    """The step that has begun, from 1."""
    rollout = yard.client().endpoint(name).rollout
    return rollout.step if rollout is not None and rollout.began_at else None


def test_a_version_that_raises_is_called_back_and_the_reason_is_told(shared_yard: Yard, deploy: Deploy) -> None:
    first(shared_yard, deploy, "raises")
    client = shared_yard.client()
    with Load(shared_yard, "raises", {}, clients=4) as load:
        deploy("raises", "broken", "{type: canary, steps: [20%], bake_time: 10m}")
        view = client.wait_endpoint("raises")
        failed = load.answers[500]
        load.wait_for_answers(100)
    assert load.answers[500] == failed
    assert (view.state, view.serving_version) == ("live", 1)
    assert "version 2 was rolled back" in view.sentence
    assert "answers were errors" in view.sentence
    (reason,) = [one.reason for one in client.history("raises").versions if one.state == "rolled back"]
    assert "answers were errors" in str(reason)
    assert any("version 2 was rolled back" in one["sentence"] for one in client.events("endpoint", "raises"))


def test_a_canary_is_paused_stepped_resumed_and_goes_on_through_a_kill_of_the_controller(
    shared_yard: Yard, deploy: Deploy
) -> None:
    first(shared_yard, deploy, "steered")
    client = shared_yard.client()
    with Load(shared_yard, "steered", {}, clients=4) as load:
        deploy("steered", "two", "{type: canary, steps: [10%, 50%], bake_time: 10m}")
        eventually(lambda: step_of(shared_yard, "steered") == 1, saying="the first step")
        assert client.pause("steered")["sentence"] == "pausing steered (endpoint), version 2"
        eventually(lambda: "paused" in client.endpoint("steered").sentence)
        shared_yard.kill("controller")
        load.wait_for_answers(50)
        assert client.promote_endpoint("steered", step=True)["change"] == "promoting"
        eventually(lambda: step_of(shared_yard, "steered") == 2, saying="the second step, after the kill")
        eventually(lambda: client.endpoint("steered").sentence.startswith("version 2: canary 50 %"))
        shared_yard.kill("gateway")
        client.resume("steered")
        client.promote_endpoint("steered")
        view = client.wait_endpoint("steered")
        load.wait_for_answers(50)
    # A killed gateway takes the requests with it that it held; nobody is refused.
    assert [one for one in load.failures if one[:3].isdigit()] == []
    assert (view.state, view.serving_version) == ("live", 2)


def test_a_rollback_by_hand_calls_back_what_is_on_its_way(shared_yard: Yard, deploy: Deploy) -> None:
    first(shared_yard, deploy, "regretted")
    client = shared_yard.client()
    with Load(shared_yard, "regretted", {}, clients=4) as load:
        deploy("regretted", "two", "{type: blue_green, termination_wait: 10m}")
        eventually(lambda: client.endpoint("regretted").serving_version == 2, saying="the switch")
        done = shared_yard.command("rollback", "regretted")
        assert done.returncode == 0, done.stderr
        assert "calling back regretted (endpoint) from version 2 to version 1" in done.stdout
        load.wait_for_answers(50)
    assert load.failures == []
    assert client.predict("regretted", {}) == "one"
    with pytest.raises(Conflict):
        client.pause("regretted")


def test_a_shadow_tells_what_it_would_have_answered_and_answers_nobody(shared_yard: Yard, deploy: Deploy) -> None:
    first(shared_yard, deploy, "shadowed")
    client = shared_yard.client()
    with Load(shared_yard, "shadowed", {}, clients=2) as load:
        deploy("shadowed", "two", "{type: shadow}")
        client.wait_endpoint("shadowed")
        eventually(lambda: "shadow until it is promoted" in client.endpoint("shadowed").sentence)
        eventually(lambda: (client.endpoint("shadowed").shadow or {}).get("different"), saying="differences")
    assert set(load.bodies) == {b'"one"'}
    assert load.failures == []
    shadow = client.endpoint("shadowed").shadow or {}
    assert shadow["failed"] == 0
    assert (shadow["samples"][0]["given"], shadow["samples"][0]["shadow"]) == ('"one"', '"two"')
    assert "shadow: " in shared_yard.command("get", "shadowed").stdout
    assert shared_yard.command("promote", "shadowed").returncode == 0
    assert client.predict("shadowed", {}) == "two"


@pytest.mark.long
def test_a_version_that_is_slower_than_it_may_be_is_called_back_with_both_times(
    shared_yard: Yard, deploy: Deploy
) -> None:
    first(shared_yard, deploy, "slower")
    client = shared_yard.client()
    with Load(shared_yard, "slower", {}, clients=4) as load:
        guard = "auto_rollback: {latency_factor: 3, min_requests: 20}"
        deploy("slower", "slow", f"{{type: canary, steps: [50%], bake_time: 10m, {guard}}}")
        view = client.wait_endpoint("slower")
        load.wait_for_answers(50)
    assert load.failures == []
    assert (view.state, view.serving_version) == ("live", 1)
    assert re.search(
        r"version 2 was rolled back.*its latency was [\d.]+ times the old version's \(\d+ ms", view.sentence
    )


ALARM = """
- name: loud
  kind: alarm
  endpoint: alarmed
  metric: requests
  comparison: ">"
  threshold: 0
  period: 10s
"""


@pytest.mark.long
def test_a_version_on_its_way_is_called_back_when_an_alarm_fires(
    shared_yard: Yard, deploy: Deploy, project: Callable[..., Path]
) -> None:
    first(shared_yard, deploy, "alarmed")
    client = shared_yard.client()
    client.deploy(project(ALARM))
    deploy("alarmed", "two", "{type: canary, steps: [50%], bake_time: 10m, auto_rollback: {alarms: [loud]}}")
    eventually(lambda: step_of(shared_yard, "alarmed") == 1, saying="the first step")
    with Load(shared_yard, "alarmed", {}, clients=2) as load:
        view = client.wait_endpoint("alarmed")
    assert load.failures == []
    assert (view.state, view.serving_version) == ("live", 1)
    assert "version 2 was rolled back" in view.sentence
    assert "alarm loud fired" in view.sentence
    client.delete_resource("alarm", "loud")
