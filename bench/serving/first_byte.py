"""How long the first byte of an answer takes, as a client on one connection sees it."""

import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

_RECEIVED_BYTES = 65536
_TIMEOUT_SECONDS = 30.0
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class FirstByte:
    """One request's times in seconds: to the first byte of the body, to the end of it."""

    first_seconds: float
    whole_seconds: float


def first_bytes(url: str, body: bytes, count: int) -> list[FirstByte]:
    """Asks `count` times on one connection. Raises RuntimeError where an answer is not streamed in chunks."""
    parts = urlsplit(url)
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), _TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return [_ask(connection, request, url) for _ in range(count)]


def _ask(connection: socket.socket, request: bytes, url: str) -> FirstByte:
    began = time.perf_counter()
    connection.sendall(request)
    received = body = b""
    first: float | None = None
    while not body.endswith(_LAST_CHUNK):
        data = connection.recv(_RECEIVED_BYTES)
        if not data:
            raise RuntimeError(f"cannot measure {url}: it closed the connection after {received[:200]!r}")
        received += data
        head, end, body = received.partition(_HEAD_END)
        if end and not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"cannot measure {url}: it answers {received[:200]!r}")
        if first is None and body:
            first = time.perf_counter() - began
    assert first is not None
    return FirstByte(first, time.perf_counter() - began)
