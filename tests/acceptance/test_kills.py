"""Every process can be killed at any moment: what was acknowledged is there, what lives is adopted, none is doubled."""

import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from modelyard_worker.records import is_alive

from tests.acceptance.yard import Load, Yard, eventually, kill

pytestmark = pytest.mark.acceptance

TWO_REPLICAS = """
- name: iris
  model: iris.joblib
  autoscaling: {min_replicas: 2, max_replicas: 2}
"""

FLOWER = [[5.1, 3.5, 1.4, 0.2]]


@pytest.fixture
def served(yard: Yard, project: Callable[..., Path], iris_model: Path) -> Yard:
    """A yard with an endpoint of two replicas."""
    path = project(TWO_REPLICAS)
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    yard.client().deploy(path)
    view = yard.client().wait_endpoint("iris")
    assert view.state == "live", view.sentence
    assert yard.client().predict("iris", FLOWER) == [0]
    return yard


def pids(yard: Yard) -> set[int]:
    return {one["pid"] for one in yard.replicas("iris") if one["state"] == "ready"}


def test_one_of_two_replicas_killed_under_load_fails_no_request(served: Yard) -> None:
    victim = served.replicas("iris")[0]
    with Load(served, "iris", FLOWER) as load:
        kill(served.engine_process("replicas", victim["id"]))
        load.wait_for_answers(300)
        eventually(lambda: len(pids(served)) == 2 and victim["pid"] not in pids(served))
        load.wait_for_answers(100)
    assert load.failures == []
    assert set(load.bodies) == {b"[0]"}


def test_a_killed_template_leaves_its_replicas_serving_and_the_next_start_works(served: Yard) -> None:
    template = next((served.home / "engine" / "templates").iterdir()).name
    before = pids(served)
    with Load(served, "iris", FLOWER) as load:
        kill(served.engine_process("templates", template))
        load.wait_for_answers(100)
        assert pids(served) == before
        kill(served.engine_process("replicas", served.replicas("iris")[0]["id"]))
        eventually(lambda: len(pids(served)) == 2 and pids(served) != before)
    assert load.failures == []
    assert all(one["forked"] for one in served.replicas("iris"))


def test_a_killed_controller_comes_back_and_adopts_the_living_replicas(served: Yard) -> None:
    before = pids(served)
    with Load(served, "iris", FLOWER) as load:
        served.kill("controller")
        load.wait_for_answers(100)
        eventually(lambda: is_alive(served.process("controller")))
        # It works again when it replaces a replica that dies now.
        kill(served.engine_process("replicas", served.replicas("iris")[0]["id"]))
        eventually(lambda: len(pids(served)) == 2 and pids(served) != before)
    assert load.failures == []
    assert len(pids(served) & before) == 1


def test_a_killed_control_process_is_waited_for_by_its_callers(served: Yard) -> None:
    with Load(served, "iris", FLOWER) as load:
        served.kill("control")
        assert served.client().endpoint("iris").state == "live"
        load.wait_for_answers(50)
    assert load.failures == []


def test_a_killed_gateway_refuses_no_connection_because_its_socket_lives_on(served: Yard) -> None:
    served.kill("gateway")
    # A new connection right away waits in the socket's backlog instead of being refused.
    answer = httpx.post(f"{served.url}/endpoints/iris/invocations", json=FLOWER, timeout=30)
    assert (answer.status_code, answer.json()) == (200, [0])


def test_after_a_killed_supervisor_up_adopts_what_lives_and_keeps_the_address(served: Yard) -> None:
    url, before = served.url, pids(served)
    living = {name: served.process(name) for name in ("gateway", "control", "controller")}
    with Load(served, "iris", FLOWER) as load:
        served.kill("supervisor")
        load.wait_for_answers(50)
        served.up()
        load.wait_for_answers(50)
    assert load.failures == []
    assert served.url == url
    assert {name: served.process(name) for name in living} == living
    assert pids(served) == before
    served.kill("gateway")
    answer = httpx.post(f"{url}/endpoints/iris/invocations", json=FLOWER, timeout=30)
    assert answer.status_code == 200


def test_everything_killed_at_once_comes_back_with_what_was_acknowledged(served: Yard) -> None:
    served.kill("supervisor")
    for process in served.everything_alive():
        process.kill()
    served.up()
    view = eventually(lambda: (one := served.client().endpoint("iris")).state == "live" and one)
    assert view.ready == 2
    assert served.client().predict("iris", FLOWER) == [0]


def test_a_deploy_that_was_answered_survives_the_death_of_control_and_controller(
    yard: Yard, project: Callable[..., Path], iris_model: Path
) -> None:
    path = project("- name: iris\n  model: iris.joblib\n")
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    yard.client().deploy(path)
    deaths = [threading.Thread(target=yard.kill, args=(name,)) for name in ("control", "controller")]
    for death in deaths:
        death.start()
    for death in deaths:
        death.join()
    assert yard.client().wait_endpoint("iris").state == "live"
    assert len([one for one in yard.replicas("iris") if one["state"] == "ready"]) == 1
