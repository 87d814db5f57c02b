"""Lambda's Runtime API, for functions whose handler another program calls: awslambdaric, or a `bootstrap` of one's own.

The replica starts the program and serves it, on a port of the loopback that its environment names in
AWS_LAMBDA_RUNTIME_API:

    GET  /2018-06-01/runtime/invocation/next            waits for an event; headers name it and its deadline
    POST /2018-06-01/runtime/invocation/ID/response     the result; 202
    POST /2018-06-01/runtime/invocation/ID/error        what the handler raised; 202
    POST /2018-06-01/runtime/init/error                 it cannot begin; 202

The program is ready with its first `next`. It has one event at a time. One that does not answer within the function's
`timeout` is killed, and the next event finds a new one.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, cast

from modelyard_worker import media
from modelyard_worker.answers import answer_meta
from modelyard_worker.frames import END
from modelyard_worker.handler import FUNCTION_ERROR, RAISED, TIMED_OUT, read_event
from modelyard_worker.lambda_context import CLIENT_CONTEXT, TRACE, VERSION, function_arn, read_client_context
from modelyard_worker.request import Refusal, Request
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.signatures import CannotServe

ROOT = "/2018-06-01/runtime/"
AWSLAMBDARIC = "awslambdaric"
PROVIDED = "provided"
RUNTIMES = (AWSLAMBDARIC, PROVIDED)
"""`provided` runs the executable `bootstrap` of the code, as Lambda's runtimes of that name do."""

ANSWER_BYTES_MAX = 6 * 2**20
HEADER_LINES_MAX = 64
ENDS_SECONDS = 2.0
"""How long a program that was killed may take to be gone."""


class _Outcome(NamedTuple):
    status: int
    body: bytes


class _Asked(NamedTuple):
    """One request of the program's."""

    method: str
    path: str
    body: bytes


