"""Clients on a wire that delays, trickles, cuts, half-closes and resets: they harm nobody but themselves."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.fault_proxy import ALL, CUT_ANSWER, NONE, SLOW, TRICKLE, Fault, FaultProxy
from tests.acceptance.yard import Load, Yard, eventually, kill

pytestmark = pytest.mark.acceptance

YARD_FILE = """
- name: echo
  predictor: {path: echo.py, config: {version: %d}}
  autoscaling: {min_replicas: %d, max_replicas: %d}
  update_strategy: %s
- name: queued
  kind: async
  predictor: {path: echo.py, config: {version: 1}}
"""
ECHO = """
import os

class Predictor:
    def __init__(self, config):
        self.version = config["version"]

    def predict(self, payload):
        if "log" in payload:
            with open(payload["log"], "a") as log:
                log.write(f"{payload['n']}\\n")
        return {**payload, "version": self.version}
"""
BODY = {"n": 1, "fill": "x" * 200}

Deploy = Callable[..., Any]


@pytest.fixture(scope="module")
def deploy(shared_yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """Deploys the endpoints anew and waits for `echo`."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "echo.py").write_text(ECHO)

    def make(version: int, replicas: int = 2, strategy: str = "{}") -> Any:
        (folder / "modelyard.yaml").write_text(YARD_FILE % (version, replicas, replicas, strategy))
        shared_yard.client().deploy(folder / "modelyard.yaml")
        return shared_yard.client().wait_endpoint("echo")

    assert make(1).state == "live"
    shared_yard.client().wait_endpoint("queued")
    return make


@pytest.fixture
def wire(shared_yard: Yard) -> Iterator[FaultProxy]:
    host, _, port = shared_yard.url.removeprefix("http://").partition(":")
    with FaultProxy((host, int(port))) as proxy:
        yield proxy


def ask_on(wire: FaultProxy, count: int) -> list[int | str]:
    """Statuses, and what went wrong where there was none; each on a connection of its own."""

    def ask(number: int) -> int | str:
        try:
            answer = httpx.post(f"{wire.url}/endpoints/echo/invocations", json={**BODY, "n": number}, timeout=20)
        except httpx.HTTPError as error:
            return type(error).__name__
        assert answer.status_code != 200 or answer.json()["n"] == number
        return answer.status_code

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(ask, range(count)))


def at_rest(yard: Yard) -> bool:
    """Whether nothing is held for anybody any more."""
    text = httpx.get(f"{yard.url}/metrics", headers={"x-api-key": yard.key}).text
    held = re.findall(r'modelyard_(?:queued|in_flight)_requests\{endpoint="echo"\} (\d+)', text)
    return held == ["0", "0"]


def test_faults_of_some_clients_fail_nobody_else_and_leave_nothing_behind(
    shared_yard: Yard, deploy: Deploy, wire: FaultProxy
) -> None:
    with Load(shared_yard, "echo", BODY, clients=4) as load:
        found = ask_on(wire, 64)
        load.wait_for_answers(50)
    assert load.failures == []
    assert set(wire.befell) == {fault.name for fault in ALL}
    # A request that came whole is answered; one that did not is nobody's error but the wire's.
    assert {one for one in found if isinstance(one, int)} == {200}
    assert found.count(200) >= 3 * 8
    eventually(lambda: at_rest(shared_yard), saying="nothing is held")


@pytest.mark.parametrize("fault", [SLOW, TRICKLE], ids=lambda fault: fault.name)
def test_what_comes_late_or_in_crumbs_is_answered_all_the_same(deploy: Deploy, wire: FaultProxy, fault: Fault) -> None:
    wire.use(fault)
    assert ask_on(wire, 12) == [200] * 12


def test_a_canary_and_scaling_come_to_their_end_with_clients_on_a_bad_wire(
    shared_yard: Yard, deploy: Deploy, wire: FaultProxy
) -> None:
    with ThreadPoolExecutor(1) as pool, Load(shared_yard, "echo", BODY, clients=2) as load:
        asking = pool.submit(ask_on, wire, 80)
        view = deploy(2, 1, "{type: canary, steps: [50%], bake_time: 500ms}")
        assert (view.state, view.serving_version) == ("live", 2)
        eventually(lambda: len(shared_yard.replicas("echo")) == 1, saying="one replica")
        deploy(2, 2)
        found = asking.result()
        load.wait_for_answers(50)
    assert load.failures == []
    assert {one for one in found if isinstance(one, int)} == {200}


def test_what_is_queued_over_a_bad_wire_until_it_is_acknowledged_runs_once_and_is_answered(
    shared_yard: Yard, deploy: Deploy, wire: FaultProxy, tmp_path: Path
) -> None:
    wire.use(CUT_ANSWER, NONE, Fault("cut in the body", cut_request_at=250), SLOW)
    log = tmp_path / "ran"

    def put(number: int) -> int:
        """How often it had to be sent."""
        for attempt in range(1, 20):
            try:
                answer = httpx.put(
                    f"{wire.url}/endpoints/queued/async-invocations/i{number}",
                    json={**BODY, "n": number, "log": str(log)},
                    timeout=20,
                )
            except httpx.HTTPError:
                continue
            assert answer.status_code in (200, 202)
            return attempt
        raise AssertionError(f"invocation {number} was never acknowledged")

    with ThreadPoolExecutor(4) as pool:
        sent = list(pool.map(put, range(40)))
    assert max(sent) > 1
    client = shared_yard.client()
    for number in range(40):
        found = eventually(lambda number=number: client.invocation("queued", f"i{number}")["status"] == "completed")
        assert found
        assert client.invocation_result("queued", f"i{number}")["n"] == number
    assert sorted(map(int, log.read_text().split())) == list(range(40))


@pytest.mark.long
def test_one_of_two_replicas_killed_again_and_again_fails_no_request(
    shared_yard: Yard, deploy: Deploy, wire: FaultProxy
) -> None:
    """Each as soon as there are two again, which is sooner than every two seconds."""
    killed: set[str] = set()

    def ready() -> list[str]:
        found = [str(one["id"]) for one in shared_yard.replicas("echo") if one["state"] == "ready"]
        return [one for one in found if one not in killed]

    with ThreadPoolExecutor(1) as pool, Load(shared_yard, "echo", BODY) as load:
        asking = pool.submit(ask_on, wire, 200)
        for _ in range(8):
            victim = eventually(lambda: len(found := ready()) == 2 and found[0], saying="two replicas")
            kill(shared_yard.engine_process("replicas", victim))
            killed.add(victim)
            load.wait_for_answers(100)
        found = asking.result()
    assert load.failures == []
    assert {one for one in found if isinstance(one, int)} == {200}
    assert {json.loads(one)["n"] for one in load.bodies} == {1}
