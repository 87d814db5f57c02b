"""What is done with a prediction beside answering: `?debug=true`, the tracker, `post_predict`.

None of it is on the way of an endpoint that does not ask for it.
"""

import asyncio
import functools
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Set

from modelyard_worker.batching import report
from modelyard_worker.packages import TrackerSpec
from modelyard_worker.request import Request
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.signatures import asked_by, own_method
from modelyard_worker.tracking import Tracker

WAITING_MAX = 1000
"""Calls of `post_predict` that wait for their thread."""

DEBUG_LENGTH_MAX = 10_000
"""Characters of a payload, and of a prediction, that `?debug=true` prints."""

_OFFERED = ("response", "payload", "query_params", "headers", "context")


class Context(NamedTuple):
    """What `predict` and `post_predict` may ask for as `context`."""

    request_id: str
    attempt: int
    """From 1; more where an earlier one may have run already: its replica died, or its sender did."""
    endpoint: str
    version: int
    model: Optional[str] = None
    """The one that the request names, where the endpoint has several."""
    traceparent: Optional[str] = None
    """The trace that the request belongs to, where the yard exports traces: the parent of whatever spans are made here
    (W3C Trace Context)."""


def context_of(request: Request, serving: Serving) -> Context:
    return Context(
        request.id,
        request.attempt,
        serving.endpoint,
        serving.version,
        request.meta.model or None,
        request.meta.traceparent,
    )


class After:
    """Looks at predictions of one predictor."""

    def __init__(
        self, kind: Optional[type], instance: Any, serving: Serving, tracker: Optional[TrackerSpec] = None
    ) -> None:
        self._tracker = Tracker(tracker) if tracker is not None else None
        self._serving = serving
        self._post: Optional[Any] = None
        self._parameters: Dict[str, str] = {}
        if kind is not None and own_method(kind, "post_predict") is not None:
            post: Any = instance.post_predict
            self._post = post
            self._parameters = asked_by(post, _OFFERED, f"{kind.__name__}.post_predict").parameters
        self._later = Later()
        self.idle = self._tracker is None and self._post is None
        """Only `?debug=true` gives it anything to do."""

    @property
    def wanted(self) -> Sequence[str]:
        """What `post_predict` reads of a request."""
        return tuple(self._parameters)

    def look(self, request: Request, payload: Any, result: Any, answer: Answer) -> Answer:
        """The answer to send, after whatever is to be done with it."""
        if request.meta.query.get("debug", "").lower() == "true":
            print(f"request {request.id}: payload: {_shown(payload)}")
            print(f"request {request.id}: prediction: {_shown(result)}")
        if self._tracker is not None:
            answer = self._tracker.mark(result, answer)
        if self._post is not None:
            self._later.run(functools.partial(self._post, **self._arguments(request, payload, result)), request.id)
        return answer

    def _arguments(self, request: Request, payload: Any, result: Any) -> Dict[str, Any]:
        offered: Dict[str, Any] = {
            "response": result,
            "payload": payload,
            "query_params": dict(request.meta.query),
            "headers": dict(request.meta.headers),
            "context": context_of(request, self._serving),
        }
        return {parameter: offered[what] for what, parameter in self._parameters.items()}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= DEBUG_LENGTH_MAX else f"{text[:DEBUG_LENGTH_MAX]}... ({len(text)} characters)"


class Later:
    """Runs calls that nobody waits for.

    On the loop's own thread and in tasks they run in the next turn, when the answer is on its way; in a pool's threads
    they go to a thread of their own, and where that falls behind, they run at once: what waits is bounded.
    """

    def __init__(self) -> None:
        self._pool: Optional[ThreadPoolExecutor] = None
        self._lock = threading.Lock()
        self._waiting = 0
        self._tasks: Set[Any] = set()

    def run(self, call: Callable[[], Any], request_id: str) -> None:
        """`call` may be a coroutine function where predictions are tasks of the loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._submit(call, request_id)
            return
        loop.call_soon(self._on_loop, loop, call, request_id)

    def _on_loop(self, loop: asyncio.AbstractEventLoop, call: Callable[[], Any], request_id: str) -> None:
        found = _call(call, request_id)
        if inspect.isawaitable(found):
            task = loop.create_task(_await(found, request_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _submit(self, call: Callable[[], Any], request_id: str) -> None:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "post_predict")
            full = self._waiting >= WAITING_MAX
            self._waiting += not full
        if full:
            _call(call, request_id)
        else:
            self._pool.submit(self._in_thread, call, request_id)

    def _in_thread(self, call: Callable[[], Any], request_id: str) -> None:
        try:
            _call(call, request_id)
        finally:
            with self._lock:
                self._waiting -= 1


def _call(call: Callable[[], Any], request_id: str) -> Any:
    try:
        return call()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
        report(f"request {request_id}: post_predict raised", error)
        return None


async def _await(found: Any, request_id: str) -> None:
    try:
        await found
    except Exception as error:  # noqa: BLE001 (the user's code raises what it likes)
        report(f"request {request_id}: post_predict raised", error)
