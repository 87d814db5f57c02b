"""`python -m modelyard_worker.serve FOLDER`: serves one package over HTTP, in SageMaker's container contract.

For a package on its own, without a yard: in a container, or anywhere else that runs one process on one port.

    GET  /ping          200 once the model is loaded and has proved that it predicts; nothing listens before
    POST /invocations   one prediction, read and answered as the yard does; generators are streamed in chunks
    SIGTERM             takes nothing new, finishes what it holds within DRAIN_SECONDS, ends with 0

Requests are read by threads of the standard library's server and predicted by the same batcher as in a replica: `ping`
is answered while a prediction runs, and what arrives meanwhile is the next batch. Settings are SageMaker's variables:
SAGEMAKER_BIND_TO_PORT, SAGEMAKER_MAX_PAYLOAD_IN_MB, SAGEMAKER_MODEL_SERVER_TIMEOUT.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from modelyard_worker import numeric
from modelyard_worker.answers import Parts
from modelyard_worker.batching import Batcher, report, start, summary
from modelyard_worker.frames import ERROR, HEADER, pack_meta, unpack_meta
from modelyard_worker.packages import read_package
from modelyard_worker.predictor import load_servable
from modelyard_worker.request import Request, read_meta
from modelyard_worker.servable import Serving

PORT = 8080
BODY_BYTES_MAX = 6 * 2**20
"""SageMaker's limit for one invocation."""

ANSWER_SECONDS = 60.0
"""SageMaker's limit for one answer."""

DRAIN_SECONDS = 25.0
"""SageMaker kills 30 s after SIGTERM."""

IN_FLIGHT_MAX = 256
"""Requests that are read, wait or are predicted at the same time; beyond it 503."""

IDLE_SECONDS = 75.0
"""How long a connection may say nothing."""

BATCH_SIZE_MAX = 32

Answered = Tuple[Dict[str, Any], Any]
"""What an answer's meta says, and its body: bytes, or Parts."""


class Settings(NamedTuple):
    host: str
    port: int
    max_body_bytes: int
    answer_seconds: float
    threads: int


class Asked:
    """One request on its way through the batcher, which takes it for the connection that it came on."""

    gateway = "00000000"

    takes_times = False
    """Nobody counts the times of its answers."""

    def __init__(self) -> None:
        self.answer: Future[Answered] = Future()
        self.out: List[bytes] = []

    def flush(self) -> None:
        """A whole answer: the frame's header, its meta and its body."""
        header, meta, body = self.out
        found = unpack_meta(meta)
        failed = bool(HEADER.unpack(header)[2] & ERROR)
        self._give(found if found.get("status") else {**found, "status": 400 if failed else 200}, body, failed)

    def send_long(self, request: Request, meta: bytes, body: Any) -> None:  # noqa: ARG002 (the batcher's signature)
        self._give(unpack_meta(meta) if meta else {}, body, failed=False)

    def drop_long(self, body: Any) -> None:
        """Nothing is cancelled here, so nothing is dropped."""

    def released(self, request: Request) -> None:
        request.held_bytes = 0

    def _give(self, meta: Dict[str, Any], body: Any, failed: bool) -> None:
        if not self.answer.done():
            self.answer.set_result((meta, _error_body(meta) if failed else body))


def _error_body(meta: Mapping[str, Any]) -> bytes:
    error = {"code": meta.get("error"), "message": meta.get("message")}
    return json.dumps({"error": error}).encode()


class Front:
    """What the server's threads need of the loop that predicts."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop, batcher: Batcher) -> None:
        self.settings = settings
        self.loop = loop
        self.room = threading.BoundedSemaphore(IN_FLIGHT_MAX)
        self.leaving = threading.Event()
        self._batcher = batcher
        self._streams = count(1)

    def ask(self, meta: bytes, body: bytes) -> Answered:
        """Waits for the answer. Raises TimeoutError of `concurrent.futures` beyond the limit."""
        asked = Asked()
        request = Request(asked, next(self._streams), read_meta(meta), body)

        def put() -> None:
            self._batcher.pending.append(request)
            self._batcher.wake()

        self.loop.call_soon_threadsafe(put)
        return asked.answer.result(self.settings.answer_seconds)

    def parts(self, parts: Parts) -> Iterator[Any]:
        """A generator's parts; those of an asynchronous one are made on the loop."""
        if not parts.asynchronous:
            yield from parts.source  # pyright: ignore[reportGeneralTypeIssues, reportReturnType] (not asynchronous)
            return
        source: Any = parts.source
        try:
            while True:
                try:
                    yield asyncio.run_coroutine_threadsafe(_next(source), self.loop).result()
                except StopAsyncIteration:
                    return
        finally:
            asyncio.run_coroutine_threadsafe(source.aclose(), self.loop).result()


