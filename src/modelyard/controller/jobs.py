"""What the passes over jobs of every kind share: whose turn it is, and work that goes on beside the passes."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.clock import Clock
from modelyard.domain.queueing import QueuedJob, Starts, decide_starts
from modelyard.domain.runs import JobFact
from modelyard.engines.ports import Engine
from modelyard.errors import Conflict, ModelyardError

_log = logging.getLogger("modelyard.controller")


@dataclass(frozen=True, slots=True)
class JobsSeen:
    """Jobs of one kind as the queue sees them."""

    waiting: tuple[QueuedJob, ...] = ()
    running: tuple[QueuedJob, ...] = ()
    """Those that run or are about to."""


class Turns:
    """The one queue of all jobs. The pass over each kind says how its jobs stand, decides over those of all kinds, and
    starts its own: what is decided follows from what is seen, so that every pass decides the same."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._kinds: list[Callable[[], JobsSeen]] = []

    def add(self, see: Callable[[], JobsSeen]) -> None:
        self._kinds.append(see)

    def decide(self) -> Starts:
        seen = [see() for see in self._kinds]
        waiting = [job for one in seen for job in one.waiting]
        running = [job for one in seen for job in one.running]
        return decide_starts(waiting, running, self._engine.job_room(), self._clock.now())


class Background:
    """Steps that take time, for one job once at a time. They wake the loop when they are done."""

    def __init__(self, noun: str, wake: Callable[[], None], fail: Callable[[Any, str], None]) -> None:
        """`fail` writes down that a job ended because of a message."""
        self._noun = noun
        self._wake = wake
        self._fail = fail
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._tasks

    def begin(self, job_id: str, job: Any, steps: Coroutine[Any, Any, None]) -> None:
        self._tasks[job_id] = asyncio.get_running_loop().create_task(self._guarded(job_id, job, steps))

    async def settle(self) -> None:
        """Waits for what is under way. Nothing of it is lost where that is cut off."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _guarded(self, job_id: str, job: Any, steps: Coroutine[Any, Any, None]) -> None:
        """Whatever is under way ends with a word about it, and what cannot even be written down is tried again by a
        later pass; only the pass's own rhythm does so, lest a full disk keeps two cores busy."""
        try:
            try:
                await steps
            except Conflict as error:
                _log.info("%s %s: %s", self._noun, job_id, error)
            except Exception as error:  # noqa: BLE001 (whatever it was, the job must not wait for ever)
                known = isinstance(error, ModelyardError)
                message = error.message if isinstance(error, ModelyardError) else f"cannot go on: {error!r}"
                _log.warning("%s %s: %s", self._noun, job_id, message, exc_info=not known)
                self._fail(job, message)
        except ModelyardError:
            _log.exception("%s %s: cannot write down what became of it", self._noun, job_id)
        else:
            self._wake()
        finally:
            self._tasks.pop(job_id, None)


def is_alive(fact: JobFact | None) -> bool:
    return fact is not None and fact.alive


def reason_of(fact: JobFact | None) -> str:
    """Why it ended, in words."""
    if fact is None:
        return "no reason was recorded"
    return fact.failure or f"it ended with exit code {fact.exit_code}"


def first_on_path(python: str | None) -> dict[str, str]:
    """What lets a job find the programs of its own environment."""
    if python is None:
        return {}
    return {"PATH": os.pathsep.join((str(Path(python).parent), os.environ.get("PATH", os.defpath)))}


def changed_reasons(waiting: Iterable[tuple[str, str, str | None]], starts: Starts) -> dict[str, str | None]:
    """Why jobs wait, where that is another reason than the one written down: of (id, place in the queue, reason)."""
    return {
        job_id: starts.waiting[place]
        for job_id, place, reason in waiting
        if starts.waiting.get(place, reason) != reason
    }
