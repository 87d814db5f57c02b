"""Clients that are slow, broken, too many or gone: the yard goes on, and its gateway does not grow."""

import contextlib
import http.client
import os
import resource
import shutil
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.standing import standing_yard
from tests.acceptance.yard import Load, Yard, eventually

pytestmark = pytest.mark.acceptance

IDLE_CONNECTIONS = int(os.environ.get("MODELYARD_TEST_CONNECTIONS", "2000"))
"""10,000 where the machine may open so many files."""

GROWTH_BYTES_MAX = 40 * 2**20
"""What the gateway may take for that many connections and for what was done to it: a few kilobytes each."""

CLIENT_SECONDS = 25.0
"""Longer than the gateway has patience for headers."""

YARD_FILE = """
- name: echo
  predictor: {path: predictor.py, config: {}}
- name: typed
  predictor: {path: typed.py, config: {}}
- name: iris
  model: iris.joblib
"""

ECHO = """
class Predictor:
    def __init__(self, config): pass

    def predict(self, payload):
        return payload if isinstance(payload, (dict, list, str, int, float, type(None))) else len(payload)
"""

TYPED = """
import numpy as np

class Predictor:
    def __init__(self, config): pass

    def predict(self, payload: np.ndarray):
        return payload.shape
"""

PREDICT = b"POST /endpoints/echo/invocations HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture(scope="module")
def yard(iris_model: Path) -> Iterator[Yard]:
    """One yard for all of it: what it has been through before must not matter."""
    with standing_yard() as (one, project):
        (project / "modelyard.yaml").write_text(YARD_FILE)
        (project / "predictor.py").write_text(ECHO)
        (project / "typed.py").write_text(TYPED)
        shutil.copy(iris_model, project / "iris.joblib")
        one.client().deploy(project / "modelyard.yaml")
        for name in ("echo", "typed", "iris"):
            assert one.client().wait_endpoint(name).state == "live"
        yield one


def connect(yard: Yard) -> socket.socket:
    host, _, port = yard.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=CLIENT_SECONDS)


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed; what it sent before is thrown away."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def everything(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def gateway_pss_bytes(yard: Yard) -> int:
    return psutil.Process(yard.process("gateway").pid).memory_full_info().pss


@pytest.mark.long
def test_slow_clients_are_let_go_while_predictions_go_on(yard: Yard) -> None:
    slow_headers = [connect(yard) for _ in range(20)]
    slow_bodies = [connect(yard) for _ in range(20)]
    for one in slow_headers:
        one.sendall(PREDICT)
    for one in slow_bodies:
        one.sendall(PREDICT + b"content-length: 1000\r\n\r\n{")
    began = time.monotonic()
    with Load(yard, "echo", {}, clients=2) as load:
        waiting = [*slow_headers, *slow_bodies]
        while waiting and time.monotonic() - began < CLIENT_SECONDS:
            for one in slow_headers:
                # A byte now and then, so that they are never silent.
                with contextlib.suppress(OSError):
                    one.send(b"x")
            waiting = [one for one in waiting if not closed(one)]
            time.sleep(0.5)
        load.wait_for_answers(50)
    for one in (*slow_headers, *slow_bodies):
        one.close()
    assert waiting == []
    assert load.failures == []


def test_idle_connections_cost_little_and_hinder_nobody(yard: Yard) -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < IDLE_CONNECTIONS + 500:
        pytest.skip(f"only {most} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, IDLE_CONNECTIONS + 500), most))
    yard.client().predict("echo", {})
    before = gateway_pss_bytes(yard)
    with contextlib.ExitStack() as idle:
        for _ in range(IDLE_CONNECTIONS):
            idle.enter_context(connect(yard))
        with Load(yard, "echo", {}, clients=2) as load:
            load.wait_for_answers(200)
        assert load.failures == []
        assert gateway_pss_bytes(yard) - before < GROWTH_BYTES_MAX
    assert yard.client().predict("echo", {"a": 1}) == {"a": 1}


def test_clients_that_leave_early_or_half_leave_nothing_behind(yard: Yard) -> None:
    before = gateway_pss_bytes(yard)
    for _ in range(200):
        for sent in (b"", PREDICT, PREDICT + b"content-length: 5\r\n\r\n12", PREDICT + b"content-length: 2\r\n\r\n{}"):
            with connect(yard) as gone:
                gone.sendall(sent)
        with connect(yard) as reset:
            reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reset.sendall(PREDICT + b"content-length: 2\r\n\r\n{}")
        with connect(yard) as half:
            half.sendall(PREDICT + b"content-length: 2\r\n\r\n{}")
            half.shutdown(socket.SHUT_WR)
            everything(half)
    assert yard.client().predict("echo", [1]) == [1]
    assert gateway_pss_bytes(yard) - before < GROWTH_BYTES_MAX


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (PREDICT + b"x: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (PREDICT + b"".join(b"x%d: a\r\n" % number for number in range(20_000)) + b"\r\n", 431),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n", 431),
        (PREDICT + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (PREDICT + b"transfer-encoding: chunked\r\n\r\nnot a length\r\n", 400),
        (PREDICT + b"content-length: 99999999999\r\n\r\n", 413),
        (PREDICT + b"content-length: two\r\n\r\n", 400),
        (b"\x00\xff\x00\xff" * 100, 400),
    ],
    ids=[
        "huge-header",
        "many-headers",
        "huge-path",
        "length-beside-chunked",
        "bad-chunk",
        "huge",
        "no-number",
        "noise",
    ],
)
def test_what_no_client_should_send_is_refused_in_words_and_closed(yard: Yard, sent: bytes, status: int) -> None:
    with connect(yard) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(sent)
        received = everything(connection)
    assert received.startswith(b"HTTP/1.1 %d " % status), received[:200]
    assert b'"cannot ' in received
    assert yard.client().predict("echo", 1) == 1


def test_pipelined_requests_are_all_answered_in_their_order(yard: Yard) -> None:
    bodies = [str(number).encode() for number in range(300)]
    with connect(yard) as connection:
        for body in bodies:
            connection.sendall(PREDICT + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        connection.sendall(PREDICT + b"content-length: 3\r\nconnection: close\r\n\r\nend")
        received = everything(connection)
    answers = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert answers[:-1] == bodies
    assert received.count(b"HTTP/1.1 200") == 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
TYPES = st.sampled_from(
    [
        "application/json",
        "text/csv",
        "application/x-npy",
        "text/plain",
        "application/octet-stream",
        "",
        "a/b",
        "image/png",
    ]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["echo", "typed", "iris"]),
    body=BODIES | JSON.map(lambda value: repr(value).encode()),
    content_type=TYPES,
    accept=st.sampled_from(["", "*/*", "text/csv", "application/json;q=0", "nonsense"]),
)
def test_no_body_makes_the_yard_fail(yard: Yard, name: str, body: bytes, content_type: str, accept: str) -> None:
    """A 5xx is the yard's own; a predictor that raises on purpose is not among these."""
    host, _, port = yard.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=CLIENT_SECONDS)
    headers = {"content-type": content_type, "accept": accept}
    connection.request("POST", f"/endpoints/{name}/invocations", body, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status < 500, (answer.status, text)


def test_after_all_this_it_is_the_same_gateway_and_it_still_serves(yard: Yard) -> None:
    assert "Traceback" not in yard.log("gateway")
    assert yard.log("gateway").count("listening on") == 1
    assert eventually(lambda: yard.client().predict("iris", [[5.1, 3.5, 1.4, 0.2]]))
