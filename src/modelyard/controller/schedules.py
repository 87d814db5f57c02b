"""The pass over schedules: starts what is due, once for each time, and says what was left out.

What a resource of a kind starts is that kind's own affair: a `Starter`. Before one is asked to start something, the
time that it is for is written down, so that after a kill the same start is asked for again; a starter makes it once.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.domain.names import name_key
from modelyard.domain.resources import Resource
from modelyard.domain.schedules import Schedule, Timing, decide_schedule, timing_of
from modelyard.errors import ModelyardError
from modelyard.manifest.cron import CronTimes
from modelyard.store.ports import Store

LOOK_SECONDS = 1.0
"""How often schedules are looked at: a minute is the least that a cron expression tells apart."""

_log = logging.getLogger("modelyard.controller")


class Starter(Protocol):
    """What a kind's resources start."""

    def resources(self) -> Sequence[Resource]:
        """Those of the kind; whether they have a schedule says `timing_of`."""
        ...

    def start(self, resource: Resource, planned_at: float) -> str:
        """Starts what the resource says for that time, and returns its id; the same one where that was done already.
        May take long: it runs in a thread. Raises ModelyardError where it cannot be."""
        ...

    def goes_on(self, schedule: Schedule) -> bool:
        """Whether what was `started` last has not ended yet."""
        ...


class SchedulesPass:
    def __init__(self, store: Store, starters: Mapping[str, Starter], clock: Clock, wake: Callable[[], None]) -> None:
        """`starters` are by kind of resource."""
        self._store = store
        self._starters = dict(starters)
        self._clock = clock
        self._wake = wake
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._next_look_at = 0.0
        self._leaving = False

    def __call__(self) -> None:
        if self._leaving or self._clock.monotonic() < self._next_look_at:
            return
        self._next_look_at = self._clock.monotonic() + LOOK_SECONDS
        known = {(one.kind, name_key(one.name)): one for one in self._store.schedules.select()}
        wished = self._wished()
        for key, (resource, timing) in wished.items():
            if key not in self._under_way:
                self._look(resource, timing, known.get(key))
        for key in known.keys() - wished.keys() - self._under_way.keys():
            self._store.schedules.drop(*key)

    def _wished(self) -> dict[tuple[str, str], tuple[Resource, Timing]]:
        found = [one for starter in self._starters.values() for one in starter.resources()]
        timed = [(one, timing_of(one.wished.spec)) for one in found]
        return {one.name.key: (one, timing) for one, timing in timed if timing is not None}

    def leave(self) -> None:
        """From now on nothing is started."""
        self._leaving = True

    async def settle(self) -> None:
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _look(self, resource: Resource, timing: Timing, schedule: Schedule | None) -> None:
        now = self._clock.now()
        if schedule is None or schedule.timing != timing.document:
            # Times before it was wished are nobody's. A start that is under way is finished by its old timing.
            earlier = schedule or Schedule(resource.name.kind, resource.name.name)
            self._store.schedules.put(replace(earlier, timing=timing.document, looked_at=now))
            return
        if schedule.under_way:
            self._begin(resource, schedule)
            return
        due = decide_schedule(timing, schedule.looked_at, now, CronTimes(timing), self._going_on(schedule))
        if due.planned_at is None and due.sentence is None:
            return
        if due.sentence is not None:
            self._event(resource, due.sentence)
        decided = replace(schedule, looked_at=now, sentence=due.sentence)
        if due.planned_at is not None:
            decided = replace(decided, planned_at=due.planned_at, started_at=None, started=None)
        self._store.schedules.put(decided)
        if decided.under_way:
            self._begin(resource, decided)

    def _going_on(self, schedule: Schedule) -> str | None:
        goes_on = schedule.started is not None and self._starters[schedule.kind].goes_on(schedule)
        return schedule.started if goes_on else None

    def _begin(self, resource: Resource, schedule: Schedule) -> None:
        task = asyncio.get_running_loop().create_task(self._start(resource, schedule))
        self._under_way[resource.name.key] = task

    async def _start(self, resource: Resource, schedule: Schedule) -> None:
        planned_at = schedule.planned_at
        assert planned_at is not None
        try:
            try:
                starter = self._starters[resource.name.kind]
                started = await asyncio.to_thread(starter.start, resource, planned_at)
                sentence = f"started {started}"
            except ModelyardError as error:
                started, sentence = None, error.message
                _log.warning("schedule of %s: %s", resource.name, error)
            self._event(resource, sentence)
            if schedule.sentence is not None:
                sentence = f"{schedule.sentence}; {sentence}"
            now = self._clock.now()
            self._store.schedules.put(replace(schedule, started=started, started_at=now, sentence=sentence))
            self._wake()
        except Exception:  # noqa: BLE001 (whatever it was, the next look begins from what is then there)
            _log.exception("schedule of %s", resource.name)
        finally:
            self._under_way.pop(resource.name.key, None)

    def _event(self, resource: Resource, sentence: str) -> None:
        kind, name = resource.name.kind, resource.name.name
        tell(self._store.events, kind, name, f"schedule: {sentence}", self._clock.now())