class CustomRuntime:
    """Serves a function through the program that calls it."""

    batches = False
    asynchronous = True
    wants: Tuple[str, ...] = ("headers",)

    def __init__(self, runtime: str, folder: str, serving: Serving) -> None:
        """`folder` has the code. Raises CannotServe for a runtime that there is not."""
        if runtime not in RUNTIMES:
            raise CannotServe(f"cannot serve with runtime {runtime}: there are {', '.join(RUNTIMES)}")
        self._command = _command(runtime, folder)
        self._folder = folder
        self._serving = serving
        self._turn = asyncio.Lock()
        self._server: Optional[asyncio.Server] = None
        self._process: Optional[asyncio.subprocess.Process] = None
        self._waiting: Optional[asyncio.Future[Tuple[Dict[str, str], bytes]]] = None
        """Set while the program waits for an event."""
        self._conversations: Set[asyncio.Task[None]] = set()
        self._is_ready = asyncio.Event()
        self._init_error: Optional[str] = None
        self._invocation = ""
        self._outcome: Optional[asyncio.Future[_Outcome]] = None

    async def open(self) -> None:
        """Raises CannotServe where the program ends before it asks for an event."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        try:
            await self._start()
        except CannotServe:
            await self.close()
            raise

    async def close(self) -> None:
        await self._end()
        if self._server is not None:
            self._server.close()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def describe(self) -> Dict[str, Any]:
        return {"input": {}, "output": {}, "content_types": [media.JSON], "example": {}}

    def probe(self) -> None:
        """The program asked for an event: it is ready."""

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        raise NotImplementedError("its program is waited for: predict_async")

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        async with self._turn:
            return [await self._invoke(one) for one in requests]

    # -- one invocation ----------------------------------------------------------------------------------------------

    async def _invoke(self, request: Request) -> Answer:
        read_event(request.body)
        if not await self._asks():
            await self._start()
        headers = self._told(request)
        self._invocation = request.id
        outcome = self._outcome = asyncio.get_running_loop().create_future()
        assert self._waiting is not None
        self._is_ready.clear()
        self._waiting.set_result((headers, request.body or b"{}"))
        found = await self._answered(outcome, request.id)
        self._outcome, self._invocation = None, ""
        told = [("x-amz-executed-version", VERSION)]
        if found.status != 200:
            told.append((FUNCTION_ERROR, "Unhandled"))
        return END, answer_meta(found.status, media.JSON, told), found.body

    def _told(self, request: Request) -> Dict[str, str]:
        deadline = time.time() + self._serving.timeout_seconds
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request.id,
            "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": function_arn(self._serving.endpoint),
            "Content-Type": media.JSON,
        }
        given = request.meta.headers
        if TRACE in given:
            headers["Lambda-Runtime-Trace-Id"] = given[TRACE]
        if CLIENT_CONTEXT in given:
            # It comes in base64 and goes on as JSON.
            headers["Lambda-Runtime-Client-Context"] = json.dumps(_client_context(given[CLIENT_CONTEXT]))
        return headers

    async def _answered(self, outcome: "asyncio.Future[_Outcome]", request_id: str) -> _Outcome:
        """What the program answers, or what became of it; it is ready for the next event then, or gone."""
        assert self._process is not None
        ended = asyncio.ensure_future(self._process.wait())
        timeout = self._serving.timeout_seconds
        await asyncio.wait({outcome, ended}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if outcome.done():
            ended.cancel()
            return outcome.result()
        if ended.done():
            return _failed(RAISED, "Runtime.ExitError", request_id, f"Runtime exited with status {ended.result()}")
        ended.cancel()
        await self._end()
        return _failed(TIMED_OUT, "Sandbox.Timedout", request_id, f"Task timed out after {timeout:.2f} seconds")

    # -- the program -------------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        self._is_ready.clear()
        self._waiting = None
        environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"}
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=self._folder, env=environment, stdin=asyncio.subprocess.DEVNULL
            )
        except OSError as error:
            raise CannotServe(f"cannot start {self._command[0]}: {error.strerror}") from error
        if not await self._asks():
            said = self._init_error or f"it ended with status {self._process.returncode} before it asked for an event"
            raise CannotServe(f"cannot serve the function: {said}")

    async def _asks(self) -> bool:
        """Waits until the program asks for an event; False where it is gone."""
        if self._process is None or self._process.returncode is not None:
            return False
        ready = asyncio.ensure_future(self._is_ready.wait())
        ended = asyncio.ensure_future(self._process.wait())
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        ended.cancel()
        return self._process.returncode is None

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), ENDS_SECONDS)

    # -- what it asks ------------------------------------------------------------------------------------------------

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._conversations.add(task)
        try:
            while True:
                asked = await _read(reader)
                if asked is None:
                    return
                await self._answer(asked, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            # Cancelled by `close`: the server that made this task would report it as a failure of its own.
            return
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _answer(self, asked: _Asked, writer: asyncio.StreamWriter) -> None:
        path = asked.path.partition("?")[0]
        name, _, part = path.removeprefix(f"{ROOT}invocation/").partition("/")
        if path == f"{ROOT}invocation/next" and asked.method == "GET":
            headers, event = await self._next()
            _write(writer, 200, event, headers)
        elif path == f"{ROOT}init/error":
            self._init_error = _error_text(asked.body)
            _write(writer, 202, b'{"status":"OK"}')
        elif part in ("response", "error") and name and name == self._invocation and self._outcome is not None:
            if not self._outcome.done():
                self._outcome.set_result(_Outcome(200 if part == "response" else RAISED, asked.body))
            _write(writer, 202, b'{"status":"OK"}')
        else:
            told = {"errorMessage": f"cannot {asked.method} {path}", "errorType": "InvalidRequestID"}
            _write(writer, 400, json.dumps(told).encode())
        await writer.drain()

    async def _next(self) -> Tuple[Dict[str, str], bytes]:
        self._waiting = asyncio.get_running_loop().create_future()
        self._is_ready.set()
        return await self._waiting


def _client_context(given: str) -> Dict[str, Any]:
    try:
        return read_client_context(given)
    except ValueError as error:
        raise Refusal(400, "invalid_value", f"cannot read {CLIENT_CONTEXT}: {error}") from error


def _command(runtime: str, folder: str) -> List[str]:
    if runtime == AWSLAMBDARIC:
        return [sys.executable, "-m", AWSLAMBDARIC, os.environ["_HANDLER"]]
    return [os.path.join(folder, "bootstrap")]


def _failed(status: int, kind: str, request_id: str, message: str) -> _Outcome:
    document = {"errorMessage": f"RequestId: {request_id} Error: {message}", "errorType": kind}
    return _Outcome(status, json.dumps(document).encode())


def _error_text(body: bytes) -> str:
    try:
        found = json.loads(body)
        return f"{found.get('errorType')}: {found.get('errorMessage')}"
    except (ValueError, AttributeError):
        return body[:1000].decode("utf-8", "replace")


async def _read(reader: asyncio.StreamReader) -> Optional[_Asked]:
    """One request; None where the program has closed. Raises ValueError for what cannot be read."""
    line = await reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    length, chunked = 0, False
    for _ in range(HEADER_LINES_MAX):
        name, _, value = (await reader.readline()).decode("latin-1").partition(":")
        if not name.strip():
            break
        if name.lower() == "content-length":
            length = int(value)
        chunked = chunked or (name.lower() == "transfer-encoding" and "chunked" in value.lower())
    if length > ANSWER_BYTES_MAX:
        raise ValueError("the answer is too large")
    body = await _read_chunks(reader) if chunked else await reader.readexactly(length)
    return _Asked(method, path, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = int((await reader.readline()).split(b";")[0], 16)
        if len(body) + size > ANSWER_BYTES_MAX:
            raise ValueError("the answer is too large")
        body += await reader.readexactly(size)
        await reader.readline()
        if not size:
            return body


def _write(writer: asyncio.StreamWriter, status: int, body: bytes, headers: Optional[Dict[str, str]] = None) -> None:
    reason = {200: "OK", 202: "Accepted"}.get(status, "Bad Request")
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in (headers or {"Content-Type": media.JSON}).items()]
    lines.append(f"Content-Length: {len(body)}")
    writer.write("\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body)
