"""Looks at the machine's memory, and sends loaded endpoints to zero before it is used up (see `domain.eviction`)."""

import asyncio
import logging

from modelyard.clock import Clock
from modelyard.controller.endpoints import EndpointsPass
from modelyard.domain.eviction import MemoryLimits, decide_eviction, shortage_bytes
from modelyard.engines.ports import Engine
from modelyard.settings import CareSettings

LOOK_SECONDS = 1.0

SETTLE_SECONDS = 3.0
"""After an eviction: what was sent to zero must have gone before it can be seen whether that was enough."""

MEASURE_SECONDS = 10.0
"""How often it is measured what replicas hold where they have a bound together; without one, when memory is short."""

_log = logging.getLogger("modelyard.controller")


class Eviction:
    def __init__(self, engine: Engine, endpoints: EndpointsPass, care: CareSettings, clock: Clock) -> None:
        self._engine = engine
        self._endpoints = endpoints
        self._limits = MemoryLimits(care.memory_free_bytes_min, care.memory_free_share_min, care.replicas_bytes_max)
        self._clock = clock
        self._look_at = self._measure_at = clock.monotonic()
        self._under_way: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        """Begins a look in the background where one is due."""
        now = self._clock.monotonic()
        if now < self._look_at or (self._under_way is not None and not self._under_way.done()):
            return
        self._look_at = now + LOOK_SECONDS
        bounded = bool(self._limits.replicas_bytes_max) and now >= self._measure_at
        if bounded or shortage_bytes(self._engine.memory(), 0, self._limits):
            self._measure_at = now + MEASURE_SECONDS
            self._under_way = asyncio.get_running_loop().create_task(self._evict())

    async def close(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)

    async def _evict(self) -> None:
        held = await self._engine.private_memory()
        memory, now = self._engine.memory(), self._clock.now()
        evictions = decide_eviction(self._endpoints.loaded(held), memory, self._limits, now)
        for one in evictions:
            _log.info("endpoint %s: %s", one.key, one.sentence)
            self._endpoints.evict(one.key, one.sentence)
        if evictions:
            self._look_at = self._clock.monotonic() + SETTLE_SECONDS
            self._measure_at = self._look_at
        elif shortage_bytes(memory, sum(held.values()), self._limits):
            _log.warning(
                "memory is short, %d MiB available, and no endpoint may go: every one has requests or a min_replicas",
                memory.available_bytes // 2**20,
            )
            self._look_at = self._clock.monotonic() + MEASURE_SECONDS
