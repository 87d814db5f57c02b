"""Load over time, and what an autoscaler would have made of it.

A trace is a list of steps. Each says either how many requests were under way at once, whatever the number of replicas,
or how many arrived a second and how long one takes; then what waits is worked off when there are replicas for it.

The simulation runs the real decision (`autoscaling.recommend`) on a model of an endpoint: a replica works on
`target_in_flight` requests at once, more wait, and a replica that is started is there after `start_seconds`.
"""

import csv
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.domain.autoscaling import TICK_SECONDS, Autoscaling, History, Past, Rule, Sample, recommend
from modelyard.errors import InvalidValue

TRACE_STEPS_MAX = 100_000
TRACE_SECONDS_MAX = 31 * 86400.0
SIMULATED_TICKS_MAX = 30_000
"""A longer trace is simulated in longer ticks."""

START_SECONDS = 0.5
"""How long a replica takes to be ready, where nothing else is known: a fork of a warm template."""

CAPACITY_DEFAULT = 1000
REMEMBERED_MAX = 7200
"""Samples and recommendations that one simulation keeps: an hour of ticks."""


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """What was seen of an endpoint for a while."""

    at: float
    """End, wall clock."""
    seconds: float
    in_flight: float
    queued: float
    """Averages."""
    arrivals: int
    replicas: int
    """Replicas that were asked for."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """Load that stays for so long. Either `demand` is given, or `arrivals_per_second` with `service_seconds`."""

    seconds: float
    demand: float | None = None
    arrivals_per_second: float = 0.0
    service_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick of a simulation."""

    seconds: float
    """Since its begin."""
    demand: float
    queued: float
    ready: int
    requested: int


@dataclass(frozen=True, slots=True)
class Simulation:
    moments: tuple[Moment, ...]
    replica_hours: float
    replicas_max: int
    queued_mean: float
    queued_max: float
    queueing_seconds: float
    """Seconds with requests waiting."""
    wait_mean_seconds: float | None
    """Of a request; None where the trace does not say how many there are."""
    raises: int
    cuts: int
    wakes: int
    """Raises from zero: requests that waited for a start."""


def trace_from_csv(text: str) -> list[TraceStep]:
    """Reads a table with a header: `seconds` and either `in_flight`, or `arrivals_per_second` and `service_seconds`.
    `seconds` counts from any beginning and grows; a row holds until the next, and the last only marks the end. Raises
    InvalidValue naming the line."""
    rows = list(csv.DictReader(text.splitlines()))
    header: set[str] = set(rows[0]) if rows else set()
    by_demand = {"seconds", "in_flight"} <= header
    if not by_demand and not {"seconds", "arrivals_per_second", "service_seconds"} <= header:
        raise InvalidValue(
            "cannot read the trace: it has neither the columns seconds, in_flight"
            " nor seconds, arrivals_per_second, service_seconds",
            "the first line names the columns",
        )
    if not 2 <= len(rows) <= TRACE_STEPS_MAX:
        raise InvalidValue(f"cannot use the trace: it has {len(rows)} rows", f"give it 2 to {TRACE_STEPS_MAX}")
    times = [_number(row, "seconds", line) for line, row in enumerate(rows, 2)]
    steps: list[TraceStep] = []
    for line, (row, begin, end) in enumerate(zip(rows, times, times[1:], strict=False), 2):
        if end <= begin:
            raise InvalidValue(f"cannot read line {line + 1} of the trace: its seconds are not after those before")
        if by_demand:
            steps.append(TraceStep(end - begin, _number(row, "in_flight", line)))
        else:
            arrivals, service = (_number(row, name, line) for name in ("arrivals_per_second", "service_seconds"))
            steps.append(TraceStep(end - begin, None, arrivals, service))
    return steps


def _number(row: dict[str, str | None], column: str, line: int) -> float:
    text = row.get(column)
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise InvalidValue(f"cannot read line {line} of the trace: {column} is {text!r}, not a number from 0")
    return value


def trace_from_records(records: Sequence[LoadRecord], target_in_flight: float) -> list[TraceStep]:
    """What was recorded, as a trace. What is missing between two records was a time without load."""
    steps: list[TraceStep] = []
    end: float | None = None
    for one in records:
        gap = one.at - one.seconds - end if end is not None else 0.0
        if gap > TICK_SECONDS:
            steps.append(TraceStep(gap, 0.0))
        # A replica holds more than it works on: what waits there for its turn is not being served.
        served = min(one.in_flight, one.replicas * target_in_flight) if one.replicas else one.in_flight
        if one.arrivals and served:
            # Arrivals and the time that serving one takes make up what is served at once (Little's law).
            rate = one.arrivals / one.seconds
            steps.append(TraceStep(one.seconds, None, rate, served / rate))
        else:
            steps.append(TraceStep(one.seconds, one.in_flight + one.queued))
        end = one.at
    return steps


