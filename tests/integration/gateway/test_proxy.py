"""The proxy lane: what is no prediction reaches the control process and comes back, whatever happens to either."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
REFUSED = b"HTTP/1.1 413 Too Large\r\ncontent-length: 8\r\nconnection: close\r\n\r\ntoo much"


class Control:
    """Listens where control would; every connection is handled by the next of `scripts`, the last one for good."""

    def __init__(self, path: Path, *scripts: Callable[[socket.socket, bytes], None]) -> None:
        self.heads: list[bytes] = []
        self._scripts = list(scripts)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += connection.recv(65536)
                    self.heads.append(received.partition(b"\r\n\r\n")[0])
                    script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                    script(connection, received.partition(b"\r\n\r\n")[2])

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)


def answers(data: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(data)


def dies(connection: socket.socket, _: bytes) -> None:
    """Closes without a word."""


@pytest.fixture
def control(gateway: Any, home: Any) -> Iterator[Callable[..., Control]]:
    made: list[Control] = []

    def make(*scripts: Callable[[socket.socket, bytes], None]) -> Control:
        made.append(Control(home.control_socket, *scripts))
        return made[-1]

    gateway.start()
    yield make
    for one in made:
        one.close()


def test_a_request_is_handed_on_with_its_path_as_it_came_and_an_id(
    gateway: Any, control: Callable[..., Control]
) -> None:
    one = control(answers(OK))
    answer = httpx.get(
        f"{gateway.url}/api/v1/a%2Fb?x=%20", headers={"x-request-id": "me-1", "x-forwarded-for": "1.2.3.4"}
    )
    assert (answer.status_code, answer.text, answer.headers["x-request-id"]) == (200, "ok", "me-1")
    lines = one.heads[0].split(b"\r\n")
    assert lines[0] == b"GET /api/v1/a%2Fb?x=%20 HTTP/1.1"
    assert b"x-request-id: me-1" in lines
    assert b"x-forwarded-for: 127.0.0.1" in lines
    assert b"x-forwarded-for: 1.2.3.4" not in lines


def test_a_large_upload_arrives_whole(gateway: Any, control: Callable[..., Control]) -> None:
    body = bytes(range(256)) * 40_000
    received = bytearray()

    def swallow(connection: socket.socket, begun: bytes) -> None:
        assert begun == b""
        connection.sendall(CONTINUE)
        received.extend(begun)
        while len(received) < len(body):
            received.extend(connection.recv(1 << 20))
        connection.sendall(OK)

    control(swallow)
    assert httpx.put(f"{gateway.url}/api/v1/artifacts/x", content=body, timeout=30).status_code == 200
    assert bytes(received) == body


def test_a_large_body_of_unknown_length_arrives_whole(gateway: Any, control: Callable[..., Control]) -> None:
    received = bytearray()

    def swallow(connection: socket.socket, begun: bytes) -> None:
        assert begun == b""
        connection.sendall(CONTINUE)
        while not received.endswith(b"\r\n0\r\n\r\n"):
            received.extend(connection.recv(1 << 20))
        connection.sendall(OK)

    control(swallow)
    answer = httpx.put(f"{gateway.url}/api/v1/artifacts/x", content=iter([b"x" * 1_000_000] * 5), timeout=30)
    assert (answer.status_code, received.count(b"x")) == (200, 5_000_000)


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked_when_control_asks(gateway: Any, control: Any) -> None:
    received = bytearray()

    def swallow(connection: socket.socket, begun: bytes) -> None:
        connection.sendall(CONTINUE)
        while len(received) < 100_000:
            received.extend(connection.recv(1 << 20))
        connection.sendall(OK)

    control(swallow)
    client = gateway.connect()
    client.sendall(
        b"PUT /api/v1/artifacts/x HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 100000\r\n\r\n"
    )
    assert client.recv(100) == CONTINUE
    client.sendall(b"x" * 100_000)
    assert client.recv(4096).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_refusal_before_the_body_reaches_the_client_and_no_body_reaches_control(
    gateway: Any, control: Callable[..., Control], is_chunked: bool
) -> None:
    begun: list[bytes] = []

    def refuse(connection: socket.socket, body: bytes) -> None:
        begun.append(body)
        connection.sendall(REFUSED)

    control(refuse)
    with httpx.Client(base_url=gateway.url, timeout=30) as client:
        for _ in range(5):
            body = bytes(20_000_000)
            answer = client.post("/api/v1/runs", content=iter([body]) if is_chunked else body)
            assert (answer.status_code, answer.text) == (413, "too much")
    assert begun == [b""] * 5


def test_an_answer_without_a_length_is_streamed_as_it_comes(gateway: Any, control: Callable[..., Control]) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    go_on = threading.Event()

    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head + b"3\r\none\r\n")
        assert go_on.wait(10)
        connection.sendall(b"3\r\ntwo\r\n0\r\n\r\n")

    control(drip)
    with httpx.stream("GET", f"{gateway.url}/api/v1/logs", timeout=10) as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"one"
        go_on.set()
        assert b"".join(parts) == b"two"


def test_a_read_is_asked_again_where_control_died_before_it_answered(
    gateway: Any, control: Callable[..., Control]
) -> None:
    one = control(dies, answers(OK))
    assert httpx.get(f"{gateway.url}/api/v1/endpoints").text == "ok"
    assert len(one.heads) == 2


def test_a_browser_is_told_on_a_page_that_control_is_gone(gateway: Any, control: Callable[..., Control]) -> None:
    control(dies, dies)
    answer = httpx.get(f"{gateway.url}/console", headers={"accept": "text/html,*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert "the control process went away" in answer.text


def test_a_write_is_never_sent_twice(gateway: Any, control: Callable[..., Control]) -> None:
    one = control(dies, answers(OK))
    answer = httpx.post(f"{gateway.url}/api/v1/runs", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "replica_died")
    assert len(one.heads) == 1


@pytest.mark.parametrize("body_comes_later", [False, True])
def test_a_write_that_a_dying_control_never_read_is_said_to_its_successor(
    gateway: Any, home: Any, control: Callable[..., Control], body_comes_later: bool
) -> None:
    head, body = b"POST /api/v1/links HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n", b"{}"
    client = gateway.connect()
    with socket.socket(socket.AF_UNIX) as dying:
        dying.bind(str(home.control_socket))
        dying.listen()
        client.sendall(head if body_comes_later else head + body)
        assert select.select([dying], [], [], 15)[0], "it stands in the queue, and nobody takes it"
        home.control_socket.unlink()
        one = control(answers(OK))
    if body_comes_later:
        client.sendall(body)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 OK")
    assert len(one.heads) == 1


def test_a_control_process_that_is_not_there_yet_is_waited_for(
    gateway: Any, home: Any, control: Callable[..., Control]
) -> None:
    found: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: found.append(httpx.get(f"{gateway.url}/api/v1/status", timeout=15)))
    asking.start()
    control(answers(OK))
    asking.join(15)
    assert [one.status_code for one in found] == [200]


def test_the_answer_to_head_has_no_body_and_the_connection_lives_on(
    gateway: Any, control: Callable[..., Control]
) -> None:
    control(answers(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\nconnection: close\r\n\r\n"), answers(OK))
    with httpx.Client(base_url=gateway.url, timeout=10) as client:
        assert client.head("/api/v1/artifacts/x").headers["content-length"] == "5000"
        assert client.get("/api/v1/status").text == "ok"
