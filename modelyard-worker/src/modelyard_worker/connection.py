"""One gateway's connection to this replica: frames in, frames out.

`data_received` is the hot path: a request that came whole goes straight into the batcher's queue; whatever else a frame
may be is looked at in `_other`.
"""

import asyncio
import time
from typing import Any, Dict, List, Optional, cast

from modelyard_worker.answers import Parts
from modelyard_worker.frames import (
    ALONE,
    ANSWER,
    BODY,
    CANCEL,
    CREDIT,
    END,
    FILE,
    FRAME_BYTES_MAX,
    GOAWAY,
    HELLO,
    PROBE,
    PROBED,
    REQUEST,
    Decoder,
    Frame,
    ProtocolError,
    pack,
    pack_meta,
    unpack_meta,
)
from modelyard_worker.handshake import HANDSHAKE_SECONDS, check_greeting
from modelyard_worker.outgoing import Outgoing, close_generator
from modelyard_worker.request import Meta, Request, too_large
from modelyard_worker.schemas import within_limit
from modelyard_worker.servable import MESSAGE_LENGTH_MAX, Answer, error_answer
from modelyard_worker.service import Service

PENDING_MAX = 4096
"""Requests that wait here, of all gateways together; beyond it 503. A gateway that keeps to what the handshake says
never comes near."""

UNFINISHED_MAX = 1024
"""Bodies that one connection may have under way at the same time."""

WRITE_BUFFER_BYTES = 4 * 2**20
"""Answers that wait in memory for a gateway to read; above it, long ones pause."""


class Unfinished:
    """A request whose body is still coming."""

    __slots__ = ("alone", "chunks", "meta", "size_bytes")

    def __init__(self, meta: Meta, alone: bool) -> None:
        self.meta = meta
        self.alone = alone
        self.chunks: List[bytes] = []
        self.size_bytes = 0


