"""The one loop: what is due is taken, what was taken is sent, what has ended is written and told.

Intent comes before act: an attempt is in the database before it is sent, a delivery before it is posted. A dispatcher
that dies leaves attempts under way; its successor takes them back, and the predictor is told that it is the next one.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from modelyard.clock import Clock
from modelyard.dispatcher.following import Following
from modelyard.dispatcher.sending import Attempt, Sender
from modelyard.dispatcher.webhooks import Webhooks
from modelyard.domain.invocations import (
    UNSENT_PAUSE_SECONDS,
    Invocation,
    cancelled,
    lost,
    pause_seconds,
    room,
)
from modelyard.domain.names import name_key
from modelyard.errors import ModelyardError
from modelyard.settings import Home
from modelyard.store.group_commit import GroupCommit
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.ports import Agenda, End, Store

POLL_SECONDS = 5.0
"""How long nothing may be looked at, where every word that should have woken the loop was lost."""

IDLE_SECONDS = 30.0
"""With nothing to do for so long it goes; whoever queues something has it started again."""

FAILED_PAUSE_SECONDS = 1.0
"""After a pass that failed, such as on a full disk."""

DELIVERIES_AT_ONCE_MAX = 32

LOOK_SECONDS = 0.05
"""While something is under way, what waits is not counted oftener: what is known to wait is sent without."""

TELL_SECONDS = 0.25
"""How often the controller is told how much waits, but at once that something does or that nothing does any more."""

ENDED_MAX = 2048
"""Ends that wait for the disk; beyond it nothing more is sent."""

_log = logging.getLogger("modelyard.dispatcher")


class Dispatcher:
    def __init__(self, home: Home, store: Store, clock: Clock, origin: str, idle_seconds: float = IDLE_SECONDS) -> None:
        files = InvocationFiles(home.invocations)
        self._store = store
        self._files = files
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._sender = Sender(home, store, files, clock, self._pause)
        self._webhooks = Webhooks(home, store, files, clock, origin)
        self._following = Following(home, self.wake)
        self._finishing = GroupCommit(self._finish)
        self._running: dict[int, tuple[Invocation, asyncio.Task[None]]] = {}
        """Everything from here to what became of it, on disk."""
        self._sent: Counter[str] = Counter()
        """Those of them that the gateway has, by endpoint."""
        self._agenda = Agenda({}, None, ())
        self._looked_at = -LOOK_SECONDS
        self._told_at = -TELL_SECONDS
        self._waiting: dict[str, int] = {}
        """What waits of the agenda's, as far as it was not sent since."""
        self._delivering: dict[int, asyncio.Task[None]] = {}
        self._refusals: dict[str, int] = {}
        """Attempts in a row that an endpoint did not take."""
        self._wake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        """What is under way is left to the next one, which is told that it may have run."""
        self._stopping = True
        self.wake()

    async def run(self, may_leave: Callable[[], bool]) -> None:
        """Until `stop`, or until there has been nothing to do for a while and `may_leave` agrees: it stops listening,
        so that whoever queues something from then on asks for another dispatcher, and this one looks once more."""
        following = asyncio.create_task(self._following.follow())
        taken_back = self._store.invocations.recover(self._clock.now())
        if taken_back:
            _log.info("took back %d invocations of a dispatcher that died", len(taken_back))
        idle_since: float | None = None
        listening = True
        while not self._stopping:
            self._wake.clear()
            next_at, busy = await self._look()
            now = self._clock.monotonic()
            idle_since = None if busy else (idle_since if idle_since is not None else now)
            if not busy and not listening:
                break
            if idle_since is not None and now - idle_since >= self._idle_seconds and listening and may_leave():
                listening = False
                continue
            await self._wait(next_at)
        await self._close(following)

    async def _wait(self, next_at: float | None) -> None:
        pause = POLL_SECONDS if next_at is None else min(POLL_SECONDS, max(0.0, next_at - self._clock.now()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

    async def _look(self) -> tuple[float | None, bool]:
        """One pass: (when the next is due at the latest, whether there is anything to do)."""
        next_at: list[float] = []
        try:
            now = self._clock.monotonic()
            if now - self._looked_at >= LOOK_SECONDS or not (self._running and any(self._waiting.values())):
                await self._look_anew(now)
            else:
                next_at.append(self._clock.now() + LOOK_SECONDS)
            for key, count in self._waiting.items():
                if count > 0:
                    self._waiting[key] -= await self._send_some(key)
            if not self._tell():
                next_at.append(self._clock.now() + TELL_SECONDS)
        except ModelyardError as error:
            _log.error("%s", error.message)
            return self._clock.now() + FAILED_PAUSE_SECONDS, True
        if self._agenda.next_at is not None:
            next_at.append(self._agenda.next_at)
        busy = bool(self._agenda.queued or self._running or self._delivering or self._agenda.next_at is not None)
        return min(next_at, default=None), busy

    async def _look_anew(self, now: float) -> None:
        self._agenda = await asyncio.to_thread(self._read_agenda)
        self._looked_at = now
        self._waiting = dict(self._agenda.queued)
        for one in self._agenda.stopping:
            self._end_early(one)
        await self._deliver_some()

    def _tell(self) -> bool:
        """False where it is to be told later."""
        now = self._clock.monotonic()
        if now - self._told_at < TELL_SECONDS and not self._following.is_news(self._waiting):
            return False
        self._told_at = now
        self._following.tell(self._waiting)
        return True

    def _read_agenda(self) -> Agenda:
        now = self._clock.now()
        agenda = self._store.invocations.agenda(now)
        if agenda.next_at is not None and agenda.next_at <= now and self._store.invocations.expire(now):
            agenda = self._store.invocations.agenda(now)
        return agenda

    # -- sending -----------------------------------------------------------------------------------------------------

    async def _send_some(self, key: str) -> int:
        """Sends as many as there is room for; returns how many."""
        space = self._room(key)
        if not space:
            return 0
        taken = await asyncio.to_thread(self._take, key, space)
        for one, body in taken:
            self._sent[key] += 1
            self._running[one.sequence] = (one, asyncio.create_task(self._carry(one, body)))
        return len(taken)

    def _take(self, key: str, space: int) -> list[tuple[Invocation, bytes]]:
        """The next ones, each with its body where that is not in a file."""
        taken = self._store.invocations.take(key, space, self._clock.now())
        bodies = self._store.invocations.bodies([one.sequence for one in taken]) if taken else {}
        return [(one, bodies.get(one.sequence, b"")) for one in taken]

    def _room(self, key: str) -> int:
        sent = self._sent[key]
        if len(self._running) - self._sent.total() >= ENDED_MAX:
            return 0
        if self._refusals.get(key):
            # It is asked with one, until it takes that.
            return max(0, 1 - sent)
        entry = self._following.entry(key)
        if entry is None:
            return max(0, 1 - sent)
        return room(len(entry.replicas), entry.concurrency, entry.max_queue_length, sent)

    async def _carry(self, one: Invocation, body: bytes) -> None:
        """One attempt from here to what became of it, on disk."""
        key = name_key(one.endpoint)
        try:
            await self._write(await self._attempt(key, one, body))
        except asyncio.CancelledError:
            if self._stopping:
                raise
            await self._write(End(one.attempt, cancelled(one, self._clock.now())))
        finally:
            self._running.pop(one.sequence, None)
            self.wake()

    async def _attempt(self, key: str, one: Invocation, body: bytes) -> End:
        try:
            attempt = await self._send(key, one, body)
        except Exception as error:  # noqa: BLE001 (one in trouble must not be forgotten, nor stop the others)
            _log.exception("invocation %s of %s", one.id, one.endpoint)
            reason = f"it could not be sent, or its answer not be kept: {error}"
            return End(one.attempt, lost(one, reason, self._clock.now()))
        if attempt.was_sent:
            self._refusals.pop(key, None)
        return attempt.end

    async def _write(self, end: End) -> None:
        """As often as it takes: while the disk is full, what came back waits here."""
        while True:
            try:
                await self._finishing.submit(end)
            except Exception as error:  # noqa: BLE001 (whatever it is, what came back must not be lost for it)
                _log.error("cannot write down what became of invocation %s: %s", end.invocation.id, error)
                await asyncio.sleep(FAILED_PAUSE_SECONDS)
            else:
                return

    async def _send(self, key: str, one: Invocation, body: bytes) -> Attempt:
        """While its end is written, another has its place in the gateway."""
        try:
            return await self._sender.attempt(one, body)
        finally:
            self._sent[key] -= 1
            if not self._sent[key]:
                del self._sent[key]
            self.wake()

    def _finish(self, ends: Sequence[End]) -> Sequence[bool]:
        written = self._store.invocations.finish(ends, self._clock.now())
        for end, taken in zip(ends, written, strict=True):
            if not taken and end.invocation.result is not None:
                self._files.drop([end.invocation.result.stored.file])
        return written

    def _end_early(self, one: Invocation) -> None:
        running = self._running.get(one.sequence)
        if running is not None:
            running[1].cancel()

    def _pause(self, endpoint: str) -> float:
        key = name_key(endpoint)
        self._refusals[key] = self._refusals.get(key, 0) + 1
        return pause_seconds(self._refusals[key], *UNSENT_PAUSE_SECONDS)

    # -- webhooks ----------------------------------------------------------------------------------------------------

    async def _deliver_some(self) -> None:
        space = DELIVERIES_AT_ONCE_MAX - len(self._delivering)
        if space <= 0:
            return
        for one in await asyncio.to_thread(self._store.invocations.deliveries, self._clock.now(), space):
            if one.sequence not in self._delivering:
                self._delivering[one.sequence] = asyncio.create_task(self._deliver(one))

    async def _deliver(self, one: Invocation) -> None:
        try:
            await self._webhooks.deliver(one)
        except (ModelyardError, OSError) as error:
            _log.error("cannot tell the webhook of %s: %s", one.endpoint, error)
        finally:
            self._delivering.pop(one.sequence, None)
            self.wake()

    # -- leaving -----------------------------------------------------------------------------------------------------

    async def _close(self, following: "asyncio.Task[None]") -> None:
        tasks = [following, *(task for _, task in self._running.values()), *self._delivering.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._sender.close()
        await self._webhooks.close()