async def _next(source: Any) -> Any:
    return await source.__anext__()


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server_version = "modelyard"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    front: Front

    def do_GET(self) -> None:
        if self._path() == "/ping":
            self._send(200, b"", "text/plain")
        elif self._path() == "/invocations":
            self._refuse(405, "invalid_value", "cannot GET /invocations: it takes POST")
        else:
            self._refuse(404, "not_found", f"cannot find {self._path()}: there are /ping and /invocations")

    def do_POST(self) -> None:
        if self._path() != "/invocations":
            self.close_connection = True
            self._refuse(404, "not_found", f"cannot POST {self._path()}: predictions go to /invocations")
            return
        if not self.front.room.acquire(blocking=False):
            self.close_connection = True
            self._refuse(503, "queue_full", f"cannot take the request: {IN_FLIGHT_MAX} are here")
            return
        try:
            body = self._read_body()
            if body is not None:
                self._predict(body)
        finally:
            self.front.room.release()

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _read_body(self) -> Optional[bytes]:
        """The whole body; None where it was refused. What is not read ends the connection."""
        limit = self.front.settings.max_body_bytes
        length = self.headers.get("content-length", "")
        if self.headers.get("transfer-encoding") or not (length.isascii() and length.isdigit()):
            self.close_connection = True
            self._refuse(411, "invalid_value", "cannot read a body without its Content-Length")
            return None
        if int(length) > limit:
            self.close_connection = True
            self._refuse(413, "too_large", f"cannot take a body of {length} bytes: the limit is {limit}")
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _predict(self, body: bytes) -> None:
        try:
            meta, answer = self.front.ask(self._meta(), body)
        except FutureTimeoutError:
            limit = self.front.settings.answer_seconds
            self._refuse(504, "deadline_passed", f"cannot answer: the prediction took longer than {limit:g} s")
            return
        if isinstance(answer, Parts):
            self._stream(answer)
            return
        kind = "application/json" if "error" in meta else str(meta.get("type") or "application/octet-stream")
        self._send(int(meta["status"]), answer, kind, meta.get("headers") or ())

    def _meta(self) -> bytes:
        return pack_meta(
            {
                "type": self.headers.get("content-type", ""),
                "accept": self.headers.get("accept", ""),
                "headers": [[name.lower(), value] for name, value in self.headers.items()],
                "query": self.path.partition("?")[2],
            }
        )

    def _stream(self, answer: Parts) -> None:
        """Parts as chunks. What the predictor raises is an error where nothing was sent, else breaks the answer off."""
        begun = False
        try:
            for part in self.front.parts(answer):
                if not begun:
                    self._begin_stream(answer, part)
                    begun = True
                self._chunk(answer.write(part))
            if not begun:
                self._begin_stream(answer, None)
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:
            self.close_connection = True
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
            report("the predictor raised while it answered", error)
            self.close_connection = True
            if not begun:
                self._refuse(getattr(error, "status", 500), getattr(error, "code", "predictor_failed"), summary(error))

    def _begin_stream(self, answer: Parts, first: Any) -> None:
        meta = unpack_meta(answer.meta(first))
        self.send_response(int(meta["status"]))
        self.send_header("Content-Type", str(meta["type"]))
        for name, value in meta.get("headers") or ():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._send(status, _error_body({"error": code, "message": message}), "application/json")

    def _send(self, status: int, body: bytes, kind: str, headers: Any = ()) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or self.front.leaving.is_set():
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its base's)
        """Every request in the log would drown what the predictor prints."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 (its base's)
        """A client that went away is no error of ours."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, (ConnectionError, TimeoutError)):
            report(f"a request from {client_address[0]} failed", error)


def serve(folder: str, settings: Settings) -> int:
    """Serves the package in `folder` until SIGTERM; returns the exit code."""
    numeric.allow_threads(settings.threads)
    try:
        servable = load_servable(read_package(folder), Serving("package", 1), settings.threads)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (importing the user's code raises what it likes)
        report(f"cannot serve the package in {folder}", error)
        return 1
    return asyncio.run(_serve(servable, settings))


async def _serve(servable: Any, settings: Settings) -> int:
    loop = asyncio.get_running_loop()
    batcher = start(servable, BATCH_SIZE_MAX, 1, None, settings.max_body_bytes)
    proved: asyncio.Future[Optional[str]] = loop.create_future()
    batcher.probe(proved.set_result)
    failure = await proved
    if failure is not None:
        print(f"cannot serve the package: {failure}", file=sys.stderr)
        return 1
    front = Front(settings, loop, batcher)
    server = Server((settings.host, settings.port), type("BoundHandler", (Handler,), {"front": front}))
    threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    print(f"serving on port {server.server_address[1]}", file=sys.stderr, flush=True)
    await _told_to_leave(loop)
    front.leaving.set()
    await loop.run_in_executor(None, server.shutdown)
    server.server_close()
    await _drained(front)
    batcher.close()
    return 0


async def _told_to_leave(loop: asyncio.AbstractEventLoop) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()


async def _drained(front: Front) -> None:
    """Until every request that is here has its answer, at most DRAIN_SECONDS."""
    limit = front.loop.time() + DRAIN_SECONDS
    taken = 0
    while taken < IN_FLIGHT_MAX and front.loop.time() < limit:
        while front.room.acquire(blocking=False):
            taken += 1
        await asyncio.sleep(0.02)


def settings_from(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises ValueError for a variable that is not a number."""
    payload = environment.get("SAGEMAKER_MAX_PAYLOAD_IN_MB")
    return Settings(
        host=arguments.host,
        port=arguments.port if arguments.port is not None else int(environment.get("SAGEMAKER_BIND_TO_PORT") or PORT),
        max_body_bytes=int(payload) * 2**20 if payload else BODY_BYTES_MAX,
        answer_seconds=float(environment.get("SAGEMAKER_MODEL_SERVER_TIMEOUT") or ANSWER_SECONDS),
        threads=arguments.threads or os.cpu_count() or 1,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard_worker.serve", description="Serves one package over HTTP.")
    parser.add_argument("folder", help="the package: package.json, code/, model/")
    parser.add_argument("command", nargs="?", choices=["serve"], help="what SageMaker says to a container")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 (a container has no other address to be reached by)
    parser.add_argument("--port", type=int)
    parser.add_argument("--threads", type=int, help="threads that one call of the model may use; default all cores")
    arguments = parser.parse_args()
    return serve(os.path.abspath(arguments.folder), settings_from(arguments, os.environ))


if __name__ == "__main__":
    sys.exit(main())
