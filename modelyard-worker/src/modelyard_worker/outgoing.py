"""Answers that take more than one frame: long ones in pieces, generators part by part, as the gateway grants credit."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, Optional

from modelyard_worker.answers import Parts
from modelyard_worker.batching import failed, report, times_until_now
from modelyard_worker.frames import ANSWER, BODY, CANCEL, END, TIMED, WINDOW_BYTES, pack, pack_meta, parts
from modelyard_worker.request import Request
from modelyard_worker.servable import MESSAGE_LENGTH_MAX
from modelyard_worker.stamps import running

_NO_MORE = object()


class Outgoing:
    """One answer on its way, sent by a task of its own."""

    def __init__(self, connection: Any, request: Request) -> None:
        self._connection = connection
        self._request = request
        self._credit = WINDOW_BYTES
        self._granted = asyncio.Event()
        self._meta: Optional[bytes] = None
        self._times = b""
        """How long it took, where that is known before its first part is sent."""
        self._begun = False

    def grant(self, size_bytes: int) -> None:
        """The gateway takes so much more."""
        self._credit += size_bytes
        self._granted.set()

    async def send_body(self, meta: bytes, body: bytes) -> None:
        """A whole body, longer than one frame."""
        self._meta, self._times = meta, self._request.times
        try:
            await self._send(body, last=True)
        except Exception as error:  # noqa: BLE001 (a caller must not wait for what cannot be sent)
            self._break_off(error)

    async def send_parts(self, answer: Parts, pool: ThreadPoolExecutor) -> None:
        """A generator's parts. What it raises is an error where nothing was sent yet, else breaks the answer off."""
        running.set((self._request,))
        source = answer.source if answer.asynchronous else _in_thread(answer.source, pool)
        try:
            async for part in source:  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType] (either is one)
                if self._meta is None:
                    self._meta = answer.meta(part)
                await self._send(answer.write(part), last=False)
            if self._meta is None:
                self._meta = answer.meta(None)
            self._put(b"", last=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
            self._break_off(error)
        finally:
            await source.aclose()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] (both have it)

    def _break_off(self, error: BaseException) -> None:
        if not self._begun:
            flags, meta, _ = failed(self._request, error)
            self._connection.send(pack(ANSWER, self._request.stream, meta, flags=flags))
            return
        report(f"request {self._request.id}: the predictor raised after its answer had begun", error)
        message = f"{type(error).__name__}: {error}"[:MESSAGE_LENGTH_MAX]
        meta = pack_meta({"error": "predictor_failed", "message": message})
        self._connection.send(pack(CANCEL, self._request.stream, meta))

    async def _send(self, body: bytes, *, last: bool) -> None:
        for piece, end in parts(body):
            while self._credit < len(piece):
                self._granted.clear()
                await self._granted.wait()
            await self._connection.writable.wait()
            self._credit -= len(piece)
            self._put(piece, last=last and end)

    def _put(self, piece: bytes, *, last: bool) -> None:
        flags = END if last else 0
        kind, meta = (BODY, b"") if self._begun else (ANSWER, self._meta or b"")
        if not self._begun and self._connection.takes_times:
            flags |= TIMED
            meta = (self._times or times_until_now(self._request)) + meta
        frame = pack(kind, self._request.stream, meta, piece, flags)
        self._begun = True
        self._connection.send(frame)


async def _in_thread(generator: Any, pool: ThreadPoolExecutor) -> AsyncIterator[Any]:
    """A plain generator's parts without holding up the loop: each step runs in the pool, one at a time."""
    loop = asyncio.get_running_loop()
    context: Any = contextvars.copy_context()
    step: Optional[asyncio.Future[Any]] = None
    try:
        while True:
            step = loop.run_in_executor(pool, context.run, next, generator, _NO_MORE)
            part = await asyncio.shield(step)
            if part is _NO_MORE:
                return
            yield part
    finally:
        # A step cannot be interrupted, and a generator cannot be closed while it runs: the closing follows the step.
        if step is None or step.done():
            pool.submit(close_generator, generator)
        else:
            step.add_done_callback(lambda _: pool.submit(close_generator, generator))


def close_generator(generator: Any) -> None:
    """Ends a plain generator early, so that its `finally` blocks run."""
    try:
        generator.close()
    except Exception as error:  # noqa: BLE001 (the user's code raises what it likes)
        report("a generator raised while it was closed", error)
