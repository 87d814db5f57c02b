"""When predictions run, and how many requests one call holds.

Batching is natural: what has arrived while a call ran is the next batch, up to `max_batch_size`. An idle replica adds
no wait and a busy one fills its batches; only after a long call the next one waits a moment, where that pays
(`gathering`). The members of a batch have the same content type and the same Accept; the others keep their places. When
a batch raises, its members run one by one, so that a bad request fails alone; a request that was in a replica that died
is alone from the start.

    Inline   one thread: the call runs on the loop's own thread (a hop to another costs more than many predictions)
    Pooled   several threads: calls run in a pool, as many at a time as there are threads
    Tasks    `async def`: calls are tasks of the loop
"""

import asyncio
import contextlib
import os
import sys
import time
import traceback
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Callable, Deque, Dict, List, Optional, Set

from modelyard_worker.frames import ANSWER, CHUNK_BYTES, ERROR, HEADER, TIMED, TIMES
from modelyard_worker.gathering import Gathering
from modelyard_worker.request import Refusal, Request
from modelyard_worker.servable import Answer, Servable, error_answer, max_in_flight
from modelyard_worker.signatures import CannotServe
from modelyard_worker.stamps import running

TURN_SECONDS = 0.001
"""For so long calls that hold one request follow each other before their answers are sent and the socket is read."""

_OWN_FOLDER = os.path.join(os.path.dirname(__file__), "")

Probed = Callable[[Optional[str]], None]
"""Called with None where the probe passed, else with what went wrong."""


class Batcher:
    """Holds the requests that wait and runs them. One per replica; `start` makes the right one."""

    def __init__(self, servable: Servable, max_batch_size: int, max_body_bytes: int) -> None:
        self.pending: Deque[Request] = deque()
        self.busy_since: Optional[float] = None
        """Monotonic time at which the call that runs began; None while none runs."""
        self._servable = servable
        self._limit = max_batch_size if servable.batches else 1
        self._max_body_bytes = max_body_bytes
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._held: Set[Request] = set()
        """Requests in calls that run beside the loop."""

    def wake(self) -> None:
        """Something was put into `pending`: run it after everything that this turn of the loop still reads."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def cancel(self, caller: Any, stream: Optional[int] = None) -> None:
        """Drops what waits of one request, or of everything that a connection sent."""
        for request in [one for one in self.pending if one.caller is caller and stream in (None, one.stream)]:
            self.pending.remove(request)
            release(request)
            caller.end_cancelled(request.stream)
        for request in self._held:
            if request.caller is caller and stream in (None, request.stream):
                request.cancelled = True

    def probe(self, probed: Probed) -> None:
        """Runs the servable's probe where predictions run."""
        self._loop.call_soon(lambda: probed(self._probe()))

    def close(self) -> None:
        """Lets go of threads and tasks; whoever waits for an answer gets none."""

    def _turn(self) -> None:
        raise NotImplementedError

    def _take(self) -> List[Request]:
        """The next batch: the oldest request and those that can share its call."""
        pending = self.pending
        first = pending.popleft()
        batch = [first]
        if self._limit == 1 or first.single:
            return batch
        key = first.meta.key
        passed: List[Request] = []
        while pending and len(batch) < self._limit:
            request = pending.popleft()
            if request.meta.key == key and not request.single:
                batch.append(request)
            else:
                passed.append(request)
        if passed:
            pending.extendleft(reversed(passed))
        return batch

    def _answer(self, batch: List[Request]) -> List[Answer]:
        self.busy_since = began_at = time.monotonic()
        try:
            if len(batch) == 1:
                return [self._answer_alone(batch[0])]
            running.set(batch)
            try:
                return self._servable.predict(batch)
            except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
                failure = error
            answers = [self._answer_alone(request) for request in batch]
            report_lone(failure, answers)
            return answers
        finally:
            self.busy_since = None
            running.set(())
            note_times(batch, began_at, time.monotonic())

    def _answer_alone(self, request: Request) -> Answer:
        running.set((request,))
        try:
            request.fetch_body(self._max_body_bytes)
            return self._servable.predict((request,))[0]
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
            return failed(request, error)

    def _probe(self) -> Optional[str]:
        try:
            self._servable.probe()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's model raises what it likes)
            report("the probe failed", error)
            return summary(error)
        return None


