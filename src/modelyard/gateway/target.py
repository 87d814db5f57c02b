"""One replica as the gateway sees it: a connection that carries many requests at once.

Frames that become due in one turn of the loop are written together. A stream stays counted as in flight until the
replica has ended it, even when its client is gone: the replica is still busy with it.
"""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from modelyard_worker import frames
from modelyard_worker.frames import Frame, ProtocolError
from modelyard_worker.handshake import HANDSHAKE_SECONDS, check_answer, greeting

from modelyard.errors import NotFound
from modelyard.gateway.asked_model import AskedModel, asked_model
from modelyard.gateway.pace import AHEAD_MAX, SLOW_SECONDS, Pace
from modelyard.gateway.upstream import Pool
from modelyard.protocol.routes import ASYNC_BODY_BYTES_MAX
from modelyard.protocol.table import ReplicaAddress

if TYPE_CHECKING:
    from modelyard.gateway.prediction import Prediction
    from modelyard.gateway.service import Service
    from modelyard.gateway.visit import Visit

RECONNECT_SECONDS_FIRST = 0.02
RECONNECT_SECONDS_MAX = 1.0
METAS_MAX = 512
"""Packed metas that are kept for use again; a client that makes up content types must not fill memory."""

_NO_MODEL = AskedModel(None, None)

_pack_header = frames.HEADER.pack
_times_of = frames.TIMES.unpack_from


class _Upload:
    """A body on its way to the replica, as far as credit goes."""

    __slots__ = ("body", "credit", "sent")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.sent = 0
        self.credit = frames.WINDOW_BYTES


