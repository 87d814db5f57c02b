"""A connection that was upgraded, a WebSocket's: bytes both ways, each side no faster than the other takes them.

Nothing in it is read but how long the app's frames are: whose app goes away without a word is told so in a frame of its
own, which must not stand in the middle of another.
"""

import asyncio
from collections.abc import Callable

GOING_AWAY = b"\x88\x02\x03\xe9"
"""A WebSocket's close frame with 1001: a page that gets it knows that it may connect anew."""

NOT_LET_IN = b"\x88\x02\x03\xf0"
"""The same with 1008: whoever it was may not be here any more."""

_CLOSE = 0x8
_HEAD_BYTES_MAX = 14


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

    def put_out(self) -> None:
        """Ends both sides: whoever has it open may not be here any more."""
        self._own.abort()
        self._other.close()


class WebSocketSide(TunnelSide):
    """The app's side of a WebSocket."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport, ended: Callable[[], None]) -> None:
        super().__init__(own, other, ended)
        self._frames = Frames()

    def data_received(self, data: bytes) -> None:
        self._frames.take(data)
        self._other.write(data)

    def put_out(self) -> None:
        if self._frames.may_close:
            self._other.write(NOT_LET_IN)
        super().put_out()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._frames.may_close and not self._other.is_closing():
            self._other.write(GOING_AWAY)
            exc = None
        super().connection_lost(exc)


class Frames:
    """Where a server's WebSocket frames begin and end (RFC 6455, 5.2), as they pass in pieces."""

    __slots__ = ("_closed", "_head", "_left")

    def __init__(self) -> None:
        self._head = b""
        """Of a frame whose length is not known yet."""
        self._left = 0
        """Bytes of the present frame that have not come."""
        self._closed = False

    @property
    def may_close(self) -> bool:
        """Whether a close frame may follow: none was sent, and the last frame is whole."""
        return not (self._closed or self._left or self._head)

    def take(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            head = self._head + data[at : at + _HEAD_BYTES_MAX - len(self._head)]
            size, length = _sizes(head)
            if len(head) < size:
                self._head = head
                return
            at += size - len(self._head)
            self._head, self._left = b"", length
            self._closed = self._closed or head[0] & 0xF == _CLOSE


def _sizes(head: bytes) -> tuple[int, int]:
    """Of a frame's head and of what follows it; the first is more than there is while that is not known yet."""
    if len(head) < 2:
        return 2, 0
    short, mask = head[1] & 0x7F, 4 * (head[1] >> 7)
    extended = {126: 2, 127: 8}.get(short, 0)
    size = 2 + extended + mask
    return size, int.from_bytes(head[2 : 2 + extended], "big") if extended else short
