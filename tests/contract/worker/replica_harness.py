"""Real replica and template processes, and a small blocking client that speaks real frames to them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard_worker import frames, handshake, records
from modelyard_worker.frames import END, Decoder, Frame, pack, pack_meta, unpack_meta
from modelyard_worker.stamps import without_stamps

LIMIT_SECONDS = 20.0
"""Nothing here takes longer; a test that waits past it has failed."""

PACKAGE_DIGEST = "d" * 64
TOKEN = "a token of this test alone"
GATEWAY = "0a1b2c3d"


def wait_until(condition: Callable[[], Any], what: str, limit_seconds: float = LIMIT_SECONDS) -> Any:
    """Polls until the condition holds, and returns what it gave."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"{what} did not happen within {limit_seconds} s")


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@dataclass
class Answered:
    """A whole answer, however many frames it took."""

    status: int | None
    meta: dict[str, Any]
    body: bytes
    flags: int
    parts: int = 1

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection to a replica, blocking, without hello until `greet`."""

    def __init__(self, path: str, limit_seconds: float = LIMIT_SECONDS) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(limit_seconds)
        self.socket.connect(path)
        self._decoder = Decoder(frames.FRAME_BYTES_MAX)
        self._kept: list[Frame] = []
        self._stream = 0
        self.hello: dict[str, Any] = {}

    def greet(self, replica: str, changed: dict[str, Any] | None = None) -> Frame:
        greeting = {**handshake.greeting(TOKEN, replica, PACKAGE_DIGEST, GATEWAY), **(changed or {})}
        self.send(pack(frames.HELLO, 0, pack_meta(greeting)))
        answer = self.take()
        if answer.type == frames.HELLO:
            self.hello = unpack_meta(answer.meta)
            assert handshake.check_answer(self.hello, greeting, TOKEN) == 1
        return answer

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def take(self) -> Frame:
        """The next frame. Raises EOFError where the replica has closed."""
        while not self._kept:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            self._kept += self._decoder.feed(data)
        return self._kept.pop(0)

    @property
    def waiting(self) -> int:
        """Frames that came while others were waited for."""
        return len(self._kept)

    def next_stream(self) -> int:
        self._stream += 1
        return self._stream

    def request(self, body: bytes, type: str = "application/json", flags: int = END, **meta: Any) -> int:  # noqa: A002
        """Sends a request, in as many frames as it takes and as the replica grants; returns its stream."""
        stream, credit = self.next_stream(), frames.WINDOW_BYTES
        kind, packed = frames.REQUEST, pack_meta({"type": type, **meta})
        for piece, last in frames.parts(body):
            while credit < len(piece):
                credit += self._take_credit(stream)
            credit -= len(piece)
            self.send(pack(kind, stream, packed, piece, flags if last else flags & ~END))
            kind, packed = frames.BODY, b""
        return stream

    def _take_credit(self, stream: int) -> int:
        passed: list[Frame] = []
        while True:
            frame = self.take()
            if frame.type == frames.CREDIT and frame.stream == stream:
                self._kept = passed + self._kept
                return int.from_bytes(frame.payload, "big")
            passed.append(frame)

    def answers(self, streams: list[int], grant: bool = True) -> dict[int, Answered]:
        """The whole answers of these streams, granting credit for what comes."""
        open_streams, found = set(streams), dict[int, Answered]()
        passed: list[Frame] = []
        while open_streams:
            frame = self.take()
            if frame.stream not in open_streams:
                passed.append(frame)
                continue
            if frame.type == frames.ANSWER:
                meta = unpack_meta(frame.meta)
                found[frame.stream] = Answered(meta.get("status"), meta, frame.payload, frame.flags)
            elif frame.type == frames.BODY:
                answer = found[frame.stream]
                answer.body += frame.payload
                answer.parts += 1
            elif frame.type == frames.CANCEL:
                answer = found.setdefault(frame.stream, Answered(None, {}, b"", 0))
                answer.meta = {**answer.meta, **unpack_meta(frame.meta)}
                answer.flags |= frames.ERROR
            else:
                continue
            if grant and frame.payload and not frame.flags & END:
                self.send(pack(frames.CREDIT, frame.stream, payload=len(frame.payload).to_bytes(4, "big")))
            if frame.flags & END or frame.type == frames.CANCEL:
                open_streams.discard(frame.stream)
        self._kept = passed + self._kept
        return found

    def ask(self, body: Any, type: str = "application/json", flags: int = END, **meta: Any) -> Answered:  # noqa: A002
        """One request and its answer; what is not bytes is sent as JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        stream = self.request(sent, type, flags, **meta)
        return self.answers([stream])[stream]

    def ask_together(self, bodies: list[bytes], type: str = "application/json", **meta: Any) -> list[Answered]:  # noqa: A002
        """Requests that arrive in one write, and their answers in the same order."""
        streams = [self.next_stream() for _ in bodies]
        packed = pack_meta({"type": type, **meta})
        pairs = zip(streams, bodies, strict=True)
        self.send(b"".join(pack(frames.REQUEST, stream, packed, body, END) for stream, body in pairs))
        found = self.answers(streams)
        return [found[stream] for stream in streams]

    def probe(self) -> dict[str, Any]:
        return unpack_meta(self._probed().meta)

    def describe(self) -> dict[str, Any]:
        """What the replica says with its probe that it serves."""
        return json.loads(self._probed().payload)

    def _probed(self) -> Frame:
        stream = self.next_stream()
        self.send(pack(frames.PROBE, stream))
        while True:
            frame = self.take()
            if frame.type == frames.PROBED and frame.stream == stream:
                return frame

    def close(self) -> None:
        self.socket.close()