class Inline(Batcher):
    """One call at a time, on the loop's thread."""

    def __init__(self, servable: Servable, max_batch_size: int, max_body_bytes: int) -> None:
        super().__init__(servable, max_batch_size, max_body_bytes)
        self._gathering = Gathering()
        self._wait: Optional[asyncio.TimerHandle] = None

    def wake(self) -> None:
        gathering = self._gathering
        if not gathering.until:
            super().wake()
        elif len(self.pending) >= gathering.expected or self.pending[0].single:
            self._gathered()
        elif self._wait is None:
            seconds = gathering.until - time.monotonic()
            if seconds <= 0:
                # Nobody came while it could have waited: nothing is known of who comes now.
                gathering.until = 0.0
                super().wake()
            else:
                self._scheduled = True
                self._wait = self._loop.call_later(seconds, self._gathered)

    def _gathered(self) -> None:
        """Those who were waited for are there, or the wait is over."""
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None
        self._gathering.begin(len(self.pending))
        self._scheduled = True
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self.pending:
            return
        batch = self._take()
        began_at = time.monotonic()
        answers = self._answer(batch)
        if self._limit == 1:
            # Quick predictors that take one request each still share a write.
            until = time.monotonic() + TURN_SECONDS
            while self.pending and time.monotonic() < until:
                more = self._take()
                answers += self._answer(more)
                batch += more
        ended_at = time.monotonic()
        deliver(batch, answers)
        if self._limit > 1:
            self._gathering.after(len(batch), len(self.pending), ended_at - began_at, self._limit, ended_at)
        if self.pending:
            self.wake()


class Pooled(Batcher):
    """As many calls at a time as there are threads."""

    def __init__(self, servable: Servable, max_batch_size: int, max_body_bytes: int, threads: int) -> None:
        super().__init__(servable, max_batch_size, max_body_bytes)
        self._free = threads
        self._pool = ThreadPoolExecutor(threads, "predict")

    def probe(self, probed: Probed) -> None:
        done = self._loop.run_in_executor(self._pool, self._probe)
        done.add_done_callback(lambda future: None if future.cancelled() else probed(future.result()))

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _turn(self) -> None:
        self._scheduled = False
        while self._free and self.pending:
            self._free -= 1
            batch = self._take()
            self._held.update(batch)
            done = self._pool.submit(self._answer, batch)
            done.add_done_callback(lambda future, batch=batch: self._come_back(batch, future))

    def _come_back(self, batch: List[Request], done: "Future[List[Answer]]") -> None:
        # The loop may have closed: the replica left while this call ran.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, batch, done)

    def _finish(self, batch: List[Request], done: "Future[List[Answer]]") -> None:
        self._free += 1
        self._held.difference_update(batch)
        error = done.exception()
        deliver(batch, done.result() if error is None else [failed(request, error) for request in batch])
        if self.pending:
            self.wake()


class Tasks(Batcher):
    """Calls of `async def`, many at a time."""

    def __init__(self, servable: Servable, max_batch_size: int, max_body_bytes: int, in_flight: int) -> None:
        super().__init__(servable, max_batch_size, max_body_bytes)
        self._in_flight_max = in_flight
        self._running: Dict[asyncio.Task[None], List[Request]] = {}

    def cancel(self, caller: Any, stream: Optional[int] = None) -> None:
        super().cancel(caller, stream)
        for task, batch in self._running.items():
            if all(request.cancelled for request in batch):
                task.cancel()

    def close(self) -> None:
        for task in self._running:
            task.cancel()

    def _turn(self) -> None:
        self._scheduled = False
        while self.pending and len(self._running) < self._in_flight_max:
            batch = self._take()
            self._held.update(batch)
            task = self._loop.create_task(self._run(batch))
            self._running[task] = batch
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._held.difference_update(self._running.pop(task))
        if self.pending:
            self.wake()

    async def _run(self, batch: List[Request]) -> None:
        try:
            deliver(batch, await self._answer_batch(batch))
        except asyncio.CancelledError:
            for request in batch:
                request.caller.end_cancelled(request.stream)
            raise
        finally:
            for request in batch:
                release(request)

    async def _answer_batch(self, batch: List[Request]) -> List[Answer]:
        began_at = time.monotonic()
        try:
            return await self._answer_all(batch)
        finally:
            note_times(batch, began_at, time.monotonic())

    async def _answer_all(self, batch: List[Request]) -> List[Answer]:
        if len(batch) == 1:
            return [await self._answer_one(batch[0])]
        running.set(batch)
        try:
            return await self._servable.predict_async(batch)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
            failure = error
        answers = [await self._answer_one(request) for request in batch]
        report_lone(failure, answers)
        return answers

    async def _answer_one(self, request: Request) -> Answer:
        running.set((request,))
        try:
            request.fetch_body(self._max_body_bytes)
            return (await self._servable.predict_async((request,)))[0]
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the user's code raises what it likes)
            return failed(request, error)


