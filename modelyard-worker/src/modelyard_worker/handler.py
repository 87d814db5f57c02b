"""Functions in AWS Lambda's contract: a module's `handler(event, context)`, called with one event at a time.

    event       the body's JSON; an empty body is {}
    context     `lambda_context.LambdaContext`: names, limits, how much time is left
    result      anything that JSON can write; it is the answer

What the handler raises is an answer too: status 500, the header `x-amz-function-error`, and a body of `errorMessage`,
`errorType`, `requestId` and `stackTrace`. An invocation that takes longer than the function's `timeout` is broken off
by an alarm that raises in the handler, wherever it waits or computes in Python; code that does not come back from a
library is ended with its process, by whoever started it.

Each invocation is framed in the log by START, END and REPORT lines, as Lambda has them.
"""

import base64
import inspect
import json
import logging
import math
import resource
import signal
import sys
import threading
import time
import traceback
from decimal import Decimal
from types import FrameType, TracebackType
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from modelyard_worker import media
from modelyard_worker.answers import answer_meta
from modelyard_worker.frames import END
from modelyard_worker.lambda_context import CLIENT_CONTEXT, VERSION, LambdaContext, memory_megabytes
from modelyard_worker.request import Refusal, Request
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.signatures import CannotServe
from modelyard_worker.stamps import heard

LOG_TYPE = "x-amz-log-type"
LOG_RESULT = "x-amz-log-result"
FUNCTION_ERROR = "x-amz-function-error"
TAIL_BYTES = 4096
"""Of an invocation's log, so much goes with the answer to whoever asks for it; Lambda's."""

ANSWER_BYTES_MAX = 6 * 2**20
"""Lambda's limit for a result."""

RAISED, TIMED_OUT = 500, 504
"""Statuses of answers that are errors of the function; Lambda's own API says 200 to both."""

_ALWAYS = [("x-amz-executed-version", VERSION)]


class TimedOut(BaseException):
    """Raised by the alarm in the handler; no Exception, so that `except Exception` lets it pass."""


class _Failed(NamedTuple):
    """An invocation's error as Lambda writes it."""

    status: int
    kind: str
    message: str
    stack: Sequence[str] = ()

    def document(self, request_id: str) -> Dict[str, Any]:
        return {
            "errorMessage": self.message,
            "errorType": self.kind,
            "requestId": request_id,
            "stackTrace": list(self.stack),
        }