@dataclass
class Replica:
    """A replica's process and folder."""

    id: str
    folder: Path
    socket: str
    process: subprocess.Popen[bytes] | None = None
    clients: list[Client] = field(default_factory=list[Client])

    def connect(self, greet: bool = True) -> Client:
        wait_until(lambda: Path(self.socket).exists() or self.exit, f"{self.socket} being there")
        assert not self.exit, f"{self.exit}\n{self.output}"
        client = Client(self.socket)
        self.clients.append(client)
        if greet:
            client.greet(self.id)
        return client

    def tell_to_leave(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    @property
    def pid(self) -> int:
        identity = wait_until(lambda: records.read_identity(str(self.folder)), "process.json being written")
        return identity.pid

    @property
    def exit(self) -> dict[str, Any] | None:
        return records.read_json(str(self.folder / records.EXIT))

    @property
    def output(self) -> str:
        """What it printed, without stamps."""
        return without_stamps(self.stamped_output)

    @property
    def stamped_output(self) -> str:
        path = self.folder / records.OUTPUT
        return path.read_text() if path.exists() else ""

    def wait_for_exit(self) -> dict[str, Any]:
        return wait_until(lambda: self.exit, "the exit record being written")

    def end(self) -> None:
        for client in self.clients:
            client.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Place:
    """A short folder where packages, orders and sockets of one test are."""

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self.root = root
        self.python = python
        self._count = 0
        self._replicas: list[Replica] = []

    def close(self) -> None:
        for replica in self._replicas:
            replica.end()

    def package(
        self,
        code: str | None = None,
        *,
        model: Path | None = None,
        framework: str | None = None,
        libraries: tuple[str, ...] = (),
        class_name: str | None = None,
        config: dict[str, Any] | None = None,
        python_path: str | None = None,
        **predictor: Any,
    ) -> Path:
        """A package's folder. `code` is the text of predictor.py; `model` a file that is moved into it; `predictor`
        more of what the package says of it."""
        folder = self._new("package")
        (folder / "code").mkdir()
        (folder / "model").mkdir()
        if code is not None:
            (folder / "code" / "predictor.py").write_text(code)
        if model is not None:
            model.rename(folder / "model" / model.name)
        document = {
            "format": 1,
            "predictor": {
                "path": "predictor.py",
                "class": class_name,
                "config": config or {},
                "python_path": python_path,
                **predictor,
            }
            if code is not None
            else None,
            "model": {"name": "m", "version": 1, "framework": framework, "file": model.name} if model else None,
            "libraries": list(libraries),
        }
        (folder / "package.json").write_text(json.dumps(document))
        return folder

    def replica_folder(self, package: Path, **order: Any) -> Replica:
        """An order for a replica that nobody has started yet."""
        folder = self._new("replica")
        path = str(self.root / f"{folder.name}.sock")
        document = {
            "id": folder.name,
            "endpoint": "price",
            "version": 7,
            "package": str(package),
            "package_digest": PACKAGE_DIGEST,
            "socket": path,
            "token": TOKEN,
            **order,
        }
        (folder / "order.json").write_text(json.dumps(document))
        replica = Replica(folder.name, folder, path)
        self._replicas.append(replica)
        return replica

    @contextmanager
    def replica(self, package: Path, **order: Any) -> Generator[Replica]:
        """A replica in a fresh process."""
        replica = self.replica_folder(package, **order)
        replica.process = self._start("replica", replica.folder)
        try:
            yield replica
        finally:
            replica.end()

    @contextmanager
    def template(self, **order: Any) -> Generator["Template"]:
        folder = self._new("template")
        path = str(self.root / f"{folder.name}.sock")
        (folder / "order.json").write_text(json.dumps({"id": folder.name, "socket": path, "token": TOKEN, **order}))
        process = self._start("template", folder)
        template = Template(self, folder, path, process)
        try:
            wait_until(lambda: (folder / "process.json").exists() or process.poll() is not None, "the template")
            yield template
        finally:
            template.end()

    def template_folder(self, package: Path) -> tuple[Path, str]:
        """An order for a template below another."""
        folder = self._new("template")
        path = str(self.root / f"{folder.name}.sock")
        order = {"id": folder.name, "socket": path, "token": TOKEN, "package": str(package)}
        (folder / "order.json").write_text(json.dumps(order))
        return folder, path

    def _start(self, kind: str, folder: Path) -> subprocess.Popen[bytes]:
        with (folder / "output.log").open("ab") as output:
            return subprocess.Popen(
                [self.python, "-m", "modelyard_worker", kind, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _new(self, kind: str) -> Path:
        self._count += 1
        folder = self.root / f"{kind}{self._count}"
        folder.mkdir()
        return folder


@contextmanager
def a_place(python: str = sys.executable) -> Generator[Place]:
    # Not under pytest's folders: the path of a Unix socket has at most 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="yard-"))
    made = Place(root, python)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(root, ignore_errors=True)


@dataclass
class Template:
    """A template's process, or one that was forked below it."""

    place: Place
    folder: Path
    socket: str
    process: subprocess.Popen[bytes] | None
    forked: list[int] = field(default_factory=list[int])

    def command(self, do: str, token: str = TOKEN, **arguments: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(LIMIT_SECONDS)
            client.connect(self.socket)
            client.sendall(json.dumps({"do": do, "token": token, **arguments}).encode() + b"\n")
            return json.loads(client.makefile("rb").readline())

    def fork(self, replica: Replica, **arguments: Any) -> dict[str, Any]:
        answer = self.command("fork", folder=str(replica.folder), **arguments)
        if answer["ok"]:
            self.forked.append(answer["pid"])
        return answer

    @contextmanager
    def replica(self, place: Place, package: Path, **order: Any) -> Generator[Replica]:
        """A forked replica whose files are in `place`."""
        replica = place.replica_folder(package, **order)
        answer = self.fork(replica)
        assert answer["ok"], answer
        try:
            yield replica
        finally:
            replica.end()
            kill(answer["pid"])

    def fork_template(self, package: Path) -> "Template":
        folder, path = self.place.template_folder(package)
        answer = self.command("fork_template", folder=str(folder))
        assert answer["ok"], answer
        self.forked.append(answer["pid"])
        below = Template(self.place, folder, path, None, self.forked)
        wait_until(lambda: (folder / "process.json").exists() or (folder / "exit.json").exists(), "the template below")
        return below

    def end(self) -> None:
        for pid in self.forked:
            kill(pid)
        if self.process is not None:
            self.process.kill()
            self.process.wait()
