"""A connection that was upgraded, a WebSocket's: bytes both ways, each side no faster than the other takes them."""

import asyncio
from collections.abc import Callable


class TunnelSide(asyncio.Protocol):
    """One of two. `other` is where its bytes go; `ended` is called once it is closed."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport, ended: Callable[[], None]) -> None:
        self._own = own
        self._other = other
        self._ended = ended

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def pause_writing(self) -> None:
        if not self._other.is_closing():
            self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._other.is_closing():
            # What was written before still goes; after a break there is nothing to wait for.
            self._other.close() if exc is None else self._other.abort()
        self._ended()