class Target(asyncio.Protocol):
    def __init__(self, address: ReplicaAddress, service: "Service", gateway_id: str) -> None:
        self.address = address
        self.service = service
        self.figures = service.figures_of(address.version)
        self.in_flight = 0
        """Predictions and visits that it holds."""
        self.visits: set[Visit] = set()
        self.capacity = 0
        """Most that it is sent at the same time; at least what it `stated`."""
        self.stated = 0
        self.batches = False
        self.connected = False
        self.leaving = False
        """It takes no more requests; closes when the last is answered."""
        self._gateway_id = gateway_id
        self._transport: asyncio.WriteTransport | None = None
        self._greeted: dict[str, Any] = {}
        self._decoder = frames.Decoder()
        self._streams: dict[int, Prediction | None] = {}
        self._uploads: dict[int, _Upload] = {}
        self._overdue: dict[int, float] = {}
        self._out: list[bytes] = []
        self._tracer = service.tracer
        self._pace: Pace | None = None
        """Where it takes requests one by one, and nobody said how many it may hold."""
        self._varies = True
        """Whether what the replica needs to know differs from request to request."""
        self._wants_headers = False
        self._wants_query = False
        self._wants_path = False
        self._pool: Pool | None = None
        self._wants_model = False
        self._metas: dict[tuple[bytes | None, ...], bytes] = {}
        self._loop = asyncio.get_running_loop()
        self._connecting: asyncio.Task[None] | None = None
        self._handshake_limit: asyncio.TimerHandle | None = None

    # -- connection --------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        """Tries until it connects or leaves: the controller has seen this replica ready."""
        pause = RECONNECT_SECONDS_FIRST
        while not self.leaving:
            try:
                await self._loop.create_unix_connection(lambda: self, self.address.socket)
            except OSError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_SECONDS_MAX)
            else:
                return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports share no base class with asyncio's.
        self._transport = stream = cast("asyncio.WriteTransport", transport)
        self._decoder = frames.Decoder()
        self._greeted = greeting(self.address.token, self.address.id, self.address.package, self._gateway_id)
        self._handshake_limit = self._loop.call_later(HANDSHAKE_SECONDS, stream.abort)
        stream.write(frames.pack(frames.HELLO, 0, frames.pack_meta({**self._greeted, "times": True})))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._handshake_limit is not None:
            self._handshake_limit.cancel()
        was_leaving = self.leaving
        self.connected = False
        self._transport = None
        orphans = [prediction for prediction in self._streams.values() if prediction is not None]
        self._streams.clear()
        self._uploads.clear()
        self._overdue.clear()
        self._out.clear()
        self.in_flight = len(self.visits)
        self.service.target_lost(self, orphans)
        if not was_leaving:
            self.connect()

    def leave(self) -> None:
        """No more requests; closes when those it holds are answered."""
        self.leaving = True
        if self._connecting is not None and self._transport is None:
            self._connecting.cancel()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.leaving and not self._streams and not self.visits:
            if self._pool is not None:
                self._pool.close()
            if self._transport is not None:
                self._transport.close()

    # -- visits of an app --------------------------------------------------------------------------------------------

    @property
    def pool(self) -> Pool:
        """Connections to its own web server."""
        if self._pool is None:
            raise ProtocolError(f"cannot visit replica {self.address.id}: it serves no app")
        return self._pool

    def take_in(self, visit: "Visit") -> None:
        self.visits.add(visit)
        self.in_flight += 1
        visit.begin(self)

    def let_go(self, visit: "Visit") -> None:
        if visit in self.visits:
            self.visits.discard(visit)
            self.in_flight -= 1
            self._close_if_done()
            self.service.visit_ended(self)

    # -- towards the replica -----------------------------------------------------------------------------------------

    def send(self, prediction: "Prediction") -> None:
        """Sends a request. The caller has checked that there is room."""
        if prediction.path is not None and not self._wants_path:
            prediction.fail(NotFound(f"cannot answer: endpoint {self.service.name} serves no web application"))
            return
        stream = prediction.stream
        self._streams[stream] = prediction
        self.in_flight += 1
        prediction.target = self
        meta = self._meta_of(prediction)
        body = prediction.body
        flags = frames.ALONE if prediction.attempt > 1 else 0
        if prediction.is_kept:
            flags |= frames.FILE
        if not self._out:
            self._loop.call_soon(self._flush)
        if len(body) <= frames.CHUNK_BYTES:
            size = len(meta) + len(body)
            self._out.append(_pack_header(size, frames.REQUEST, flags | frames.END, len(meta), stream) + meta + body)
            return
        first = body[: frames.CHUNK_BYTES]
        self._out.append(frames.pack(frames.REQUEST, stream, meta, first, flags))
        upload = self._uploads[stream] = _Upload(body)
        upload.sent = len(first)
        upload.credit -= len(first)
        self._go_on_with(stream, upload)

    def _go_on_with(self, stream: int, upload: _Upload) -> None:
        total = len(upload.body)
        while upload.sent < total and upload.credit > 0:
            part = upload.body[upload.sent : upload.sent + min(frames.CHUNK_BYTES, upload.credit)]
            upload.sent += len(part)
            upload.credit -= len(part)
            done = upload.sent >= total
            self._write(frames.pack(frames.BODY, stream, payload=part, flags=frames.END if done else 0))
        if upload.sent >= total:
            self._uploads.pop(stream, None)

    def cancel(self, stream: int, *, overdue: bool) -> None:
        """Nobody waits for this answer any more. `overdue` starts the watch for a call that never ends."""
        if stream not in self._streams:
            return
        self._streams[stream] = None
        self._uploads.pop(stream, None)
        if overdue:
            self._overdue[stream] = self._loop.time()
        self._write(frames.pack(frames.CANCEL, stream))

    def credit(self, stream: int, size: int) -> None:
        """The client has taken so many bytes of a streamed answer."""
        if self._streams.get(stream) is not None:
            self._write(frames.pack(frames.CREDIT, stream, payload=size.to_bytes(4, "big")))

    def overdue_seconds(self, now: float) -> float:
        """For how long the oldest call has gone on past its deadline; 0 where none has."""
        return now - min(self._overdue.values()) if self._overdue else 0.0

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))

    def _meta_of(self, prediction: "Prediction") -> bytes:
        """What the replica needs to know beside the body. The commonest is the same bytes each time."""
        plain = prediction.given_id is None and prediction.terms is None
        asked = asked_model(prediction.headers, prediction.query) if self._wants_model else _NO_MODEL
        if plain and not self._varies and not (self._wants_query and prediction.query):
            key = (prediction.content_type, prediction.accept, *asked)
            meta = self._metas.get(key)
            if meta is None:
                meta = frames.pack_meta(_plain_meta(prediction) | _model_meta(asked))
                if len(self._metas) >= METAS_MAX:
                    self._metas.clear()
                self._metas[key] = meta
            return meta
        fields = _plain_meta(prediction) | _model_meta(asked)
        if prediction.terms is not None:
            fields["attempt"] = prediction.attempt
            fields["max_body_bytes"] = ASYNC_BODY_BYTES_MAX
        if prediction.given_id is not None:
            fields["id"] = prediction.given_id.decode("latin-1")
        if self._wants_query and prediction.query:
            fields["query"] = prediction.query.decode("latin-1")
        if self._wants_headers:
            fields["headers"] = [
                [name.decode("latin-1"), value.decode("latin-1")] for name, value in prediction.headers
            ]
        if self._tracer is not None:
            _add_trace(fields, self._tracer.trace_of(prediction).traceparent)
        if prediction.path is not None:
            fields["method"] = prediction.method.decode("latin-1")
            fields["path"] = prediction.path.decode("latin-1")
        return frames.pack_meta(fields)

    # -- from the replica --------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        try:
            received = self._decoder.feed(data)
            if received and not self.connected:
                self._shake_hands(received.pop(0))
            for frame in received:
                if frame.type == frames.ANSWER and frame.flags & frames.END:
                    self._end(frame)
                else:
                    self._take(frame)
        except ProtocolError as error:
            self.service.note(f"replica {self.address.id}: {error}")
            if self._transport is not None:
                self._transport.abort()
            return
        if self.service.queue:
            self.service.drain()
        if self.leaving:
            self._close_if_done()

    def _shake_hands(self, frame: Frame) -> None:
        meta = frames.unpack_meta(frame.meta)
        if frame.type != frames.HELLO:
            raise ProtocolError(str(meta.get("error") or "cannot use this replica: it did not greet"))
        check_answer(meta, self._greeted, self.address.token)
        wants = meta.get("wants") or ()
        self._wants_headers = "headers" in wants
        self._varies = self._wants_headers or self._tracer is not None
        self._wants_query = "query" in wants
        self._wants_model = "model" in wants
        self._wants_path = self.service.is_web_app = "path" in wants
        self._metas.clear()
        self._decoder.limit_bytes = frames.FRAME_BYTES_MAX
        given = self.service.entry.max_in_flight
        self.capacity = self.stated = max(1, given or int(meta.get("max_in_flight") or 1))
        self.batches = bool(meta.get("batches"))
        self._pace = None if given or self.batches or self.stated >= AHEAD_MAX else Pace(self.stated)
        web = meta.get("web")
        if self._pool is None and web:
            self._pool = Pool(str(web))
        self.connected = True
        if self._handshake_limit is not None:
            self._handshake_limit.cancel()
        self.service.target_ready(self)

    def _end(self, frame: Frame) -> None:
        if self._pace is not None and frame.flags & frames.TIMED:
            self.capacity = self._pace.after(_times_of(frame.meta)[1] * 1e-6)
        prediction = self._forget(frame.stream)
        if prediction is not None:
            prediction.answer(frame, self.address.version)

    def _forget(self, stream: int) -> "Prediction | None":
        if stream not in self._streams:
            return None
        self.in_flight -= 1
        self._uploads.pop(stream, None)
        if self._overdue:
            self._overdue.pop(stream, None)
        return self._streams.pop(stream)

    def _take(self, frame: Frame) -> None:
        """The rarer frames."""
        kind, stream = frame.type, frame.stream
        if kind == frames.ANSWER:
            if self._pace is not None:
                # How long its parts go on nobody knows.
                self.capacity = self._pace.after(SLOW_SECONDS)
            prediction = self._streams.get(stream)
            if prediction is not None:
                prediction.begin(frame, self.address.version)
        elif kind == frames.BODY:
            ended = bool(frame.flags & frames.END)
            prediction = self._forget(stream) if ended else self._streams.get(stream)
            if prediction is not None:
                prediction.go_on(frame.payload, ended=ended)
        elif kind == frames.CREDIT:
            upload = self._uploads.get(stream)
            if upload is not None:
                upload.credit += int.from_bytes(frame.payload, "big")
                self._go_on_with(stream, upload)
        elif kind == frames.CANCEL:
            prediction = self._forget(stream)
            if prediction is not None:
                prediction.break_off()
        elif kind == frames.GOAWAY:
            self.leaving = True
            self.service.target_leaves(self)
        else:
            raise ProtocolError(f"cannot take a frame of type {kind} from a replica")


def _add_trace(fields: dict[str, Any], traceparent: str) -> None:
    """The predictor's parent is the call, not whoever called the gateway."""
    fields["traceparent"] = traceparent
    if "headers" in fields:
        others = [one for one in fields["headers"] if one[0] != "traceparent"]
        fields["headers"] = [*others, ["traceparent", traceparent]]


def _model_meta(asked: AskedModel) -> dict[str, Any]:
    return {name: value.decode("latin-1") for name, value in asked._asdict().items() if value is not None}


def _plain_meta(prediction: "Prediction") -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if prediction.content_type is not None:
        fields["type"] = prediction.content_type.decode("latin-1")
    if prediction.accept is not None:
        fields["accept"] = prediction.accept.decode("latin-1")
    return fields