def start(
    servable: Servable, max_batch_size: int, threads: int, in_flight: Optional[int], max_body_bytes: int
) -> Batcher:
    """The batcher that suits a servable. Called on the running loop."""
    if servable.asynchronous:
        limit = in_flight or max_in_flight(servable, max_batch_size, threads)
        return Tasks(servable, max_batch_size, max_body_bytes, limit)
    if threads > 1:
        return Pooled(servable, max_batch_size, max_body_bytes, threads)
    return Inline(servable, max_batch_size, max_body_bytes)


# Answers


def deliver(batch: List[Request], answers: List[Answer]) -> None:
    """Hands answers to the connections that asked; those of one connection leave in one write. An answer that cannot be
    sent is answered with what was wrong with it."""
    written: List[Any] = []
    pack = HEADER.pack
    for request, (flags, meta, body) in zip(batch, answers):
        caller = request.caller
        if request.held_bytes:
            release(request)
        out: List[bytes] = caller.out
        if not out:
            written.append(caller)
        try:
            if body.__class__ is bytes and len(body) <= CHUNK_BYTES and not request.cancelled:
                if caller.takes_times:
                    times = request.times
                    size = len(times) + len(meta)
                    out += (pack(size + len(body), ANSWER, flags | TIMED, size, request.stream), times, meta, body)
                else:
                    out += (pack(len(meta) + len(body), ANSWER, flags, len(meta), request.stream), meta, body)
            elif not request.cancelled:
                caller.send_long(request, meta, body)
            else:
                caller.drop_long(body)
                caller.end_cancelled(request.stream)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with one answer, the others go out)
            flag, said, _ = failed(request, error)
            out += (pack(len(said), ANSWER, flag, len(said), request.stream), said)
    for caller in written:
        if caller.out:
            caller.flush()


def note_times(batch: List[Request], began_at: float, ended_at: float) -> None:
    """Writes down what the answers of one call say of their times; the first member says how many they are."""
    took = _micros(ended_at - began_at)
    size = min(len(batch), 0xFFFF)
    for request in batch:
        request.began_at = began_at
        request.times = TIMES.pack(_micros(began_at - request.arrived_at), took, size)
        size = 0


def times_until_now(request: Request) -> bytes:
    """The same for an answer whose parts are still being made: its call goes on until the first of them."""
    return TIMES.pack(_micros(request.began_at - request.arrived_at), _micros(time.monotonic() - request.began_at), 1)


def _micros(seconds: float) -> int:
    return min(max(int(seconds * 1e6), 0), 0xFFFFFFFF)


def release(request: Request) -> None:
    """The body is needed no more: others may come into memory in its place."""
    if request.held_bytes:
        request.caller.released(request)


def failed(request: Request, error: BaseException) -> Answer:
    """The answer to a request that raised. What the user's code raised is printed with the request's id."""
    if isinstance(error, Refusal):
        return error_answer(error.status, error.code, error.message)
    report(f"request {request.id}: the predictor raised", error)
    return error_answer(500, "predictor_failed", summary(error))


def report_lone(failure: BaseException, answers: List[Answer]) -> None:
    """Prints why a batch failed where its members, run one by one, did not say it themselves."""
    if not isinstance(failure, Refusal) and not any(flags & ERROR for flags, _, _ in answers):
        report(f"a batch of {len(answers)} failed whose members pass alone", failure)


def report(what: str, error: BaseException) -> None:
    """Prints an error with its traceback to the replica's output; what we refuse ourselves is a sentence, and where our
    code said it is nobody's concern."""
    if isinstance(error, CannotServe):
        print(f"{what}: {error}", file=sys.stderr, flush=True)
        return
    text = "".join(traceback.format_exception(type(error), error, _beyond_ours(error.__traceback__)))
    print(f"{what}\n{text}", end="", file=sys.stderr, flush=True)


def _beyond_ours(found: Optional[TracebackType]) -> Optional[TracebackType]:
    """A traceback from where it first left this package: how the user's code was come to says nothing about it. All of
    it where it never did."""
    part = found
    while part is not None and part.tb_frame.f_code.co_filename.startswith(_OWN_FOLDER):
        part = part.tb_next
    return part or found


def summary(error: BaseException) -> str:
    """An error in one line, with what it came from: `ValueError: no such currency (from KeyError: 'EUR')`."""
    line = _line(error)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{line} (from {_line(cause)})" if cause is not None else line


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, CannotServe):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
