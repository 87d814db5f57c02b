"""What an endpoint did can be seen: now, over time, and whoever of the yard died meanwhile."""

import http.server
import json
import queue
import re
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.domain.webhooks import webhook_headers
from modelyard.errors import ModelyardError
from modelyard.sdk.client import Client
from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

PREDICTOR = """
class Predictor:
    def predict(self, payload):
        if payload == "bad":
            raise ValueError("a bad payload")
        return {"label": payload}
"""
YARD_FILE = """
- name: spam
  predictor: {path: predictor.py}
  tracker: {key: label, model_type: classification}
  capture: {sample: 100%, keep: 7d}
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "predictor.py").write_text(PREDICTOR)
    (folder / "modelyard.yaml").write_text(YARD_FILE)
    with a_yard() as yard:
        yard.client().deploy(folder / "modelyard.yaml")
        assert yard.client().wait_endpoint("spam").state == "live"
        yield yard


def scraped(yard: Yard) -> str:
    return httpx.get(f"{yard.url}/metrics", headers={"x-api-key": yard.key}, timeout=15).text


def answered(text: str, status: int = 200) -> int:
    """Answers of that status of all versions."""
    pattern = rf'modelyard_requests_total\{{endpoint="spam",version="\d+",status="{status}"\}} (\d+)'
    return sum(int(found) for found in re.findall(pattern, text))


def predict(client: Client, times: int) -> None:
    for number in range(times):
        client.predict("spam", "spam" if number % 2 else "ham")


def test_a_prediction_is_in_the_next_scrape_with_its_parts(watched: Yard) -> None:
    before = answered(scraped(watched))
    predict(watched.client(), 4)
    text = scraped(watched)
    assert answered(text) - before == 4
    for name in ("request", "queue", "model", "overhead"):
        assert f'modelyard_{name}_seconds_count{{endpoint="spam",version="1"}}' in text
    for process in ("supervisor", "gateway", "control", "controller"):
        assert f'modelyard_process_memory_bytes{{process="{process}"}}' in text
    assert re.search(r'modelyard_replica_cpu_seconds_total\{endpoint="spam",version="1",replica="[^"]+"\}', text)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_finds_nothing_wrong_with_all_of_it(watched: Yard) -> None:
    predict(watched.client(), 2)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped(watched), capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_counts_go_on_when_gateway_and_controller_are_killed(watched: Yard) -> None:
    client = watched.client()
    predict(client, 3)
    before = answered(scraped(watched))
    eventually(lambda: metrics_of(watched)["values"]["requests"] == before + answered(scraped(watched), 500))
    watched.kill("controller")
    watched.kill("gateway")
    eventually(lambda: client.predict("spam", "ham"))
    eventually(lambda: answered(scraped(watched)) == before + 1, saying="the counts of the dead gateway")


def metrics_of(yard: Yard) -> dict:
    return dict(yard.client().metrics("spam", since="10m"))


def test_the_history_says_what_was_answered_how_fast_and_what_was_predicted(watched: Yard) -> None:
    predict(watched.client(), 4)
    with pytest.raises(Exception, match="ValueError"):
        watched.client().predict("spam", "bad")
    total = answered(scraped(watched)) + answered(scraped(watched), 500)
    view = eventually(lambda: found if (found := metrics_of(watched))["values"]["requests"] == total else None)
    values = view["values"]
    assert values["errors_5xx"] >= 1
    assert 0 < values["model_p50"] <= values["latency_p99"] < 5
    assert view["tracker"]["classes"].keys() == {"ham", "spam"}
    assert sum(point["values"]["requests"] for point in view["points"]) == total
    said = watched.command("metrics", "spam")
    assert said.returncode == 0, said.stderr
    assert "model p95" in said.stdout
    assert re.search(r"class +count", said.stdout)


def inputs(records: list[dict[str, Any]]) -> bool:
    """Whether these are the newest requests that were made."""
    return {one["input"] for one in records} == {'"ham"', '"spam"'}


def test_requests_and_answers_are_kept_without_headers_and_handed_on_as_sagemaker_has_them(
    watched: Yard, tmp_path: Path
) -> None:
    client = watched.client()
    predict(client, 2)
    records = eventually(lambda: found if inputs(found := list(client.captured("spam", limit=2))) else None)
    assert records[0]["model_seconds"] <= records[0]["seconds"]
    assert watched.key not in json.dumps(records)
    said = watched.command("captures", "export", "spam", str(tmp_path))
    assert said.returncode == 0, said.stderr
    [file] = tmp_path.glob("spam/v1/*/*/*/*/captures.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {one["captureData"]["endpointOutput"]["encoding"] for one in lines} == {"JSON"}
    assert "day" in watched.command("captures", "list", "spam").stdout


def test_a_step_that_is_too_fine_is_refused_with_the_one_that_would_do(watched: Yard) -> None:
    said = watched.command("metrics", "spam", "--since", "90d", "--step", "10s")
    assert said.returncode == 1
    assert "ask for 3888s or more" in said.stderr


ALARMED = """
- name: spam
  predictor: {path: predictor.py}
  tracker: {key: label, model_type: classification}