class Handler:
    """Serves one function of the user's module."""

    batches = False
    asynchronous = False
    wants: Tuple[str, ...] = ("headers",)

    def __init__(self, function: Any, serving: Serving, init_seconds: float) -> None:
        """`init_seconds` is what importing its module took; the first REPORT says so."""
        if inspect.iscoroutinefunction(function):
            raise CannotServe("cannot serve an `async def` as a handler: Lambda's contract has plain functions")
        self._function = function
        self._serving = serving
        self._init_seconds: Optional[float] = init_seconds
        self._alarms = threading.current_thread() is threading.main_thread()
        if self._alarms:
            signal.signal(signal.SIGALRM, _raise_timed_out)
        self._current = ""
        _log_as_lambda(self)

    async def open(self) -> None:
        """Its module is imported: nothing is left to do."""

    async def close(self) -> None:
        """Nothing is to be let go of."""

    def describe(self) -> Dict[str, Any]:
        return {"input": {}, "output": {}, "content_types": [media.JSON], "example": {}}

    def probe(self) -> None:
        """That its module was imported is the proof: no event is known that it would have to take."""

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return self.predict(requests)

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        return [self._invoke(one) for one in requests]

    # -- one invocation ----------------------------------------------------------------------------------------------

    def _invoke(self, request: Request) -> Answer:
        event = read_event(request.body)
        wants_tail = request.meta.headers.get(LOG_TYPE, "").lower() == "tail"
        lines: Optional[List[str]] = [] if wants_tail else None
        token = heard.set(lines)
        try:
            status, body = self._framed(request, event)
        finally:
            heard.reset(token)
        headers = list(_ALWAYS)
        if status != 200:
            headers.append((FUNCTION_ERROR, "Unhandled"))
        if lines is not None:
            tail = "".join(f"{line}\n" for line in lines).encode()[-TAIL_BYTES:]
            headers.append((LOG_RESULT, base64.b64encode(tail).decode()))
        return END, answer_meta(status, media.JSON, headers), body

    def _framed(self, request: Request, event: Any) -> Tuple[int, bytes]:
        """The invocation between its START and its REPORT: (status, body)."""
        request_id = self._current = request.id
        print(f"START RequestId: {request_id} Version: {VERSION}")
        began_at = time.perf_counter()
        try:
            outcome = self._call(request, event)
        finally:
            seconds = time.perf_counter() - began_at
            sys.stdout.flush()
            sys.stderr.flush()
        status, body = 200, b""
        if isinstance(outcome, _Failed):
            status, body = outcome.status, json.dumps(outcome.document(request_id)).encode()
            _print_failure(outcome)
        else:
            body = outcome
        print(f"END RequestId: {request_id}\n{self._report(request_id, seconds, status)}")
        self._current = ""
        return status, body

    def _call(self, request: Request, event: Any) -> "bytes | _Failed":
        timeout = self._serving.timeout_seconds
        try:
            context = LambdaContext(
                self._serving, request.id, time.time() + timeout, request.meta.headers.get(CLIENT_CONTEXT)
            )
        except ValueError as error:
            raise Refusal(400, "invalid_value", f"cannot read {CLIENT_CONTEXT}: {error}") from error
        try:
            if self._alarms:
                signal.setitimer(signal.ITIMER_REAL, timeout)
            try:
                result = self._function(event, context)
            finally:
                if self._alarms:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            return write_result(result)
        except TimedOut:
            return _Failed(TIMED_OUT, "Sandbox.Timedout", f"RequestId: {request.id} Error: {_timed_out(timeout)}")
        except SystemExit as error:
            return _Failed(RAISED, "Runtime.ExitError", f"RequestId: {request.id} Error: the handler exited ({error})")
        except CannotWrite as error:
            return _Failed(RAISED, "Runtime.MarshalError", str(error))
        except Exception as error:  # noqa: BLE001 (the user's code raises what it likes)
            return _Failed(RAISED, type(error).__name__, str(error), stack_of(error.__traceback__))

    def _report(self, request_id: str, seconds: float, status: int) -> str:
        took = seconds * 1000
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform != "darwin" else 2**20)
        parts = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {took:.2f} ms",
            f"Billed Duration: {math.ceil(took)} ms",
            f"Memory Size: {memory_megabytes(self._serving)} MB",
            f"Max Memory Used: {used} MB",
        ]
        if self._init_seconds is not None:
            parts.append(f"Init Duration: {self._init_seconds * 1000:.2f} ms")
            self._init_seconds = None
        if status == TIMED_OUT:
            parts.append("Status: timeout")
        return "\t".join(parts)

    @property
    def current(self) -> str:
        """Id of the invocation that runs; empty between two."""
        return self._current


class CannotWrite(Exception):  # noqa: N818 (reads as what happened)
    """What a handler returned is nothing that JSON can write."""


def read_event(body: bytes) -> Any:
    """Raises Refusal where the body is not JSON."""
    if not body:
        return {}
    try:
        return json.loads(body)
    except ValueError as error:
        message = f"cannot read the event: could not parse request body into json: {error}"
        raise Refusal(400, "invalid_value", message) from error


def write_result(result: Any) -> bytes:
    """As awslambdaric writes it, decimals as numbers. Raises CannotWrite."""
    try:
        body = json.dumps(result, default=_plain, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except (TypeError, ValueError, RecursionError) as error:
        raise CannotWrite(f"Unable to marshal response: {error}") from error
    if len(body) > ANSWER_BYTES_MAX:
        raise CannotWrite(f"Response payload size ({len(body)} bytes) exceeded maximum allowed payload size")
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def stack_of(found: Optional[TracebackType]) -> List[str]:
    """The frames of the user's own, without the one here that called them."""
    return traceback.format_list(traceback.extract_tb(found)[1:])


def _print_failure(failed: _Failed) -> None:
    if failed.status == TIMED_OUT:
        print(failed.message, file=sys.stderr)
        return
    stack = "".join(failed.stack)
    told = f"Traceback (most recent call last):\n{stack}" if stack else ""
    print(f"[ERROR] {failed.kind}: {failed.message}\n{told}", end="" if told else "\n", file=sys.stderr)
    sys.stderr.flush()


def _timed_out(seconds: float) -> str:
    return f"Task timed out after {seconds:.2f} seconds"


def _raise_timed_out(number: int, frame: Optional[FrameType]) -> None:  # noqa: ARG001 (a signal handler's arguments)
    raise TimedOut


class _WithRequestId(logging.Filter):
    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self._handler.current
        return True


def _log_as_lambda(handler: Handler) -> None:
    """The root logger writes as Lambda's does, unless the user's module has given it a handler of its own."""
    root = logging.getLogger()
    if root.handlers:
        return
    shown = logging.StreamHandler(sys.stdout)
    shown.addFilter(_WithRequestId(handler))
    form = logging.Formatter("[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s")
    form.converter = time.gmtime
    form.datefmt = "%Y-%m-%dT%H:%M:%S"
    shown.setFormatter(form)
    root.addHandler(shown)
