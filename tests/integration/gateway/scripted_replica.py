"""A replica that does what a test says, speaking real frames on a real socket."""

import contextlib
import queue
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path

from modelyard_worker import frames
from modelyard_worker.frames import Frame
from modelyard_worker.handshake import check_greeting

from modelyard.protocol.table import ReplicaAddress

LIMIT_SECONDS = 10.0


@dataclass
class Request:
    stream: int
    flags: int
    meta: dict
    body: bytes
    credits: int = 0


@dataclass
class ScriptedReplica:
    """Listens on its own thread. Requests that are complete come out of `next_request`; answers are sent by hand."""

    folder: Path
    name: str = "r1"
    version: int = 1
    max_in_flight: int = 2
    wants: tuple[str, ...] = ()
    web: str | None = None
    """Where the web server of an app listens."""
    token: str = "t" * 64
    grants_credit: bool = True
    cancelled: queue.Queue[int] = field(default_factory=queue.Queue)
    goodbyes: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.path = self.folder / f"{self.name}.s"
        self._requests: queue.Queue[Request] = queue.Queue()
        self._open: dict[int, Request] = {}
        self._connection: socket.socket | None = None
        self.credit: dict[int, int] = {}
        self.greeted = threading.Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> ReplicaAddress:
        return ReplicaAddress(self.name, self.version, str(self.path), "t" * 64, "p" * 64)

    def next_request(self) -> Request:
        return self._requests.get(timeout=LIMIT_SECONDS)

    def waiting(self) -> int:
        return self._requests.qsize()

    def answer(self, request: Request, body: bytes, status: int = 200, content_type: str = "application/json") -> None:
        meta = frames.pack_meta({"status": status, "type": content_type})
        self.send(frames.pack(frames.ANSWER, request.stream, meta, body, frames.END))

    def fail(self, request: Request, code: str, message: str, status: int) -> None:
        meta = frames.pack_meta({"status": status, "error": code, "message": message})
        self.send(frames.pack(frames.ANSWER, request.stream, meta, b"", frames.END | frames.ERROR))

    def send(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(data)

    def die(self) -> None:
        """As a killed process: the connection closes and nobody listens any more."""
        self.path.unlink(missing_ok=True)
        for one in (self._listening, self._connection):
            if one is not None:
                # Closing alone would not wake the thread that waits on it.
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        if threading.current_thread() is not self._thread:
            self._thread.join(LIMIT_SECONDS)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self._connection = connection
                with connection:
                    self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        decoder = frames.Decoder(frames.FRAME_BYTES_MAX)
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 20):
                for frame in decoder.feed(data):
                    self._take(frame)
        self.goodbyes.set()

    def _take(self, frame: Frame) -> None:
        if frame.type == frames.HELLO:
            version, proved = check_greeting(frames.unpack_meta(frame.meta), "t" * 64, self.name, "p" * 64)
            hello = {
                "version": version,
                "replica": self.name,
                "package": "p" * 64,
                "proof": proved if self.token == "t" * 64 else "0" * 64,
                "max_in_flight": self.max_in_flight,
                "wants": list(self.wants),
                "batches": True,
                "web": self.web,
            }
            self.send(frames.pack(frames.HELLO, 0, frames.pack_meta(hello)))
            self.greeted.set()
        elif frame.type == frames.REQUEST:
            request = Request(frame.stream, frame.flags, frames.unpack_meta(frame.meta), frame.payload)
            if frame.flags & frames.END:
                self._requests.put(request)
            else:
                self._open[frame.stream] = request
        elif frame.type == frames.BODY:
            request = self._open[frame.stream]
            request.body += frame.payload
            if self.grants_credit:
                self.grant(frame.stream, len(frame.payload))
            if frame.flags & frames.END:
                self._requests.put(self._open.pop(frame.stream))
        elif frame.type == frames.CREDIT:
            self.credit[frame.stream] = self.credit.get(frame.stream, 0) + int.from_bytes(frame.payload, "big")
        elif frame.type == frames.CANCEL:
            self.cancelled.put(frame.stream)

    def say_goodbye(self) -> None:
        self.send(frames.pack(frames.GOAWAY, 0))

    def grant(self, stream: int, size: int) -> None:
        self.send(frames.pack(frames.CREDIT, stream, payload=size.to_bytes(4, "big")))

    def received_bytes(self, stream: int) -> int:
        return len(self._open[stream].body) if stream in self._open else 0
