"""Queued invocations: what was accepted has one result, whatever is killed meanwhile."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.yard import Yard, eventually, kill

pytestmark = pytest.mark.acceptance

YARD_FILE = """
- name: slow
  kind: async
  predictor: {path: predictor.py}
  autoscaling: {max_replicas: 2}
"""

PREDICTOR = """
import os, time

class Predictor:
    def predict(self, payload, context):
        if context.attempt <= payload.get("dies", 0):
            os.kill(os.getpid(), 9)
        if "raises" in payload:
            raise ValueError(payload["raises"])
        with open(os.path.join(payload.get("folder", "/dev"), "null"), "a") as log:
            log.write(f"{payload.get('n')}\\n")
        time.sleep(payload.get("sleeps", 0.0))
        return {"n": payload.get("n"), "attempt": context.attempt, "size": len(payload.get("fill", ""))}
"""


@pytest.fixture
def slow(shared_yard: Yard, project: Callable[..., Path]) -> Yard:
    path = project(YARD_FILE)
    (path.parent / "predictor.py").write_text(PREDICTOR)
    shared_yard.client().deploy(path, project="stories")
    shared_yard.client().wait_endpoint("slow")
    return shared_yard


def put(yard: Yard, name: str, body: Any, **headers: str) -> httpx.Response:
    return httpx.put(f"{yard.url}/endpoints/slow/async-invocations/{name}", json=body, headers=headers, timeout=30)


def view(yard: Yard, name: str) -> dict[str, Any]:
    return httpx.get(f"{yard.url}/endpoints/slow/async-invocations/{name}", timeout=30).json()


def ended(yard: Yard, name: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = view(yard, name)
        return found if found["ended_at"] else None

    return eventually(look, saying=f"the end of {name}")


def result(yard: Yard, name: str) -> httpx.Response:
    return httpx.get(f"{yard.url}/endpoints/slow/async-invocations/{name}/result", timeout=30)


def test_what_was_accepted_is_answered_once_and_for_all(slow: Yard) -> None:
    posted = httpx.post(f"{slow.url}/slow", json={"n": 1}, timeout=30)
    assert posted.status_code == 202
    name = posted.json()["id"]
    assert ended(slow, name)["status"] == "completed"
    assert result(slow, name).json() == {"n": 1, "attempt": 1, "size": 0}
    assert httpx.get(f"{slow.url}/slow/{name}", timeout=30).json()["status"] == "completed"
    refused = httpx.post(f"{slow.url}/endpoints/slow/invocations", json={}, timeout=30)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")


def test_a_repetition_is_the_same_invocation_and_another_of_its_id_is_refused(slow: Yard) -> None:
    assert [put(slow, "again", {"n": 2}).status_code for _ in range(2)] == [202, 200]
    assert put(slow, "again", {"n": 3}).status_code == 409
    assert ended(slow, "again")["attempt"] == 1


def test_megabytes_go_by_the_disk_and_leave_it(slow: Yard) -> None:
    body = {"n": 4, "fill": "x" * 12_000_000}
    assert put(slow, "large", body).status_code == 202
    assert ended(slow, "large")["status"] == "completed"
    assert result(slow, "large").json()["size"] == 12_000_000


def test_a_predictor_whose_process_dies_is_tried_again_and_told_so(slow: Yard) -> None:
    put(slow, "dies", {"n": 5, "dies": 1})
    found = ended(slow, "dies")
    assert (found["status"], found["attempt"]) == ("completed", 2)
    assert result(slow, "dies").json()["attempt"] == 2


def test_a_dead_letter_says_why_and_can_be_driven_again(slow: Yard) -> None:
    put(slow, "raises", {"raises": "no such house"})
    found = ended(slow, "raises")
    assert (found["status"], found["attempt"]) == ("failed", 1)
    assert "ValueError; `modelyard logs slow --request raises` has the traceback" in found["reason"]
    assert "no such house" in slow.command("logs", "slow", "--request", "raises").stdout
    assert result(slow, "raises").status_code == 409
    client = slow.client()
    assert [one["id"] for one in client.invocations("slow", status="failed")] == ["raises"]
    assert client.redrive_invocations("slow", ["raises"]) == ["raises"]
    assert eventually(lambda: view(slow, "raises")["attempt"] == 2 and ended(slow, "raises"))["status"] == "failed"


def test_what_is_wanted_no_more_ends_under_way_too(slow: Yard) -> None:
    put(slow, "long", {"sleeps": 20.0})
    eventually(lambda: view(slow, "long")["status"] == "in_progress")
    client = slow.client()
    client.cancel_invocation("slow", "long")
    assert ended(slow, "long")["status"] == "cancelled"


@pytest.mark.parametrize("process", ["dispatcher", "gateway", "control", "controller"])
def test_a_killed_process_loses_nothing_and_doubles_no_result(slow: Yard, process: str) -> None:
    names = [f"{process}-{number}" for number in range(12)]
    for number, name in enumerate(names):
        assert put(slow, name, {"n": number, "sleeps": 0.2}).status_code == 202
    eventually(lambda: view(slow, names[0])["status"] != "in_queue")
    slow.kill(process)
    eventually(lambda: httpx.get(f"{slow.url}/healthz", timeout=5).status_code == 200)
    for number, name in enumerate(names):
        assert ended(slow, name)["status"] == "completed"
        assert result(slow, name).json()["n"] == number


@contextmanager
def receiver(answers: list[int]) -> Generator[tuple[str, list[tuple[Any, bytes]]]]:
    """(its address, what it was told); answers with these statuses, the last one for ever."""
    told: list[tuple[Any, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its base's)
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/done", told
        server.shutdown()


def test_a_webhook_is_told_signed_and_again_until_it_has_taken_it(slow: Yard) -> None:
    with receiver([500, 204]) as (url, told):
        assert put(slow, "unsigned", {}, **{"x-modelyard-webhook": url}).status_code == 401
        key = {"x-modelyard-webhook": url, "authorization": f"Bearer {slow.key}"}
        assert put(slow, "told", {"n": 7}, **key).status_code == 202
        eventually(lambda: len(told) == 2)
        secret = base64.b64decode(slow.client().webhook_secret("slow").removeprefix("whsec_"))
        headers, body = told[0]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert told[1][0]["webhook-id"] == headers["webhook-id"]
        message = json.loads(body)
        assert (message["invocationStatus"], message["inferenceId"]) == ("Completed", "told")
        assert httpx.get(message["responseParameters"]["outputLocation"], timeout=30).json()["n"] == 7
        assert eventually(lambda: view(slow, "told")["delivery"]["state"] == "delivered")


def test_an_artifact_is_a_body_and_any_other_place_is_refused(slow: Yard) -> None:
    body = json.dumps({"n": 8, "fill": "y" * 100}).encode()
    digest = hashlib.sha256(body).hexdigest()
    key = {"authorization": f"Bearer {slow.key}"}
    httpx.put(f"{slow.url}/api/v1/artifacts/{digest}", content=body, headers=key, timeout=30).raise_for_status()
    url = f"{slow.url}/endpoints/slow/async-invocations"
    location = "x-amzn-sagemaker-inputlocation"
    posted = httpx.post(url, headers={location: f"artifact://{digest}", "content-type": "application/json"}, timeout=30)
    assert ended(slow, posted.json()["InferenceId"])["status"] == "completed"
    refused = httpx.post(url, headers={location: "file:///etc/passwd"}, timeout=30)
    assert refused.status_code == 400
    assert "only artifacts of this yard" in refused.json()["Message"]


def test_a_kill_of_a_replica_with_work_in_it_is_another_attempt(slow: Yard) -> None:
    put(slow, "held", {"n": 9, "sleeps": 1.0})
    eventually(lambda: view(slow, "held")["status"] == "in_progress")
    eventually(lambda: slow.replicas("slow"))
    for one in slow.replicas("slow"):
        kill(slow.engine_process("replicas", one["id"]))
    found = ended(slow, "held")
    assert (found["status"], found["attempt"] >= 2) == ("completed", True)
