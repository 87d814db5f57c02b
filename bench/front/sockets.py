"""WebSockets as a client sees them: how long an echo takes, and what a thousand open ones hold.

The client is a plain socket with frames that are made once, so that what is measured is the server.
"""

import base64
import os
import socket
import statistics
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.front.load import Side
from bench.serving.costs import pss_bytes

TEXT = b"x" * 64
TIMEOUT_SECONDS = 20.0
_MASK = b"\x01\x02\x03\x04"
_FRAME = b"\x81" + bytes([0x80 | len(TEXT)]) + _MASK + bytes(one ^ _MASK[i % 4] for i, one in enumerate(TEXT))
_ECHO = b"\x81" + bytes([len(TEXT)]) + TEXT
"""RFC 6455, 5.2: a whole text frame; a client's is masked, a server's is not."""

_PING, _PONG = 0x89, 0x8A


@dataclass(frozen=True, slots=True)
class Echoes:
    """Of one side in one round. Times are seconds."""

    side: str
    count: int
    p50_seconds: float
    p99_seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """What many open WebSockets hold, by role: PSS before they came, and with all of them open."""

    sockets: int
    before_bytes: Mapping[str, int]
    open_bytes: Mapping[str, int]

    def bytes_each(self, role: str) -> float:
        return (self.open_bytes[role] - self.before_bytes[role]) / self.sockets


@contextmanager
def opened(side: Side) -> Generator[socket.socket]:
    """A WebSocket. Raises RuntimeError where it is refused."""
    split = urlsplit(side.url)
    address = (split.hostname or "127.0.0.1", split.port or 80)
    host = side.headers.get("Host", split.netloc)
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection(address, TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"GET {split.path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
        connection.sendall("\r\n".join(lines).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = connection.recv(4096)
            if not part:
                break
            head += part
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(f"cannot open a WebSocket at {side.name}: {head[:200].decode('latin-1')}")
        yield connection


def echo(connection: socket.socket) -> None:
    """One text there and back. Raises RuntimeError where another one comes back."""
    connection.sendall(_FRAME)
    found = _frame(connection)
    while found[0] == _PING:
        # Servers look whether the other side is there when it has been silent.
        connection.sendall(bytes([_PONG, 0x80 | len(found) - 2]) + b"\0\0\0\0" + found[2:])
        found = _frame(connection)
    if found != _ECHO:
        raise RuntimeError(f"cannot go on: the echo is not what was said: {found[:80]!r}")


def _frame(connection: socket.socket) -> bytes:
    """One short frame."""
    head = _exactly(connection, 2)
    return head + _exactly(connection, head[1])


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise RuntimeError("cannot go on: the WebSocket was closed")
        found += part
    return found


def echoes(side: Side, count: int) -> Echoes:
    """Over one WebSocket, one after the other."""
    took: list[float] = []
    with opened(side) as connection:
        for _ in range(count // 10):
            echo(connection)
        for _ in range(count):
            began = time.perf_counter()
            echo(connection)
            took.append(time.perf_counter() - began)
    took.sort()
    return Echoes(side.name, count, statistics.median(took), took[len(took) * 99 // 100])


def hold(side: Side, sockets: int) -> Held:
    """Opens so many at once, and has an echo of each while all are open."""
    before = {role: pss_bytes(pids) for role, pids in side.processes.items()}
    with ExitStack() as stack:
        connections = [stack.enter_context(opened(side)) for _ in range(sockets)]
        for one in connections:
            echo(one)
        return Held(sockets, before, {role: pss_bytes(pids) for role, pids in side.processes.items()})