- name: spam-errors
  kind: alarm
  endpoint: spam
  metric: errors_5xx
  comparison: ">="
  threshold: 1
  period: 5s
  actions:
    webhooks: [{url: "URL", secret: hook-key}]
    email: [ops@example.com]
"""


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as takes one mail."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                server: Any = self.server
                server.letters.put(letter.decode())
            self.wfile.write(b"221 bye\r\n" if line == b"QUIT" else b"250 yes\r\n")


@pytest.fixture
def mailbox() -> Iterator[Any]:
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
    server.letters = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class _Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.got.put((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 (its base's)
        """Nothing is printed."""


@pytest.fixture
def hook() -> Iterator[Any]:
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    server.got = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.long
def test_an_alarm_tells_by_signed_webhook_and_by_mail_whoever_is_killed(
    tmp_path: Path, hook: Any, mailbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELYARD_MAIL_HOST", "127.0.0.1")
    monkeypatch.setenv("MODELYARD_MAIL_PORT", str(mailbox.server_address[1]))
    monkeypatch.setenv("MODELYARD_MAIL_SECURITY", "none")
    monkeypatch.setenv("MODELYARD_MAIL_SENDER", "yard@example.com")
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    path = tmp_path / "modelyard.yaml"
    path.write_text(ALARMED.replace("URL", f"http://127.0.0.1:{hook.server_address[1]}/hook?a=b"))
    with a_yard() as yard:
        client = yard.client()
        client.set_secret("hook-key", "a key of mine")
        client.deploy(path)
        assert client.wait_endpoint("spam").state == "live"
        eventually(lambda: state_of(client) == "ok", saying="the alarm's first state")
        yard.kill("controller")
        with pytest.raises(ModelyardError, match="ValueError"):
            client.predict("spam", "bad")
        eventually(lambda: state_of(client) == "alarm", saying="the alarm going off")
        headers, body = hook.got.get(timeout=20)
        told = json.loads(body)
        assert (told["type"], told["alarm"], told["state"]) == ("alarm.alarm", "spam-errors", "alarm")
        assert told["sentence"].startswith("errors_5xx of spam >= 1 in 1 of the last period of 5 s")
        signed = webhook_headers(headers["webhook-id"], float(headers["webhook-timestamp"]), body, "a key of mine")
        assert headers["webhook-signature"] == signed["webhook-signature"]
        letter = mailbox.letters.get(timeout=20)
        assert "Subject: [modelyard] alarm: spam-errors (spam)" in letter
        said = yard.command("alarms", "spam-errors")
        assert said.returncode == 0, said.stderr
        assert re.search(r"delivered", said.stdout)
        assert client.alarms()[0]["condition"] == "errors_5xx of spam >= 1"


def state_of(client: Client) -> str:
    return client.alarm("spam-errors")["alarm"]["state"]
