"""A wire that misbehaves: between a client and a server it delays, trickles, cuts, half-closes and resets.

It stands in front of a TCP address or a Unix socket and listens on either. What befalls a connection is drawn from
`faults`, in turn, so that a story with the same faults is the same story.
"""

import asyncio
import contextlib
import gc
import itertools
import socket
import struct
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PIECE_BYTES = 1 << 16
LIMIT_SECONDS = 10.0
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER without time: closing sends RST."""


@dataclass(frozen=True)
class Fault:
    """What befalls one connection. Bytes are counted from its beginning, in the direction they are said for."""

    name: str = "none"
    delay_seconds: float = 0.0
    """Before each piece, in both directions."""
    piece_bytes: int = PIECE_BYTES
    """Most that is passed on at once."""
    cut_request_at: int | None = None
    """After so many bytes to the server both sides are closed."""
    cut_answer_at: int | None = None
    """After so many bytes to the client both sides are closed."""
    resets: bool = False
    """Whether a cut is a RST instead of an orderly end."""
    half_closes: bool = False
    """Whether the server hears the end of what the client sends as soon as it has sent anything."""


NONE = Fault()
SLOW = Fault("slow", delay_seconds=0.005)
TRICKLE = Fault("trickle", piece_bytes=7)
CUT_REQUEST = Fault("cut request", cut_request_at=60)
CUT_ANSWER = Fault("cut answer", cut_answer_at=40)
RESET_REQUEST = Fault("reset request", cut_request_at=60, resets=True)
RESET_ANSWER = Fault("reset answer", cut_answer_at=40, resets=True)
HALF_CLOSE = Fault("half close", half_closes=True)
ALL = (NONE, SLOW, TRICKLE, CUT_REQUEST, CUT_ANSWER, RESET_REQUEST, RESET_ANSWER, HALF_CLOSE)

Address = tuple[str, int] | Path


class FaultProxy:
    """Runs on a loop and a thread of its own for as long as the block lasts."""

    def __init__(self, server: Address, faults: Iterable[Fault] = ALL, at: Path | None = None) -> None:
        self._server = server
        self._at = at
        self.faults = itertools.cycle(faults)
        self.befell: Counter[str] = Counter()
        """Connections by what befell them."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._listening: asyncio.Server | None = None
        self._end: Callable[[], object] = lambda: None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(LIMIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._thread.join(LIMIT_SECONDS)
        # A connection that was accepted as the loop ended has a transport that nobody closed. It is collected here, not
        # in a later test, which would be blamed for it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    @property
    def port(self) -> int:
        assert self._listening is not None
        return self._listening.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def use(self, *faults: Fault) -> None:
        """From the next connection on."""
        self.faults = itertools.cycle(faults)

    async def _serve(self) -> None:
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        self._end = lambda: loop.call_soon_threadsafe(ended.set)
        if self._at is not None:
            self._listening = await asyncio.start_unix_server(self._accept, str(self._at))
        else:
            self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._ready.set()
        await ended.wait()
        self._listening.close()
        # Connections that were just accepted come to their handlers first, which close them.
        await asyncio.sleep(0.05)
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # What was closed is told so in the loop's next turns.
        await asyncio.sleep(0.01)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        fault = next(self.faults)
        self.befell[fault.name] += 1
        self._writers.add(writer)
        back: asyncio.StreamWriter | None = None
        # Cancelled at the end of the block; the streams of asyncio would log that as an error.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            if isinstance(self._server, Path):
                there, back = await asyncio.open_unix_connection(str(self._server))
            else:
                there, back = await asyncio.open_connection(*self._server)
            self._writers.add(back)
            await _Wire(fault, writer, back).carry(reader, there)
        for one in (writer, back):
            if one is not None:
                one.close()


class _Wire:
    """One connection through the proxy."""

    def __init__(self, fault: Fault, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._fault = fault
        self._client = client
        self._server = server

    async def carry(self, from_client: asyncio.StreamReader, from_server: asyncio.StreamReader) -> None:
        fault = self._fault
        up = asyncio.create_task(self._pass(from_client, self._server, fault.cut_request_at, half=fault.half_closes))
        down = asyncio.create_task(self._pass(from_server, self._client, fault.cut_answer_at))
        try:
            # What one side ends, the other ends too; only a client's half-closed one is still answered.
            await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
            if not down.done() and not up.result():
                await asyncio.wait([down], timeout=LIMIT_SECONDS)
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            for writer in (self._client, self._server):
                self._close(writer)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut_at: int | None, *, half: bool = False
    ) -> bool:
        """Whether it was cut."""
        passed = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE_BYTES):
                for begin in range(0, len(data), self._fault.piece_bytes):
                    piece = data[begin : begin + self._fault.piece_bytes]
                    if cut_at is not None and passed + len(piece) >= cut_at:
                        writer.write(piece[: cut_at - passed])
                        await writer.drain()
                        return True
                    if self._fault.delay_seconds:
                        await asyncio.sleep(self._fault.delay_seconds)
                    writer.write(piece)
                    await writer.drain()
                    passed += len(piece)
                if half:
                    break
            if writer.can_write_eof():
                writer.write_eof()
        return False

    def _close(self, writer: asyncio.StreamWriter) -> None:
        wire: socket.socket | None = writer.get_extra_info("socket")
        if self._fault.resets and wire is not None and wire.family != socket.AF_UNIX:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        writer.close()
