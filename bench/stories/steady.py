"""Steady load: clients that ask at a pace of their own, whatever becomes of the server.

Each keeps a connection and asks when its time has come, not when the last answer came: what waits behind a slow answer
counts as waiting, as it would for people.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

ANSWER_SECONDS_MAX = 60.0
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: when it was due (monotonic seconds), how long it took from then, its status; 0 is no answer."""

    due_at: float
    seconds: float
    status: int


def percentile(calls: Sequence[Call], share: float) -> float:
    """Seconds within which this share of the calls was answered; 0 where there is none."""
    ordered = sorted(call.seconds for call in calls)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Steady:
    """Load for as long as the block lasts, from a thread and a loop of its own.

    `per_second` is of all clients together; None asks as soon as the last answer has come.
    """

    def __init__(self, url: str, body: bytes, clients: int, per_second: float | None) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._request = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        self._clients = clients
        self._pause = clients / per_second if per_second is not None else 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(ANSWER_SECONDS_MAX)

    def since(self, began_at: float, until: float | None = None) -> list[Call]:
        """Calls that were due in a span of monotonic time."""
        return [call for call in self.calls if began_at <= call.due_at and (until is None or call.due_at < until)]

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(self._clients)))

    async def _client(self, number: int) -> None:
        due_at = time.monotonic() + self._pause * number / self._clients
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._ended.is_set():
            await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            try:
                connection = connection or await asyncio.open_connection(*self._address)
                status = await asyncio.wait_for(self._ask(*connection), ANSWER_SECONDS_MAX)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                status, connection = 0, None
            self.calls.append(Call(due_at, time.monotonic() - due_at, status))
            due_at = due_at + self._pause if self._pause else time.monotonic()
        if connection is not None:
            connection[1].close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        writer.write(self._request)
        head = (await reader.readuntil(_HEAD_END)).lower()
        length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
        return int(head[9:12])