def simulate(
    settings: Autoscaling,
    trace: Sequence[TraceStep],
    *,
    start_seconds: float = START_SECONDS,
    capacity: int = CAPACITY_DEFAULT,
) -> Simulation:
    """Replays a trace against these settings. Begins with what a new endpoint begins with, and with an autoscaler that
    has watched for long enough. Raises InvalidValue for a trace that is empty or too long."""
    total = sum(step.seconds for step in trace)
    if not 0 < total <= TRACE_SECONDS_MAX:
        raise InvalidValue(
            f"cannot simulate {total:g} s", f"give a trace of more than 0 and at most {TRACE_SECONDS_MAX:g} s"
        )
    tick = max(TICK_SECONDS, total / SIMULATED_TICKS_MAX)
    model = _Model(settings, start_seconds, capacity)
    for step in trace:
        left = step.seconds
        while left > 1e-9:
            model.tick(step, min(tick, left))
            left -= tick
    return model.summary()


class _Model:
    """An endpoint with its autoscaler, as far as the simulation needs it."""

    def __init__(self, settings: Autoscaling, start_seconds: float, capacity: int) -> None:
        self._settings = settings
        self._start_seconds = start_seconds
        self._capacity = capacity
        self._target = settings.target_in_flight or 1.0
        self._now = 0.0
        self._requested = settings.begins_with
        self._ready = self._requested
        self._starting: deque[tuple[float, int]] = deque()
        self._backlog = 0.0
        self._arrived = 0.0
        self._counts_requests = False
        # Before any stabilization, so that the first minutes of a trace show the settings and not the youth.
        self._born_at = -max(settings.upscale_stabilization_seconds, settings.downscale_stabilization_seconds)
        self._last_request_at = 0.0
        self._samples: deque[Sample] = deque(maxlen=REMEMBERED_MAX)
        self._past: deque[Past] = deque(maxlen=REMEMBERED_MAX)
        self._moments: list[Moment] = []
        self._lengths: list[float] = []
        self._raises = self._cuts = self._wakes = 0

    def tick(self, step: TraceStep, seconds: float) -> None:
        self._now += seconds
        self._come_up()
        slots = self._ready * self._target
        if step.demand is None:
            in_flight, queued, arrivals = self._work(step, seconds, slots)
        else:
            in_flight, queued = min(step.demand, slots), max(0.0, step.demand - slots)
            arrivals = 1.0 if step.demand else 0.0
        if arrivals or in_flight or queued:
            self._last_request_at = self._now
        demand = in_flight + queued
        self._samples.append(Sample(self._now, seconds, in_flight, queued, demand, demand, math.ceil(arrivals)))
        self._moments.append(Moment(self._now, demand, queued, self._ready, self._requested))
        self._lengths.append(seconds)
        self._decide()

    def _work(self, step: TraceStep, seconds: float, slots: float) -> tuple[float, float, float]:
        """What arrives joins what waits; replicas take from it as fast as they can."""
        arrivals = step.arrivals_per_second * seconds
        self._counts_requests = True
        self._arrived += arrivals
        waiting = self._backlog + arrivals
        done = min(waiting, slots * seconds / step.service_seconds) if step.service_seconds else waiting
        done = done if slots else 0.0
        self._backlog = waiting - done
        return min(slots, done * step.service_seconds / seconds), self._backlog, arrivals

    def _come_up(self) -> None:
        while self._starting and self._starting[0][0] <= self._now:
            self._ready += self._starting.popleft()[1]

    def _decide(self) -> None:
        history = History(self._born_at, self._last_request_at, self._past)
        watched = [one for one in self._samples if one.at > self._now - self._settings.window_seconds]
        found = recommend(self._settings, watched, history, self._requested, self._now, self._capacity)
        if found.recommended is not None:
            self._past.append(Past(self._now, found.recommended))
        change = found.requested - self._requested
        self._raises += change > 0
        self._cuts += change < 0
        self._wakes += found.rule is Rule.WAKE
        self._requested = found.requested
        if change > 0:
            self._starting.append((self._now + self._start_seconds, change))
        elif change < 0:
            self._let_go(-change)

    def _let_go(self, count: int) -> None:
        """What is still starting goes first."""
        while count and self._starting:
            at, coming = self._starting.pop()
            if coming > count:
                self._starting.append((at, coming - count))
            count -= min(count, coming)
        self._ready -= count

    def summary(self) -> Simulation:
        weighed = list(zip(self._moments, self._lengths, strict=True))
        queue_seconds = sum(one.queued * seconds for one, seconds in weighed)
        total = sum(self._lengths)
        return Simulation(
            moments=tuple(self._moments),
            replica_hours=sum(max(one.ready, one.requested) * seconds for one, seconds in weighed) / 3600,
            replicas_max=max(one.requested for one in self._moments),
            queued_mean=queue_seconds / total,
            queued_max=max(one.queued for one in self._moments),
            queueing_seconds=sum(seconds for one, seconds in weighed if one.queued > 0),
            wait_mean_seconds=queue_seconds / self._arrived if self._counts_requests and self._arrived else None,
            raises=self._raises,
            cuts=self._cuts,
            wakes=self._wakes,
        )
