"""Autoscaling: keeps what gateways report, and says how many replicas each endpoint should have now.

What was decided is on disk, in the endpoint's status; samples and recommendations are not. A controller that comes
after a dead one goes on with the number that it finds and watches anew, which the rules for a young autoscaler allow
for.
"""

import logging
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from modelyard.clock import Clock
from modelyard.domain.autoscaling import (
    TICK_SECONDS,
    Autoscaling,
    History,
    Past,
    Recommendation,
    Sample,
    capacity_of,
    default_target,
    evicted,
    proving,
    recommend,
)
from modelyard.domain.endpoints import Endpoint, EndpointSpec, VersionState
from modelyard.domain.names import name_key
from modelyard.domain.replicas import max_in_flight
from modelyard.domain.traces import LoadRecord
from modelyard.errors import StoreFailed
from modelyard.protocol.messages import Load
from modelyard.store.ports import Store

IDLE_TICK_SECONDS = 5.0
"""How often an endpoint without load is looked at, while there is still something to give back."""

RECORD_SECONDS = 5.0
"""Over what load is summed up before it is written down, and how often decisions are that change nothing."""

REMEMBERED_MAX = 7200
"""Samples and recommendations of one endpoint: an hour of ticks, the longest window and stabilization."""

_log = logging.getLogger("modelyard.controller")


class Meter:
    """The load of one endpoint between two decisions, all gateways together."""

    def __init__(self, now: float) -> None:
        self.max_in_flight: int | None = None
        self.batches = False
        self._by_gateway: dict[object, Load] = {}
        self._opened_at = self._seen_at = now
        self._in_flight_seconds = self._queued_seconds = 0.0
        self._lasting = self._peak = 0
        self._arrivals = 0

    def take(self, gateway: object, load: Load | None, now: float) -> None:
        """What a gateway reports; None where the gateway is gone."""
        self._pass_time(now)
        if load is None:
            self._by_gateway.pop(gateway, None)
        else:
            self._by_gateway[gateway] = load
            self._arrivals += load.arrivals
            if load.max_in_flight is not None:
                self.max_in_flight, self.batches = load.max_in_flight, load.batches
        loads = self._by_gateway.values()
        self._lasting = min(self._lasting, sum(one.least for one in loads))
        self._peak = max(self._peak, sum(one.most for one in loads))

    @property
    def demand(self) -> int:
        return sum(one.in_flight + one.queued for one in self._by_gateway.values())

    @property
    def at_rest(self) -> bool:
        return not self._arrivals and not self.demand

    def close(self, now: float) -> Sample:
        """The sample of the tick that ends now; the next one begins."""
        self._pass_time(now)
        seconds = max(now - self._opened_at, 1e-3)
        sample = Sample(
            at=now,
            seconds=seconds,
            in_flight=self._in_flight_seconds / seconds,
            # Where a request woke the endpoint no time has passed yet; it counts all the same.
            queued=max(self._queued_seconds / seconds, float(self._queued) if self._opened_at == now else 0.0),
            lasting=float(self._lasting),
            peak=float(max(self._peak, self.demand)),
            arrivals=self._arrivals,
        )
        self._opened_at, self._arrivals = now, 0
        self._lasting, self._peak = self.demand, 0
        self._in_flight_seconds = self._queued_seconds = 0.0
        return sample

    def begin_here(self) -> None:
        """What was before the load that is there now is no part of the tick."""
        self._lasting = self.demand

    @property
    def _queued(self) -> int:
        return sum(one.queued for one in self._by_gateway.values())

    def _pass_time(self, now: float) -> None:
        passed = max(0.0, now - self._seen_at)
        self._in_flight_seconds += passed * sum(one.in_flight for one in self._by_gateway.values())
        self._queued_seconds += passed * self._queued
        self._seen_at = now


@dataclass(slots=True)
class _Watch:
    """What is remembered of one endpoint that scales."""

    born_at: float
    last_request_at: float
    meter: Meter
    decide_at: float = 0.0
    version: int | None = None
    requested: int | None = None
    """Replicas that were asked for last; None where nobody has decided yet."""
    samples: deque[Sample] = field(default_factory=lambda: deque[Sample](maxlen=REMEMBERED_MAX))
    past: deque[Past] = field(default_factory=lambda: deque[Past](maxlen=REMEMBERED_MAX))
    recorded: Recommendation | None = None
    rests: bool = False
    """It was found at zero, which says nothing new."""
    unrecorded: list[Sample] = field(default_factory=list[Sample])
    """Samples since load was last written down, from the first with load on."""

    def keep(self, sample: Sample) -> None:
        if sample.demand or sample.arrivals:
            self.last_request_at = sample.at
        self.samples.append(sample)
        if self.unrecorded or sample.demand or sample.arrivals:
            self.unrecorded.append(sample)


