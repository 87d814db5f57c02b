"""Keeps what replicas hold below what they may: sends loaded endpoints to zero before memory is used up, and lets none
start for which there is no place yet (see `domain.eviction`).

What each replica holds is measured, which costs time for each of them: all when they have a bound together or memory is
short, and each once when it has become ready. So it is known what an endpoint takes before it starts again; one that
was never measured is taken to be like the others, and the first ones of all come a few at a time.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from modelyard.clock import Clock
from modelyard.controller.replicas import is_ready
from modelyard.domain.actions import Decision, Start
from modelyard.domain.eviction import Claims, Loaded, Memory, MemoryLimits, decide_eviction, first_bytes, shortage_bytes
from modelyard.domain.names import name_key
from modelyard.engines.ports import Engine

LOOK_SECONDS = 1.0

MEASURE_TIMES = 20
"""All are measured again after so many times what it took: it is to cost a twentieth of a core at most."""

WAIT_SECONDS = 3.0
"""How long a start waits for others to make place: requests may wait for it, so then it starts all the same."""

PAUSE_SECONDS = 0.2
"""How soon a start that waits is looked at again, even if nothing is heard of those that go."""

WARN_SECONDS = 10.0

_log = logging.getLogger("modelyard.controller")


@dataclass(frozen=True, slots=True)
class _Coming:
    """A replica that was started and not measured since it became ready."""

    key: str
    expected_bytes: int


@dataclass(frozen=True, slots=True)
class _Wish:
    """Replicas that are to start."""

    since: float
    expected_bytes: int


class Eviction:
    def __init__(
        self,
        engine: Engine,
        limits: MemoryLimits,
        clock: Clock,
        loaded: Callable[[dict[str, int]], list[Loaded]],
        evict: Callable[[str, str], None],
    ) -> None:
        """`loaded` gives the endpoints that have replicas, told what each replica holds; `evict` sends one to zero and
        takes its key and why."""
        self._engine = engine
        self._limits = limits
        self._clock = clock
        self._loaded = loaded
        self._evict = evict
        self._held: dict[str, int] = {}
        """What each replica held when it was last measured."""
        self._coming: dict[str, _Coming] = {}
        self._known: dict[str, int] = {}
        """What a replica of an endpoint holds when it is ready, by the endpoint's key."""
        self._waiting: dict[str, _Wish] = {}
        """What endpoints, by key, wait for: who waits longer comes first."""
        self._look_at = self._measure_at = self._warn_at = clock.monotonic()
        self._measured = False
        self._under_way: asyncio.Task[None] | None = None

    # -- before something starts -------------------------------------------------------------------------------------

    def hold_back(self, key: str, decision: Decision) -> Decision:
        """The decision without its starts while others make place for them, saying so."""
        starts = sum(isinstance(one, Start) for one in decision.actions)
        if not starts:
            self._waiting.pop(key, None)
            return decision
        now = self._clock.monotonic()
        wish = self._waiting.setdefault(key, _Wish(now, starts * self._expected(key)))
        if now - wish.since >= WAIT_SECONDS or self._has_place(key, wish):
            del self._waiting[key]
            return decision
        # What has just become ready is measured at once: it may be less than was thought.
        self._look_at = now
        actions = tuple(one for one in decision.actions if not isinstance(one, Start))
        sentence = f"{decision.sentence}; it waits until others, that nobody asks, have made place in memory"
        return replace(decision, actions=actions, sentence=sentence, wake_at=self._clock.now() + PAUSE_SECONDS)

    def note_start(self, replica: str, key: str) -> None:
        """The engine knows this one now."""
        self._coming[replica] = _Coming(key, self._expected(key))

    def forget(self, key: str) -> None:
        """The endpoint is gone."""
        self._known.pop(key, None)
        self._waiting.pop(key, None)

    def _has_place(self, key: str, wish: _Wish) -> bool:
        """Whether so much more may come. Where not, others are sent to zero. Where nobody is on the way out, may go
        soon, or may turn out to take less, it may all the same: waiting would not help."""
        memory = self._engine.memory()
        wished = wish.expected_bytes + sum(
            one.expected_bytes for one in self._waiting.values() if one.since < wish.since
        )
        coming = wished + sum(one.expected_bytes for one in self._coming.values())
        at_most = Claims(sum(self._held.values()), coming)
        if not shortage_bytes(memory, at_most, self._limits):
            return True
        loaded, claims = self._reckon(wished)
        if not shortage_bytes(memory, claims, self._limits):
            return True
        others = [one for one in loaded if one.key != key]
        sent = self._send_away(others, memory, claims)
        hope = sent or claims.leaving_bytes or self._coming or any(one.may_go_later for one in others)
        return not hope

    def _expected(self, key: str) -> int:
        if key in self._known:
            return self._known[key]
        return sum(self._known.values()) // len(self._known) if self._known else first_bytes(self._limits)

    # -- while they run ----------------------------------------------------------------------------------------------

    def __call__(self) -> None:
        """Begins a look in the background where one is due."""
        now = self._clock.monotonic()
        if now < self._look_at or (self._under_way is not None and not self._under_way.done()):
            return
        self._look_at = now + LOOK_SECONDS
        is_short = bool(shortage_bytes(self._engine.memory(), Claims(0), self._limits))
        is_due = bool(self._limits.replicas_bytes_max) and now >= self._measure_at
        if is_short or is_due or not self._measured:
            self._under_way = asyncio.get_running_loop().create_task(self._look())
        elif self._coming:
            self._under_way = asyncio.get_running_loop().create_task(self._measure(self._just_ready()))

    async def close(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            await asyncio.gather(self._under_way, return_exceptions=True)

    async def _look(self) -> None:
        await self._measure()
        memory = self._engine.memory()
        loaded, claims = self._reckon()
        now = self._clock.monotonic()
        if self._send_away(loaded, memory, claims) or claims.leaving_bytes or now < self._warn_at:
            return
        if shortage_bytes(memory, claims, self._limits):
            self._warn_at = now + WARN_SECONDS
            _log.warning(
                "memory is short, replicas hold %d MiB and %d MiB are available, and no endpoint may go: every one has "
                "requests or a min_replicas",
                claims.held_bytes // 2**20,
                memory.available_bytes // 2**20,
            )

    def _send_away(self, loaded: list[Loaded], memory: Memory, claims: Claims) -> bool:
        """Whether anybody goes."""
        evictions = decide_eviction(loaded, memory, claims, self._limits, self._clock.now())
        for one in evictions:
            _log.info("endpoint %s: %s", one.key, one.sentence)
            self._evict(one.key, one.sentence)
        return bool(evictions)

    # -- what they hold ----------------------------------------------------------------------------------------------

    def _reckon(self, coming_bytes: int = 0) -> tuple[list[Loaded], Claims]:
        """Who is loaded, and what all take, with what is about to start. What was not measured since it became ready
        holds what was expected of it; what is loading will."""
        held = dict(self._held)
        ready = self._just_ready()
        for replica, one in self._coming.items():
            sight = self._engine.replica(replica)
            is_loading = replica not in ready and sight is not None and not sight.stopping
            held[replica] = 0 if is_loading else one.expected_bytes
            coming_bytes += one.expected_bytes if is_loading else 0
        loaded = self._loaded(held)
        held_bytes = sum(held.get(one.id, 0) for one in self._engine.replicas() if one.alive)
        leaving_bytes = held_bytes - sum(one.private_bytes for one in loaded)
        return loaded, Claims(held_bytes, coming_bytes, leaving_bytes)

    def _just_ready(self) -> set[str]:
        """Those that are to be measured for the first time; of those that are gone nothing more is expected."""
        found: set[str] = set()
        for replica in list(self._coming):
            sight = self._engine.replica(replica)
            if sight is not None and is_ready(sight):
                found.add(replica)
            elif sight is None or not sight.alive:
                del self._coming[replica]
        return found

    async def _measure(self, replicas: set[str] | None = None) -> None:
        """Those, or all."""
        ready = self._just_ready()
        began_at = self._clock.monotonic()
        if replicas is None:
            self._held = await self._engine.private_memory()
            self._measured = True
            now = self._clock.monotonic()
            self._measure_at = now + max(LOOK_SECONDS, MEASURE_TIMES * (now - began_at))
        elif replicas:
            self._held |= await self._engine.private_memory(replicas)
        for replica in ready & self._held.keys():
            self._coming.pop(replica, None)
        for one in self._engine.replicas():
            if self._held.get(one.id) and is_ready(one):
                self._known[name_key(one.endpoint)] = self._held[one.id]
