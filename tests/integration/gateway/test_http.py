"""HTTP as clients really send it, and as they should not."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from modelyard.gateway.connection import LINGER_SECONDS
from modelyard.protocol.routes import HEADER_BYTES_MAX
from tests.integration.gateway.scripted_replica import ScriptedReplica

Serving = Callable[..., Any]
ReplicaAt = Callable[..., ScriptedReplica]

PREDICT = b"POST /endpoints/price/invocations HTTP/1.1\r\nhost: localhost\r\n"


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer with a content-length."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        assert data, received
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65536)
    return int(first.split()[1]), headers, body


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:8400@evil.example",
        "evil.example:localhost",
        "evil.example#localhost",
        "evil.example/localhost",
        "localhost, evil.example",
        "ab cd",
        "",
    ],
)
def test_a_foreign_host_is_refused(gateway: Any, host: str) -> None:
    connection = gateway.start().connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: " + host.encode() + b"\r\n\r\n")
    status, _, body = read_answer(connection)
    assert status in (400, 403)
    if status == 403:
        assert json.loads(body)["error"]["code"] == "forbidden"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8400", "127.0.0.1:1", "[::1]:8400"])
def test_a_name_or_address_of_this_machine_is_answered(gateway: Any, host: str) -> None:
    assert httpx.get(f"{gateway.start().url}/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://127.0.0.1/healthz", "localhost", 200),
        ("HTTP://localhost:8400/healthz?x=/", "localhost", 200),
        ("http://127.0.0.1/healthz", "evil.example", 200),
        ("http://evil.example/healthz", "localhost", 403),
        ("http://localhost@evil.example/healthz", "localhost", 403),
        ("http://evil.example", "localhost", 403),
    ],
)
def test_a_target_that_names_a_host_counts_and_not_the_host_header(
    gateway: Any, target: str, host: str, status: int
) -> None:
    connection = gateway.start().connect()
    connection.sendall(f"GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode())
    assert read_answer(connection)[0] == status


def test_a_body_over_the_limit_is_refused_before_it_is_sent(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    connection = serving(replica, max_body_bytes=1000).connect()
    connection.sendall(PREDICT + b"content-length: 100000000\r\nexpect: 100-continue\r\n\r\n")
    status, headers, body = read_answer(connection)
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
    assert headers["connection"] == "close"
    assert replica.waiting() == 0


def test_a_chunked_body_over_the_limit_is_refused_when_it_passes_it(serving: Serving, replica_at: ReplicaAt) -> None:
    connection = serving(replica_at(), max_body_bytes=1000).connect()
    connection.sendall(PREDICT + b"transfer-encoding: chunked\r\n\r\n")
    for _ in range(3):
        connection.sendall(b"190\r\n" + b"x" * 400 + b"\r\n")
    assert read_answer(connection)[0] == 413


def test_expect_100_continue_is_answered(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    connection = serving(replica).connect()
    connection.sendall(PREDICT + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n")
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"[]")
    replica.answer(replica.next_request(), b"1")
    assert read_answer(connection)[0] == 200


def test_a_chunked_body_arrives_whole(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    connection = serving(replica).connect()
    connection.sendall(PREDICT + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    request = replica.next_request()
    assert request.body == b"abcde"
    replica.answer(request, b"1")
    assert read_answer(connection)[0] == 200


def test_pipelined_requests_are_answered_in_their_order(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at(max_in_flight=8)
    connection = serving(replica).connect()
    bodies = [str(number).encode() for number in range(40)]
    connection.sendall(b"".join(PREDICT + b"content-length: %d\r\n\r\n%b" % (len(body), body) for body in bodies))
    received = []
    for _ in bodies:
        request = replica.next_request()
        replica.answer(request, request.body)
        received.append(read_answer(connection)[2])
    assert received == bodies


def test_wishes_for_another_protocol_are_ignored_however_many_come_at_once(gateway: Any) -> None:
    gateway.start()
    connection = gateway.connect()
    wish = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n"
    connection.sendall(wish * 600)
    answers = 0
    while answers < 600:
        data = connection.recv(65536)
        assert data, answers
        answers += data.count(b"HTTP/1.1 200")


def test_http_1_0_clients_are_answered_and_kept_only_when_they_ask(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    gateway = serving(replica)
    connection = gateway.connect()
    for kept in (True, False):
        line = b"connection: keep-alive\r\n" if kept else b""
        connection.sendall(
            b"POST /endpoints/price/invocations HTTP/1.0\r\nhost: localhost\r\ncontent-length: 2\r\n" + line + b"\r\n{}"
        )
        replica.answer(replica.next_request(), b"1")
        status, headers, _ = read_answer(connection)
        assert (status, headers["connection"]) == (200, "keep-alive" if kept else "close")
    assert connection.recv(1) == b""


def test_an_answer_to_head_has_no_body_that_would_be_taken_for_the_next_answer(gateway: Any) -> None:
    gateway.start()
    own = ("/healthz", "/v2/health/live", "/metrics", "/endpoints/none/invocations", "/gateways/none")
    places = [*((path, "localhost") for path in own), ("/", "evil.example"), ("/", "none.localhost")]
    for path, host in places:
        connection = gateway.connect()
        lines = b"%b HTTP/1.1\r\nhost: %b\r\n" % (path.encode(), host.encode())
        connection.sendall(b"HEAD %b\r\nGET %bconnection: close\r\n\r\n" % (lines, lines))
        received = b""
        while data := connection.recv(65536):
            received += data
        head, _, following = received.partition(b"\r\n\r\n")
        assert following.startswith(b"HTTP/1.1 "), (path, host, received)
        body = following.partition(b"\r\n\r\n")[2]
        assert b"content-length: %d" % len(body) in head, "it says how long the body would be"


def test_headers_over_the_limit_are_refused(gateway: Any) -> None:
    connection = gateway.start().connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-long: " + b"x" * HEADER_BYTES_MAX + b"\r\n\r\n")
    assert read_answer(connection)[0] == 431


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        b"GET /healthz HTTP/1.1\r\nhost: evil.example\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, gzip\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length : 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n",
        b"GET /\r\nhost localhost\r\n\r\n",
        b"POST /endpoints/price/invocations HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=[
        "tls",
        "length-beside-chunked",
        "chunked-beside-length",
        "two-lengths",
        "two-hosts",
        "chunked-not-last",
        "space-before-colon",
        "folded",
        "nul",
        "endless-chunk",
        "no-version",
        "bad-chunk",
    ],
)
def test_what_is_not_http_is_answered_with_400_and_closed(gateway: Any, request_bytes: bytes) -> None:
    connection = gateway.start().connect()
    connection.sendall(request_bytes)
    received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{gateway.url}/healthz").status_code == 200


def test_whoever_is_refused_hears_the_end_with_the_answer_and_may_still_send(gateway: Any) -> None:
    gateway.start()
    took: list[float] = []
    while len(took) < 3 and min(took, default=LINGER_SECONDS) >= LINGER_SECONDS:
        connection = gateway.connect()
        began = time.monotonic()
        connection.sendall(
            b"POST /endpoints/none/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n"
        )
        assert read_all(connection).startswith(b"HTTP/1.1 404")
        took.append(time.monotonic() - began)
        connection.sendall(b"x" * 2**20)
    assert min(took) < LINGER_SECONDS


def test_a_request_without_host_is_refused(gateway: Any) -> None:
    connection = gateway.start().connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
    assert read_answer(connection)[0] == 400


def test_an_unknown_endpoint_is_404_with_the_nearest_name(serving: Serving, replica_at: ReplicaAt) -> None:
    answer = httpx.post(f"{serving(replica_at()).url}/endpoints/prize/invocations", content=b"{}")
    assert answer.status_code == 404
    assert answer.json()["error"]["hint"] == "did you mean Price?"


def test_other_methods_than_post_are_405(serving: Serving, replica_at: ReplicaAt) -> None:
    assert httpx.get(f"{serving(replica_at()).url}/endpoints/price/invocations").status_code == 405


def test_an_endpoint_with_no_replica_says_why_and_429_to_those_who_sign(serving: Serving) -> None:
    gateway = serving(why_not_ready="version 1 cannot start")
    plain = gateway.post()
    assert (plain.status_code, plain.json()["error"]["code"]) == (503, "not_ready")
    assert "version 1 cannot start" in plain.json()["error"]["message"]
    signed = gateway.post(headers={"authorization": "AWS4-HMAC-SHA256 x"})
    assert (signed.status_code, signed.headers["x-amzn-errortype"]) == (429, "ModelNotReadyException")


def test_a_refused_small_body_keeps_the_connection(serving: Serving, replica_at: ReplicaAt) -> None:
    connection = serving(replica_at()).connect()
    for _ in range(3):
        connection.sendall(
            b"POST /endpoints/none/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}"
        )
        assert read_answer(connection)[0] == 404


def test_metrics_want_the_key_and_count_answers(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    gateway = serving(replica)
    connection = gateway.connect()
    connection.sendall(PREDICT + b"content-length: 2\r\n\r\n{}")
    replica.answer(replica.next_request(), b"1")
    read_answer(connection)
    assert httpx.get(f"{gateway.url}/metrics").status_code == 401
    text = httpx.get(f"{gateway.url}/metrics", headers={"authorization": "Bearer secret-key"}).text
    assert 'modelyard_requests_total{endpoint="Price",version="1",status="200"} 1' in text
    assert 'modelyard_request_seconds_count{endpoint="Price",version="1"} 1' in text