def may_be_at_zero(endpoint: Endpoint) -> bool:
    settings = endpoint.governing.spec.autoscaling
    return settings is not None and not settings.min_replicas


def may_be_evicted(endpoint: Endpoint) -> bool:
    """Whether it may be at zero, and has proved that it comes back from there."""
    return may_be_at_zero(endpoint) and endpoint.wished.state is not VersionState.NEW


class Autoscaler:
    def __init__(self, store: Store, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._watches: dict[str, _Watch] = {}
        self._born_at = clock.now()
        self._changed: set[str] = set()
        self._due: dict[str, float] = {}
        self._unrecorded: list[tuple[str, Recommendation]] = []
        """Decisions that changed nothing and are not written down yet."""
        self._record_at = clock.monotonic() + RECORD_SECONDS
        self._gateways: set[object] = set()
        self._cores = len(os.sched_getaffinity(0))

    # -- from gateways -----------------------------------------------------------------------------------------------

    def gateway_came(self, gateway: object) -> None:
        self._gateways.add(gateway)

    def gateway_left(self, gateway: object) -> None:
        """What it held is gone with it."""
        self._gateways.discard(gateway)
        for watch in self._watches.values():
            watch.meter.take(gateway, None, self._clock.now())

    def take(self, gateway: object, loads: dict[str, Load]) -> None:
        """A report. The loop is woken for an endpoint that had no load before and has no replica; one that has is
        looked at when a tick is over, for before that nothing can be said of its load."""
        now = self._clock.now()
        for key, load in loads.items():
            watch = self._watches.get(key)
            if watch is None:
                # Nobody has looked at this endpoint yet; the pass that does so must find its load.
                watch = self._watches[key] = _Watch(self._born_at, 0.0, Meter(now))
            came = watch.meter.at_rest and bool(load.arrivals or load.in_flight or load.queued)
            if came and watch.requested:
                watch.keep(watch.meter.close(now))
                watch.meter.take(gateway, load, now)
                watch.meter.begin_here()
                watch.decide_at = self._due[key] = now + TICK_SECONDS
                continue
            watch.meter.take(gateway, load, now)
            if came:
                watch.decide_at = now
                self._changed.add(key)
                self._wake()

    def take_changed(self) -> set[str]:
        """Endpoints, by `name_key`, that were without a replica and have load since the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def take_due(self) -> dict[str, float]:
        """Endpoints with replicas that were at rest and have load since the last call, and when to look at them."""
        due, self._due = self._due, {}
        return due

    # -- for the pass ------------------------------------------------------------------------------------------------

    def scale(
        self, endpoint: Endpoint, present: int | None, living: int, room: int, evicted_for: str | None = None
    ) -> tuple[Endpoint, float | None]:
        """The endpoint with the replicas that it should have now, and when to ask again at the latest.

        `present` is what was asked for before, None where nothing was yet; `living` are the replicas that there are,
        `room` how many more fit. `evicted_for` is why it is to go to zero, which it does where no request is there.
        """
        settings = endpoint.governing.spec.autoscaling
        if settings is None or endpoint.deleting:
            self._watches.pop(name_key(endpoint.name), None)
            return endpoint, None
        now = self._clock.now()
        watch = self._watches.get(name_key(endpoint.name))
        if watch is None:
            born_at = now if present is None else self._born_at
            watch = self._watches[name_key(endpoint.name)] = _Watch(born_at, 0.0, Meter(now), rests=present == 0)
        current = settings.begins_with if present is None else present
        if evicted_for is not None and current and may_be_evicted(endpoint) and watch.meter.at_rest:
            capacity = living + max(0, room)
            self._record(endpoint, watch, evicted(settings, current, now, capacity, evicted_for))
            watch.decide_at = now + IDLE_TICK_SECONDS
            watch.requested = 0
            watch.samples.clear()
            return endpoint.scaled(0), watch.decide_at
        if now >= watch.decide_at or watch.version != endpoint.wished.number:
            watch.version = endpoint.wished.number
            current = self._decide(endpoint, settings, watch, current, living, room, now)
        return endpoint.scaled(current), watch.decide_at if watch.decide_at < float("inf") else None

    def at_rest(self, key: str) -> bool:
        """Whether no request is under way."""
        watch = self._watches.get(key)
        return watch is None or watch.meter.at_rest

    def forget(self, name: str) -> None:
        """The endpoint is gone."""
        self._watches.pop(name_key(name), None)
        self._unrecorded = [one for one in self._unrecorded if name_key(one[0]) != name_key(name)]
        self._store.scaling.forget(name)

    # -- deciding ----------------------------------------------------------------------------------------------------

    def _decide(
        self,
        endpoint: Endpoint,
        settings: Autoscaling,
        watch: _Watch,
        current: int,
        living: int,
        room: int,
        now: float,
    ) -> int:
        spec = endpoint.governing.spec
        settings = self._with_target(settings, spec, watch.meter)
        if self._gateways:
            self._sample(watch, settings, now)
        reserves = bool(spec.cpu_millis or spec.memory_bytes or spec.gpus)
        capacity = capacity_of(settings, living, room, self._cores, reserves=reserves)
        history = History(watch.born_at, watch.last_request_at, watch.past)
        found = recommend(settings, watch.samples, history, current, now, capacity)
        if endpoint.wished.state is VersionState.NEW and settings.begins_with:
            found = proving(found)
        if found.recommended is not None:
            watch.past.append(Past(now, found.recommended))
        watch.decide_at = now + self._pause(watch, settings, found)
        watch.requested = found.requested
        self._record(endpoint, watch, found)
        return found.requested

    def _with_target(self, settings: Autoscaling, spec: EndpointSpec, meter: Meter) -> Autoscaling:
        if settings.target_in_flight is not None:
            return settings
        plain = max_in_flight(spec, batches=False)
        concurrent = not meter.batches and meter.max_in_flight is not None and meter.max_in_flight > plain
        target = default_target(
            spec.threads_per_process, meter.max_in_flight, batches=meter.batches, concurrent=concurrent
        )
        return replace(settings, target_in_flight=target)

    def _sample(self, watch: _Watch, settings: Autoscaling, now: float) -> None:
        watch.keep(watch.meter.close(now))
        while watch.samples[0].at <= now - settings.window_seconds:
            watch.samples.popleft()
        kept = max(settings.upscale_stabilization_seconds, settings.downscale_stabilization_seconds)
        while watch.past and watch.past[0].at <= now - kept:
            watch.past.popleft()

    def _pause(self, watch: _Watch, settings: Autoscaling, found: Recommendation) -> float:
        """How long until the next look: a load is watched closely, and what rests is looked at when something may
        change."""
        if not watch.meter.at_rest or found.requested != found.current:
            return TICK_SECONDS
        recommended = found.current if found.recommended is None else found.recommended
        if recommended <= found.current == found.min_replicas:
            # The average can only fall now, and it cannot go below the minimum.
            return float("inf")
        if recommended <= found.current == 1:
            # Load wakes it, and else nothing can change before its delay is over.
            return max(TICK_SECONDS, settings.last_replica_delay_seconds - (found.idle_seconds or 0.0))
        if any(one.demand or one.arrivals for one in watch.samples):
            return TICK_SECONDS
        return IDLE_TICK_SECONDS

    # -- telling -----------------------------------------------------------------------------------------------------

    def write_down(self, *, at_once: bool = False) -> None:
        """The loads since the last time, and the decisions that changed nothing; where it is time. The prediction path
        does not hang on it: where the disk refuses, it is not written."""
        if self._clock.monotonic() < self._record_at and not at_once:
            return
        self._record_at = self._clock.monotonic() + RECORD_SECONDS
        loads = [(key, _load_record(watch)) for key, watch in self._watches.items() if watch.unrecorded]
        decisions, self._unrecorded = self._unrecorded, []
        for key, watch in list(self._watches.items()):
            watch.unrecorded = []
            if watch.requested == 0 and watch.decide_at == float("inf") and watch.meter.at_rest:
                # At rest at zero nothing of the past counts; thousands of them must not fill memory.
                del self._watches[key]
        try:
            self._store.scaling.add_loads(loads)
            self._store.scaling.add_decisions(decisions)
        except StoreFailed as error:
            _log.error("cannot write down the load of %d endpoints: %s", len(loads), error)

    def _record(self, endpoint: Endpoint, watch: _Watch, found: Recommendation) -> None:
        """Writes down a decision that changes something, and remembers one that says something new."""
        last = watch.recorded
        if found.requested == found.current:
            news = last is None or found.rule is not last.rule or found.recommended != last.recommended
            if news and (not watch.rests if last is None else found.at - last.at >= RECORD_SECONDS):
                watch.recorded = found
                self._unrecorded.append((endpoint.name, found))
            return
        watch.recorded = found
        try:
            # What was seen before it belongs before it.
            earlier, self._unrecorded = self._unrecorded, []
            self._store.scaling.add_decisions([*earlier, (endpoint.name, found)])
            self._store.events.add("endpoint", endpoint.name, f"scaling: {found.sentence}", found.at)
        except StoreFailed as error:
            _log.error("endpoint %s: %s", endpoint.name, error)
        _log.info("endpoint %s: %s", endpoint.name, found.sentence)


def _load_record(watch: _Watch) -> LoadRecord:
    samples = watch.unrecorded
    seconds = sum(one.seconds for one in samples)
    return LoadRecord(
        at=samples[-1].at,
        seconds=round(seconds, 3),
        in_flight=round(sum(one.in_flight * one.seconds for one in samples) / seconds, 4),
        queued=round(sum(one.queued * one.seconds for one in samples) / seconds, 4),
        arrivals=sum(one.arrivals for one in samples),
        replicas=watch.requested or 0,
    )