class Connection(asyncio.Protocol):
    """Frames of one gateway, or of the controller's probe."""

    def __init__(self, service: Service) -> None:
        self.gateway = ""
        self.takes_times = False
        """Whether this gateway wants to hear how long answers took."""
        self.out: List[bytes] = []
        """Frames of the batch that is being delivered."""
        self.writable = asyncio.Event()
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder()
        self._greeted = False
        self._lost = False
        self._transport: asyncio.Transport
        self._handshake_limit: Optional[asyncio.TimerHandle] = None
        self._unfinished: Dict[int, Unfinished] = {}
        self._outgoing: Dict[int, Outgoing] = {}
        self._tasks: Dict[int, asyncio.Task[None]] = {}

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.writable.set()
        self._service.connections.add(self)
        self._handshake_limit = self._loop.call_later(HANDSHAKE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
            if not self._greeted:
                frames = self._greet(frames)
            self._take(frames)
        except ProtocolError as error:
            self._refuse(error)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def connection_lost(self, exc: Optional[Exception]) -> None:  # noqa: ARG002 (the loop's signature)
        self._lost = True
        self.writable.set()
        if self._handshake_limit is not None:
            self._handshake_limit.cancel()
        self._service.batcher.cancel(self)
        for task in self._tasks.values():
            task.cancel()
        for stream in list(self._unfinished):
            self._forget(stream)
        self._service.gone(self)

    # Frames that come

    def _greet(self, frames: List[Frame]) -> List[Frame]:
        if not frames:
            return frames
        order, service = self._service.order, self._service
        hello = frames[0]
        if hello.type != HELLO:
            raise ProtocolError("cannot serve: the first frame must be HELLO")
        meta = unpack_meta(hello.meta)
        version, proof = check_greeting(meta, order.token, order.id, order.package_digest)
        self.gateway = _hex_digits(meta.get("gateway"))
        self.takes_times = meta.get("times") is True
        self._greeted = True
        self._decoder.limit_bytes = FRAME_BYTES_MAX
        if self._handshake_limit is not None:
            self._handshake_limit.cancel()
        answer: Dict[str, Any] = {
            "version": version,
            "replica": order.id,
            "package": order.package_digest,
            "proof": proof,
            "max_in_flight": service.max_in_flight,
            "wants": list(service.servable.wants),
            "batches": service.servable.batches,
        }
        web = getattr(service.servable, "web", None)
        if web is not None:
            answer["web"] = web
        self.send(pack(HELLO, 0, pack_meta(answer)))
        if service.leaving:
            self.say_goodbye()
        return frames[1:]

    def _take(self, frames: List[Frame]) -> None:
        service = self._service
        batcher = service.batcher
        pending = batcher.pending
        full = len(pending) >= PENDING_MAX
        limit = service.order.max_body_bytes
        read = service.metas.read
        now = time.monotonic()
        for frame in frames:
            kind, flags, stream, meta, payload = frame
            if kind == REQUEST and flags == END and len(payload) <= limit and not full:
                pending.append(Request(self, stream, read(meta), payload, 1, None, now))
            else:
                self._other(frame, full)
        if pending:
            service.visited = True
            batcher.wake()

    def _other(self, frame: Frame, full: bool) -> None:
        kind, flags, stream, meta, payload = frame
        if kind == REQUEST:
            self._begin(frame, full)
        elif kind == BODY:
            self._continue(stream, payload, bool(flags & END))
        elif kind == CREDIT:
            outgoing = self._outgoing.get(stream)
            if outgoing is not None:
                outgoing.grant(int.from_bytes(payload, "big"))
        elif kind == CANCEL:
            self._cancel(stream)
        elif kind == PROBE:
            self._service.batcher.probe(lambda error: self._probed(stream, error))
        else:
            raise ProtocolError(f"cannot take a frame of type {kind} from a gateway ({len(meta)} bytes of meta)")

    def _begin(self, frame: Frame, full: bool) -> None:
        _, flags, stream, meta, payload = frame
        if full:
            self._answer(stream, error_answer(503, "queue_full", f"cannot take the request: {PENDING_MAX} wait here"))
            return
        read = self._service.metas.read(meta)
        alone = bool(flags & ALONE)
        if flags & FILE:
            path, _, inode = payload.decode(errors="surrogateescape").partition("\0")
            request = Request(self, stream, read, b"", _attempt(read, alone), path, time.monotonic())
            request.inode = int(inode) if inode else None
            self._admit(request)
            return
        if stream in self._unfinished or len(self._unfinished) >= UNFINISHED_MAX:
            raise ProtocolError(f"cannot take stream {stream}: it is under way, or {UNFINISHED_MAX} others are")
        self._unfinished[stream] = Unfinished(read, alone)
        self._continue(stream, payload, bool(flags & END))

    def _continue(self, stream: int, payload: bytes, last: bool) -> None:
        body = self._unfinished.get(stream)
        if body is None:
            return  # refused or cancelled, and the gateway had not heard of it yet
        size = body.size_bytes + len(payload)
        limit = body.meta.max_body_bytes or self._service.order.max_body_bytes
        if size > limit:
            self._forget(stream)
            refusal = too_large(size, limit)
            self._answer(stream, error_answer(refusal.status, refusal.code, refusal.message))
            return
        body.chunks.append(payload)
        body.size_bytes = size
        if not last:
            self._service.intake.take((self, stream), len(payload))
            return
        del self._unfinished[stream]
        self._service.intake.finish((self, stream), len(payload))
        attempt = _attempt(body.meta, body.alone)
        request = Request(self, stream, body.meta, b"".join(body.chunks), attempt, None, time.monotonic())
        request.held_bytes = size
        self._admit(request)

    def _admit(self, request: Request) -> None:
        self._service.batcher.pending.append(request)

    def _cancel(self, stream: int) -> None:
        task = self._tasks.get(stream)
        if task is not None:
            task.cancel()
        elif stream in self._unfinished:
            self._forget(stream)
            self.end_cancelled(stream)
        else:
            self._service.batcher.cancel(self, stream)

    def _forget(self, stream: int) -> None:
        body = self._unfinished.pop(stream)
        self._service.intake.forget((self, stream), body.size_bytes)

    def _probed(self, stream: int, error: Optional[str]) -> None:
        meta = {"ok": True} if error is None else {"ok": False, "error": error[:MESSAGE_LENGTH_MAX]}
        described = within_limit(self._service.servable.describe()) if error is None else b""
        self.send(pack(PROBED, stream, pack_meta(meta), described))

    # Frames that go

    def send(self, data: bytes) -> None:
        if not self._lost:
            self._transport.write(data)

    def flush(self) -> None:
        """Sends the frames of one batch together."""
        data = b"".join(self.out)
        self.out.clear()
        self.send(data)

    def send_long(self, request: Request, meta: bytes, body: Any) -> None:
        """Sends an answer that takes more than one frame, beside whatever else happens here."""
        if self._lost:
            self.drop_long(body)
            return
        stream = request.stream
        outgoing = Outgoing(self, request)
        if isinstance(body, Parts):
            task = self._loop.create_task(outgoing.send_parts(body, self._service.steps))
        else:
            task = self._loop.create_task(outgoing.send_body(meta, body))
        self._outgoing[stream] = outgoing
        self._tasks[stream] = task
        task.add_done_callback(lambda sent: self._sent(stream, sent))

    def drop_long(self, body: Any) -> None:
        """Ends an answer that nobody waits for any more."""
        if not isinstance(body, Parts):
            return
        if body.asynchronous:
            closing = self._loop.create_task(cast("Any", body.source).aclose())
            self._tasks[-id(body)] = closing
            closing.add_done_callback(lambda _: self._tasks.pop(-id(body), None))
        else:
            self._service.steps.submit(close_generator, body.source)

    def released(self, request: Request) -> None:
        """A body that came in parts is needed no more."""
        self._service.intake.release(request.held_bytes)
        request.held_bytes = 0

    def end_cancelled(self, stream: int) -> None:
        """Ends a stream that the gateway gave up: until it hears so, it counts the stream as in flight."""
        self.send(pack(CANCEL, stream))

    def say_goodbye(self) -> None:
        """Asks the gateway for no new requests. What is in flight is answered; the gateway closes."""
        if self._greeted:
            self.send(pack(GOAWAY, 0))

    def close(self) -> None:
        """Closes after what was written has gone."""
        if not self._lost:
            self._transport.close()

    def _sent(self, stream: int, sent: "asyncio.Task[None]") -> None:
        self._outgoing.pop(stream, None)
        self._tasks.pop(stream, None)
        if sent.cancelled():
            self.end_cancelled(stream)

    def _answer(self, stream: int, answer: Answer) -> None:
        flags, meta, body = answer
        self.send(pack(ANSWER, stream, meta, body, flags))

    def _refuse(self, error: ProtocolError) -> None:
        self.send(pack(GOAWAY, 0, pack_meta({"error": str(error)[:MESSAGE_LENGTH_MAX]})))
        self.close()


def _attempt(meta: Meta, alone: bool) -> int:
    """A queued invocation says which attempt it is; of others only the second is sent alone."""
    return meta.attempt or (2 if alone else 1)


def _hex_digits(gateway: Any) -> str:
    """The prefix of a gateway's request ids; it is printed, so it is nothing but eight hex digits."""
    text = str(gateway)
    return text if len(text) == 8 and all(one in "0123456789abcdef" for one in text) else "0" * 8
