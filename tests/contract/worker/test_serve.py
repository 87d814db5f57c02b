"""SageMaker's container contract without a container: `python -m modelyard_worker.serve` on a free port."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

START_SECONDS = 30.0

ECHO = """
import os, time

class Predictor:
    def __init__(self, config):
        self.config = config

    def predict(self, payload, headers, query_params):
        if payload == "raise":
            raise ValueError("no such row")
        if payload == "long":
            return "x" * 1_000_000
        if isinstance(payload, dict) and "sleep" in payload:
            print("asleep", flush=True)
            time.sleep(payload["sleep"])
        while isinstance(payload, dict) and "until" in payload and not os.path.exists(payload["until"]):
            time.sleep(0.01)
        return {"payload": payload, "config": self.config, "custom": headers.get("x-custom"), "query": query_params}
"""
STREAM = """
class Predictor:
    def predict(self, payload: str):
        for word in payload.split():
            if word == "raise":
                raise ValueError("a bad word")
            yield word + "\\n"
"""
ASYNC_STREAM = """
import asyncio

class Predictor:
    async def predict(self, payload: str):
        for word in payload.split():
            await asyncio.sleep(0)
            yield word
"""


class Served:
    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process = process
        self.output = output
        self.port = int(self.wait_for(r"serving on port (\d+)")[1])

    def wait_for(self, words: str) -> "re.Match[str]":
        """Until its output has them."""
        limit = time.monotonic() + START_SECONDS
        while time.monotonic() < limit:
            found = re.search(words, self.output.read_text())
            if found:
                return found
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.01)
        raise AssertionError(self.output.read_text())

    def ask(self, body: Any = None, method: str = "POST", path: str = "/invocations", **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            named = {"content-type": "application/json"}
            named |= {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, sent, named)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def serving(code: str, **environment: str) -> Generator[Served]:
        folder = tmp_path / "package"
        (folder / "code").mkdir(parents=True)
        (folder / "code" / "predictor.py").write_text(code)
        predictor = {"path": "predictor.py", "class": None, "config": {"a": 1}, "python_path": None}
        document = {"format": 1, "predictor": predictor, "model": None, "libraries": []}
        (folder / "package.json").write_text(json.dumps(document))
        output = tmp_path / "output.log"
        with output.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-m", "modelyard_worker.serve", str(folder), "serve", "--host", "127.0.0.1"],
                env={**os.environ, "SAGEMAKER_BIND_TO_PORT": "0", **environment},
                stdout=written,
                stderr=written,
            )
        try:
            yield Served(process, output)
        finally:
            process.kill()
            process.wait()

    return serving


def test_ping_is_empty_and_an_invocation_is_a_prediction(serve: Callable[..., Any]) -> None:
    with serve(ECHO) as served:
        status, body, _headers = served.ask(method="GET", path="/ping")
        assert (status, body) == (200, b"")
        status, body, headers = served.ask({"row": [1, 2]}, path="/invocations?a=b", x_custom="yes")
        assert status == 200
        assert headers["content-type"] == "application/json"
        expected = {"payload": {"row": [1, 2]}, "config": {"a": 1}, "custom": "yes", "query": {"a": "b"}}
        assert json.loads(body) == expected


def test_ping_is_answered_while_a_prediction_runs(serve: Callable[..., Any], tmp_path: Path) -> None:
    enough = tmp_path / "enough"
    with serve(ECHO) as served:
        slow = threading.Thread(target=served.ask, args=({"until": str(enough)},))
        slow.start()
        for _ in range(5):
            assert served.ask(method="GET", path="/ping")[0] == 200
        assert slow.is_alive()
        enough.touch()
        slow.join()


def test_an_answer_longer_than_a_frame_arrives_whole(serve: Callable[..., Any]) -> None:
    with serve(ECHO) as served:
        status, body, _headers = served.ask("long", accept="text/plain")
        assert (status, len(body)) == (200, 1_000_000)


@pytest.mark.parametrize(
    ("asked", "status", "word"),
    [
        ({"body": "raise"}, 500, "no such row"),
        ({"body": b"{"}, 400, "JSON"),
        ({"body": b"", "path": "/elsewhere"}, 404, "/invocations"),
        ({"method": "GET"}, 405, "POST"),
        ({"body": b"x" * (2 * 2**20)}, 413, "limit"),
    ],
)
def test_every_mistake_is_answered_with_its_status_and_a_word(
    serve: Callable[..., Any], asked: dict[str, Any], status: int, word: str
) -> None:
    with serve(ECHO, SAGEMAKER_MAX_PAYLOAD_IN_MB="1") as served:
        try:
            found, body, _headers = served.ask(**asked)
        except (BrokenPipeError, ConnectionResetError):
            assert status == 413, "only a refused body may end before it was read"
        else:
            assert (found, word in json.loads(body)["error"]["message"]) == (status, True), body
        assert served.ask(method="GET", path="/ping")[0] == 200


def test_a_body_without_a_length_is_refused(serve: Callable[..., Any]) -> None:
    with serve(ECHO) as served, socket.create_connection(("127.0.0.1", served.port), timeout=10) as raw:
        raw.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 411 ")


@pytest.mark.parametrize("code", [STREAM, ASYNC_STREAM], ids=["plain", "async"])
def test_generators_are_streamed_in_chunks(serve: Callable[..., Any], code: str) -> None:
    with serve(code) as served:
        status, body, headers = served.ask(b"one two three", content_type="text/plain")
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert body.split() in ([b"one", b"two", b"three"], [b"onetwothree"])


def test_a_generator_that_raises_first_is_an_error_and_later_breaks_off(serve: Callable[..., Any]) -> None:
    with serve(STREAM) as served:
        status, body, _headers = served.ask(b"raise", content_type="text/plain")
        assert (status, json.loads(body)["error"]["code"]) == (500, "predictor_failed")
        with pytest.raises(http.client.IncompleteRead):
            served.ask(b"one raise", content_type="text/plain")


def test_an_answer_that_takes_too_long_is_504(serve: Callable[..., Any]) -> None:
    with serve(ECHO, SAGEMAKER_MODEL_SERVER_TIMEOUT="0.2") as served:
        assert served.ask({"sleep": 1})[0] == 504


def test_a_term_signal_lets_a_prediction_finish(serve: Callable[..., Any]) -> None:
    with serve(ECHO) as served:
        answers: list[int] = []
        slow = threading.Thread(target=lambda: answers.append(served.ask({"sleep": 1})[0]))
        slow.start()
        served.wait_for("asleep")
        served.process.send_signal(signal.SIGTERM)
        slow.join()
        assert answers == [200]
        assert served.process.wait(20) == 0


def test_a_package_that_cannot_be_loaded_ends_with_the_reason(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "package", ignore_errors=True)
    words = [sys.executable, "-m", "modelyard_worker.serve", str(tmp_path / "package"), "--port", "0"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "cannot read the package" in done.stderr
