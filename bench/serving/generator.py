"""The load generator where wrk is not installed: `python -m bench.serving.generator URL CONNECTIONS SECONDS FILE`.

Keep-alive connections, each with one request under way, on uvloop; every status is checked. Prints what `load.lua`
prints. It costs more CPU a request than wrk does, which the report shows.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, request: bytes, ended: asyncio.Event) -> None:
        self._request = request
        self._ended = ended
        self._buffer = b""
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's without being instances of it.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(_HEAD_END)
        if not end or len(body) < _content_length(head):
            return
        self.latencies.append(time.perf_counter() - self._sent_at)
        if int(head[9:12]) > 399:
            self.errors += 1
        self._buffer = b""
        if not self._ended.is_set():
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (its base's)
        if not self._ended.is_set():
            self.errors += 1

    def close(self) -> None:
        self._transport.close()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    return int(lowered[lowered.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0])


async def _load(url: str, connections: int, seconds: float, body: bytes) -> dict[str, float]:
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    opened = [
        (await loop.create_connection(lambda: _Connection(request, ended), *address))[1] for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    ended.set()
    took = time.perf_counter() - began
    for one in opened:
        one.close()
    latencies = sorted(latency for one in opened for latency in one.latencies) or [0.0]
    return {
        "requests": len(latencies),
        "seconds": took,
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
        "errors": sum(one.errors for one in opened),
    }


if __name__ == "__main__":
    found = uvloop.run(_load(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]).read_bytes()))
    print(json.dumps(found))
