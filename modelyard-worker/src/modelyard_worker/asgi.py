"""ASGI applications as predictors: FastAPI, Starlette, Litestar, Quart and the like (asgi.readthedocs.io, 3.0)."""

import asyncio
from typing import Any, AsyncIterator, Dict, List, Optional, Sequence, Set, Tuple

from modelyard_worker.answers import Parts, answer_meta
from modelyard_worker.batching import report
from modelyard_worker.frames import END
from modelyard_worker.request import Request
from modelyard_worker.schemas import describe_hints
from modelyard_worker.servable import Answer, Serving
from modelyard_worker.web_request import WANTS, WebRequest, answer_headers, web_request

LIFESPAN_SECONDS = 30.0
"""How long an application may take to shut down; starting is bounded by the replica's own limit."""

PARTS_WAITING_MAX = 8
"""Parts of one answer that an application may be ahead of what was sent."""

_VERSIONS = {"version": "3.0", "spec_version": "2.3"}


class AsgiApp:
    """Serves an application; its lifespan is the replica's."""

    batches = False
    asynchronous = True
    wants: Tuple[str, ...] = WANTS

    def __init__(self, app: Any, serving: Serving) -> None:
        self.app = app
        self._serving = serving
        self._lifespan = _Lifespan(app)
        self._tasks: Set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Raises RuntimeError where the application says that it cannot start."""
        await self._lifespan.start()

    async def close(self) -> None:
        await self._lifespan.stop()

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        raise NotImplementedError("an ASGI application is called with predict_async")

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return [await self._answer(one) for one in requests]

    def describe(self) -> Dict[str, Any]:
        described = {"web_app": True, **describe_hints(None, None)}
        own = getattr(self.app, "openapi", None)
        if not callable(own):
            return described
        try:
            return {**described, "openapi": own()}
        except Exception as error:  # noqa: BLE001 (an application without a description is served all the same)
            report("the application cannot describe itself", error)
            return described

    def probe(self) -> None:
        """That it was started is the proof: which of its paths to ask is not known."""

    async def _answer(self, request: Request) -> Answer:
        asked = web_request(request, self._serving)
        call = _Call(asked, request.id)
        task = asyncio.get_running_loop().create_task(self.app(_scope(asked, self._lifespan.state), *call.channels))
        # What runs on after the answer, like a background task, must not be collected on its way.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await call.answer(task)


def _scope(asked: WebRequest, state: Dict[str, Any]) -> Dict[str, Any]:
    host, _, port = asked.header("host").partition(":")
    return {
        "type": "http",
        "asgi": _VERSIONS,
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.root + asked.path_bytes.decode("utf-8", "replace"),
        "raw_path": (asked.root + asked.path).encode("latin-1"),
        "root_path": asked.root,
        "query_string": asked.query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in asked.headers],
        "client": None,
        "server": (host or "localhost", int(port) if port.isdigit() else 80),
        "state": dict(state),
    }


class _Call:
    """One request under way in the application."""

    def __init__(self, asked: WebRequest, request_id: str) -> None:
        self._asked = asked
        self._request_id = request_id
        self._status = 0
        self._headers: List[Tuple[str, str]] = []
        self._parts: asyncio.Queue[Optional[bytes]] = asyncio.Queue(PARTS_WAITING_MAX)
        self._taken = False
        self._gone = asyncio.Event()

    @property
    def channels(self) -> Tuple[Any, Any]:
        return self._receive, self._send

    async def _receive(self) -> Dict[str, Any]:
        if not self._taken:
            self._taken = True
            return {"type": "http.request", "body": self._asked.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = int(message["status"])
            pairs = message.get("headers") or ()
            self._headers = [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in pairs]
        elif message["type"] == "http.response.body":
            await self._parts.put(bytes(message.get("body") or b""))
            if not message.get("more_body"):
                await self._parts.put(None)

    async def answer(self, task: "asyncio.Task[None]") -> Answer:
        """The answer, whole or in parts as the application sends it. Raises what the application raises before it."""
        try:
            first = await self._next(task)
            if first is None:
                raise RuntimeError("the application ended without an answer")
            # An application that has all of its answer sends its end in the same turn.
            ended = not self._parts.empty() and self._parts.get_nowait()
        except BaseException:
            task.cancel()
            raise
        kind, headers = answer_headers(self._headers)
        if ended is None:
            self._end(task)
            body = b"" if self._asked.method == "HEAD" else first
            return END, answer_meta(self._status, kind, headers), body
        begun = [first] if ended is False else [first, ended]
        return 0, b"", Parts(self._rest(begun, task), "", self._status, headers, kind)

    async def _rest(self, begun: List[bytes], task: "asyncio.Task[None]") -> AsyncIterator[bytes]:
        """The parts from the first on. Closed early - the client is gone - the application hears of it and is ended."""
        ended = False
        try:
            for part in begun:
                yield part
            while True:
                part = await self._next(task)
                if part is None:
                    break
                yield part
            ended = True
        finally:
            if ended:
                self._end(task)
            else:
                self._gone.set()
                task.cancel()

    async def _next(self, task: "asyncio.Task[None]") -> Optional[bytes]:
        """The next part, None after the last. Raises what the application raised in place of it."""
        if not self._parts.empty():
            return self._parts.get_nowait()
        part = asyncio.get_running_loop().create_task(self._parts.get())
        try:
            await asyncio.wait((part, task), return_when=asyncio.FIRST_COMPLETED)
            if part.done():
                return part.result()
        finally:
            part.cancel()
        if not self._parts.empty():
            return self._parts.get_nowait()
        task.result()
        return None

    def _end(self, task: "asyncio.Task[None]") -> None:
        self._gone.set()
        task.add_done_callback(self._report)

    def _report(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            report(f"request {self._request_id}: the application raised after its answer", error)


class _Lifespan:
    """The application's start and end; one that does not know of it is served without."""

    def __init__(self, app: Any) -> None:
        self.state: Dict[str, Any] = {}
        self._app = app
        self._task: Optional[asyncio.Task[None]] = None
        self._told: Dict[str, asyncio.Future[str]] = {}
        self._messages: asyncio.Queue[Dict[str, Any]]

    async def start(self) -> None:
        """Raises RuntimeError where the application says that it cannot start."""
        loop = asyncio.get_running_loop()
        self._messages = asyncio.Queue()
        self._told = {"startup": loop.create_future(), "shutdown": loop.create_future()}
        self._task = loop.create_task(self._run())
        failure = await self._tell("startup")
        if failure:
            raise RuntimeError(f"the application could not start: {failure}")

    async def stop(self) -> None:
        if self._task is None or self._task.done():
            return
        try:
            failure = await asyncio.wait_for(self._tell("shutdown"), LIFESPAN_SECONDS)
        except asyncio.TimeoutError:  # noqa: UP041 (before Python 3.11 they are two)
            failure = f"it did not end within {LIFESPAN_SECONDS:g} s"
        if failure:
            report("the application did not shut down", RuntimeError(failure))

    async def _tell(self, what: str) -> str:
        assert self._task is not None
        self._messages.put_nowait({"type": f"lifespan.{what}"})
        await asyncio.wait((self._told[what], self._task), return_when=asyncio.FIRST_COMPLETED)
        return self._told[what].result() if self._told[what].done() else ""

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": _VERSIONS, "state": self.state}
        try:
            await self._app(scope, self._messages.get, self._send)
        except Exception as error:  # noqa: BLE001 (what an application without a lifespan raises is its own choice)
            if self._told["startup"].done():
                report("the application's lifespan raised", error)

    async def _send(self, message: Dict[str, Any]) -> None:
        what, _, how = str(message["type"]).removeprefix("lifespan.").partition(".")
        future = self._told[what]
        if not future.done():
            failure = str(message.get("message") or "it did not say why") if how == "failed" else ""
            future.set_result(failure)
