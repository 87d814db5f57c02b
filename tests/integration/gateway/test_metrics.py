"""What a gateway counts of each request, and who answers for all gateways."""

import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
import pytest
from modelyard_worker import frames

from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import Request, ScriptedReplica
from tests.integration.gateway.test_load_reports import ScriptedController

KEY = {"authorization": "Bearer secret-key"}
ReplicaAt = Callable[..., ScriptedReplica]


def answer_timed(replica: ScriptedReplica, request: Request, *, waited: float, called: float, size: int) -> None:
    """As a replica answers that says how long it took."""
    times = frames.TIMES.pack(int(waited * 1e6), int(called * 1e6), size)
    meta = times + frames.pack_meta({"status": 200, "type": "application/json"})
    replica.send(frames.pack(frames.ANSWER, request.stream, meta, b"7", frames.END | frames.TIMED))


def metrics_of(gateway: GatewayProcess) -> str:
    response = httpx.get(f"{gateway.url}/metrics", headers=KEY)
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return response.text


def test_a_request_s_time_is_told_apart_into_queue_model_and_overhead(
    serving: Callable[..., GatewayProcess], replica_at: ReplicaAt
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(gateway.post)
        answer_timed(replica, replica.next_request(), waited=0.002, called=0.0004, size=3)
        assert pending.result().content == b"7"
    text = metrics_of(gateway)
    labels = 'endpoint="Price",version="1"'
    assert f"modelyard_queue_seconds_sum{{{labels}}} 0.0020" in text
    assert f"modelyard_model_seconds_sum{{{labels}}} 0.000400" in text
    assert f'modelyard_model_seconds_bucket{{{labels},le="0.0005"}} 1' in text
    assert f'modelyard_model_seconds_bucket{{{labels},le="0.00025"}} 0' in text
    assert f'modelyard_batch_size_bucket{{{labels},le="4"}} 1' in text
    assert f"modelyard_batch_size_sum{{{labels}}} 3" in text


def test_answers_are_counted_by_version_and_status(
    serving: Callable[..., GatewayProcess], replica_at: ReplicaAt
) -> None:
    replica = replica_at(version=4)
    gateway = serving(replica, version=4)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(gateway.post)
        replica.fail(replica.next_request(), "predictor_failed", "ValueError: no", 500)
        assert pending.result().status_code == 500
    assert 'modelyard_requests_total{endpoint="Price",version="4",status="500"} 1' in metrics_of(gateway)


@pytest.fixture
def controller(home: Any) -> Any:
    one = ScriptedController(home)
    yield one
    one.close()


def test_a_scrape_asks_the_controller_which_answers_for_all(
    gateway: GatewayProcess, controller: ScriptedController, replica_at: ReplicaAt
) -> None:
    replica = replica_at()
    gateway.start(replace(ENTRY, replicas=(replica.address,)))
    controller.accept()
    with ThreadPoolExecutor(2) as pool:
        answered = pool.submit(gateway.post)
        replica.answer(replica.next_request(), b"7")
        answered.result()
        scraped = pool.submit(metrics_of, gateway)
        question = next(one for one in iter(controller._next, None) if "scrape" in one)
        # Nothing that was counted before the question is missing from it.
        [figures] = question["metrics"]["endpoints"]["price"]["versions"].values()
        assert figures["answers"] == {"200": 1}
        for text, last in (("of all ", False), ("gateways\n", True)):
            answer = {"type": "metrics", "scrape": question["scrape"], "text": text, "last": last}
            controller._connection.sendall(json.dumps(answer).encode() + b"\n")
        assert scraped.result() == "of all gateways\n"


def test_a_gateway_answers_by_itself_where_the_controller_goes_away(
    gateway: GatewayProcess, controller: ScriptedController, replica_at: ReplicaAt
) -> None:
    gateway.start(ENTRY)
    controller.accept()
    with ThreadPoolExecutor(1) as pool:
        scraped = pool.submit(metrics_of, gateway)
        next(one for one in iter(controller._next, None) if "scrape" in one)
        controller.leave()
        assert "modelyard_gateways 1" in scraped.result()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_wrong(serving: Callable[..., GatewayProcess], replica_at: ReplicaAt) -> None:
    replica = replica_at()
    gateway = serving(replica)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(gateway.post)
        answer_timed(replica, replica.next_request(), waited=0.002, called=0.0004, size=3)
        pending.result()
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics_of(gateway), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
