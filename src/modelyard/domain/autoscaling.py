"""How many replicas an endpoint should have, from the load of its last minute.

One pure function, called twice a second: it looks at the settings, at what gateways saw, at its own earlier
recommendations and at the time, and returns a recommendation with every term that led to it. The names and the
algorithm are Cortex's (cortex 0.42), with five additions:

* a burst path: demand that lasts and is well beyond what the present replicas are meant to hold is answered at once,
  past the average, the largest step and the stabilization, though never past maximum and capacity;
* nothing is cut below what is in flight now needs, which an average over a quiet minute does not know of: a burst would
  raise it again at once;
* the last replica goes after a delay of its own, without any request, and comes back with the first one;
* capacity: what does not fit on the machine is not asked for;
* `max_downscale_factor` is called by what it does, `downscale_kept_share`: a larger one shrinks slower.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from modelyard.errors import InvalidValue

TICK_SECONDS = 0.5
"""How often an endpoint under load is looked at."""

REPLICAS_PER_CORE_MAX = 8
"""Replicas of one endpoint that reserve nothing, for each core: without a bound a burst would swamp the machine."""


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """How one endpoint scales. The yard file writes Cortex's names, with durations as people write them."""

    min_replicas: int = 1
    """0 lets it go to zero; the next request is held until a replica is back."""
    max_replicas: int | None = None
    """None means as many as the machine has cores, and room for."""
    init_replicas: int | None = None
    """What a new endpoint begins with; None is `min_replicas`, but 1 at least, which proves that it can start."""
    target_in_flight: float | None = None
    """Requests, inside and waiting, that a replica is meant to hold; None derives it (see `default_target`)."""
    window_seconds: float = 60.0
    """What the average runs over."""
    upscale_stabilization_seconds: float = 60.0
    """A raise must have been recommended for so long."""
    downscale_stabilization_seconds: float = 300.0
    """A cut must have been recommended for so long."""
    max_upscale_factor: float = 1.5
    """Most replicas after one step up, as a multiple; one more is always allowed."""
    downscale_kept_share: float = 0.75
    """Least replicas after one step down, as a share; one less is always allowed. Cortex's `max_downscale_factor`."""
    upscale_tolerance: float = 0.05
    downscale_tolerance: float = 0.05
    """Need that is off by a smaller share changes nothing."""
    burst_factor: float = 1.1
    """Demand that was throughout a tick more than so many times what the replicas are meant to hold is a burst."""
    last_replica_delay_seconds: float = 300.0
    """How long there must be no request before the last replica goes."""

    @property
    def begins_with(self) -> int:
        return max(1, self.min_replicas) if self.init_replicas is None else self.init_replicas

    def within(self, replicas: int) -> int:
        """The nearest count that minimum and maximum allow."""
        most = replicas if self.max_replicas is None else self.max_replicas
        return max(self.min_replicas, min(replicas, most))


def autoscaling_from(document: dict[str, Any]) -> Autoscaling:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Autoscaling(**{key: document[key] for key in Autoscaling.__dataclass_fields__ if key in document})


def check_autoscaling(settings: Autoscaling) -> None:
    """Raises InvalidValue where minimum, beginning and maximum contradict each other."""
    least, first, most = settings.min_replicas, settings.begins_with, settings.max_replicas
    if first < least or (most is not None and not (most >= 1 and first <= most)):
        raise InvalidValue(
            f"cannot scale between {least} and {most} replicas beginning with {first}",
            "write min_replicas <= init_replicas <= max_replicas, and at least 1 for the last",
        )


def default_target(threads: int, max_in_flight: int | None, *, batches: bool, concurrent: bool) -> float:
    """`target_in_flight` where none is set: half of what a replica takes where it batches or is asynchronous, so that a
    next batch gathers while one runs; else as many as run at once. `max_in_flight` is what a replica said, if any."""
    if max_in_flight is not None and (batches or concurrent):
        return max(1.0, max_in_flight / 2)
    return float(threads)


def capacity_of(settings: Autoscaling, living: int, room: int, cores: int, *, reserves: bool) -> int:
    """Most replicas that this endpoint may have on this machine. `room` is how many more fit beside the living ones."""
    fits = living + max(0, room)
    if settings.max_replicas is None:
        return min(fits, max(1, cores))
    return fits if reserves else min(fits, REPLICAS_PER_CORE_MAX * max(1, cores))


@dataclass(frozen=True, slots=True)
class Sample:
    """The load of one endpoint over one tick, all gateways together."""

    at: float
    """End of the tick, wall clock."""
    seconds: float
    """Its length."""
    in_flight: float
    """Requests inside replicas, on average over the tick."""
    queued: float
    """Requests that waited in gateways, on average."""
    lasting: float
    """The least demand that was seen in the tick: what was there throughout."""
    peak: float
    """The most."""
    arrivals: int = 0

    @property
    def demand(self) -> float:
        return self.in_flight + self.queued


@dataclass(frozen=True, slots=True)
class Past:
    """What was recommended once, before stabilization."""

    at: float
    recommended: int


@dataclass(frozen=True, slots=True)
class History:
    """What the autoscaler of one endpoint remembers. It is lost with the controller, hence `born_at`."""

    born_at: float
    last_request_at: float
    recommendations: Sequence[Past] = ()
    """In order of time, at least as far back as the longer of both stabilizations."""


class Rule(StrEnum):
    """Which term decided."""

    NO_LOAD_KNOWN = "no load known"  # no gateway has reported
    STEADY = "steady"  # the need is what is there
    UP = "up"  # the average asks for more
    DOWN = "down"  # the average asks for less
    IN_USE = "in use"  # the average asks for less, what is in flight does not
    BURST = "burst"  # lasting demand far beyond what is there
    WAKE = "wake"  # a request while there is no replica
    STABILIZING = "stabilizing"  # the need has not lasted long enough
    YOUNG = "young"  # the autoscaler has not watched long enough
    LAST_REPLICA = "last replica"  # the last one stays until its delay is over
    TO_ZERO = "to zero"  # nothing asked for it throughout the delay
    BOUND = "bound"  # minimum or maximum
    CAPACITY = "capacity"  # the machine has no room for more
    EVICTED = "evicted"  # memory is short and others were asked more recently
    PROVING = "proving"  # a new version has to show that it starts


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One decision with all its terms; None where the decision did not come to the term."""

    at: float
    rule: Rule
    current: int
    """Replicas that were asked for before."""
    requested: int
    """Replicas that are asked for now."""
    sentence: str
    target_in_flight: float
    min_replicas: int
    max_replicas: int | None
    capacity: int
    average_in_flight: float | None = None
    needed: float | None = None
    """The average divided by the target: replicas, not rounded."""
    tolerated: int | None = None
    """Rounded up, or the present number within the tolerances."""
    stepped: int | None = None
    """After the largest step up or down."""
    in_use: int | None = None
    """What the least of the last tick needs: nothing is cut below it, for it would be raised again at once."""
    lasting_in_flight: float | None = None
    """The least of the last tick: what makes a burst."""
    peak_in_flight: float | None = None
    """The most of the last tick: what a burst is answered for."""
    burst: int | None = None
    """What the burst path asks for."""
    recommended: int | None = None
    """Before stabilization; what the history keeps."""
    stabilized_floor: int | None = None
    """The most that was recommended within the downscale stabilization."""
    stabilized_ceiling: int | None = None
    """The least that was recommended within the upscale stabilization."""
    idle_seconds: float | None = None


def recommendation_from(document: dict[str, Any]) -> Recommendation:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields: dict[str, Any] = {key: document[key] for key in Recommendation.__dataclass_fields__ if key in document}
    fields["rule"] = Rule(fields["rule"])
    return Recommendation(**fields)


def recommend(
    settings: Autoscaling, samples: Sequence[Sample], history: History, current: int, now: float, capacity: int
) -> Recommendation:
    """How many replicas to ask for. `samples` are in order of time; `capacity` is the most that fit (see
    `capacity_of`): it bounds what is added, never what is there."""
    watched = [one for one in samples if one.at > now - settings.window_seconds]
    target = settings.target_in_flight or 1.0
    terms = Recommendation(
        at=now,
        rule=Rule.STEADY,
        current=current,
        requested=current,
        sentence="",
        target_in_flight=target,
        min_replicas=settings.min_replicas,
        max_replicas=settings.max_replicas,
        capacity=capacity,
        idle_seconds=max(0.0, now - max(history.born_at, history.last_request_at)),
    )
    if not watched:
        return _told(replace(terms, rule=Rule.NO_LOAD_KNOWN), settings.within(current))
    terms = _with_load(terms, settings, watched, target)
    if current == 0 and settings.min_replicas == 0:
        return _decide_at_zero(terms, watched[-1])
    if current == 1 and settings.min_replicas == 0 and _is_idle(terms, settings, watched[-1]):
        return _told(replace(terms, rule=Rule.TO_ZERO, recommended=0), 0)
    return _bounded(_stabilized(terms, settings, history, now), settings)


def _with_load(terms: Recommendation, settings: Autoscaling, watched: list[Sample], target: float) -> Recommendation:
    """Average, need, tolerance, largest step, burst: what the load itself asks for."""
    current = terms.current
    average = sum(one.demand * one.seconds for one in watched) / sum(one.seconds for one in watched)
    needed = average / target
    tolerated = math.ceil(needed)
    if current * (1 - settings.downscale_tolerance) < needed < current * (1 + settings.upscale_tolerance):
        tolerated = current
    stepped = max(tolerated, min(current - 1, math.ceil(current * settings.downscale_kept_share)))
    stepped = min(stepped, max(current + 1, math.ceil(current * settings.max_upscale_factor)))
    last = watched[-1]
    in_use = math.ceil(last.lasting / target)
    recommended = _within(terms, max(stepped, min(current, in_use)))
    burst = None
    if last.lasting > current * target * settings.burst_factor:
        burst = _within(terms, math.ceil(last.peak / target))
        recommended = max(recommended, burst)
    return replace(
        terms,
        average_in_flight=average,
        needed=needed,
        tolerated=tolerated,
        stepped=stepped,
        in_use=in_use,
        lasting_in_flight=last.lasting,
        peak_in_flight=last.peak,
        burst=burst,
        recommended=recommended,
    )


def _within(terms: Recommendation, replicas: int) -> int:
    """Between minimum and maximum; capacity bounds what is added."""
    most = max(terms.current, terms.capacity, terms.min_replicas)
    if terms.max_replicas is not None:
        most = min(most, terms.max_replicas)
    return max(terms.min_replicas, min(replicas, most))


def _decide_at_zero(terms: Recommendation, last: Sample) -> Recommendation:
    """Only what is asked for now counts: the average still remembers the load before."""
    if last.demand > 0 or last.arrivals > 0:
        woken = max(1, terms.burst or 0)
        return _told(replace(terms, rule=Rule.WAKE, recommended=woken), woken)
    return _told(replace(terms, recommended=0), 0)


def _is_idle(terms: Recommendation, settings: Autoscaling, last: Sample) -> bool:
    idle = terms.idle_seconds or 0.0
    return idle >= settings.last_replica_delay_seconds and not last.demand and not last.arrivals


def _stabilized(terms: Recommendation, settings: Autoscaling, history: History, now: float) -> Recommendation:
    """Holds back what has not been recommended for long enough. A burst is not held back."""
    current, recommended = terms.current, terms.recommended or 0
    if terms.burst is not None and terms.burst > current:
        return replace(terms, rule=Rule.BURST, requested=recommended)
    if recommended < current:
        return _stabilized_down(terms, settings, history, now)
    if recommended > current:
        period = settings.upscale_stabilization_seconds
        if now - history.born_at < period:
            return replace(terms, rule=Rule.YOUNG, requested=current)
        recent = [one.recommended for one in history.recommendations if one.at > now - period]
        ceiling = max(min((*recent, recommended)), current)
        rule = Rule.STABILIZING if ceiling < recommended else Rule.UP
        return replace(terms, rule=rule, requested=ceiling, stabilized_ceiling=ceiling)
    return replace(terms, rule=Rule.IN_USE if _is_in_use(terms) else Rule.STEADY, requested=current)


def _is_in_use(terms: Recommendation) -> bool:
    """What is in flight now holds back a cut that the average asks for."""
    return (terms.stepped or 0) < min(terms.current, terms.in_use or 0)


def _stabilized_down(terms: Recommendation, settings: Autoscaling, history: History, now: float) -> Recommendation:
    current, recommended = terms.current, terms.recommended or 0
    if current == 1:
        return replace(terms, rule=Rule.LAST_REPLICA, requested=1)
    period = settings.downscale_stabilization_seconds
    if now - history.born_at < period:
        return replace(terms, rule=Rule.YOUNG, requested=current)
    recent = [one.recommended for one in history.recommendations if one.at > now - period]
    floor = min(max((*recent, recommended)), current)
    rule = Rule.IN_USE if _is_in_use(terms) else Rule.DOWN
    rule = Rule.STABILIZING if floor > recommended else rule
    # The last replica never goes together with others: it has a delay of its own.
    return replace(terms, rule=rule, requested=max(1, floor), stabilized_floor=floor)


def _bounded(terms: Recommendation, settings: Autoscaling) -> Recommendation:
    """Names the bound where one decided, and keeps to a minimum and maximum that a deploy has just changed."""
    requested = settings.within(terms.requested)
    asked = max(terms.stepped or 0, math.ceil((terms.peak_in_flight or 0) / terms.target_in_flight))
    asked = asked if terms.burst is not None else terms.stepped or 0
    rule = terms.rule
    if requested != terms.requested:
        rule = Rule.BOUND
    elif rule in (Rule.STEADY, Rule.UP, Rule.BURST) and asked > requested:
        rule = Rule.BOUND if requested == terms.max_replicas else Rule.CAPACITY
    elif rule is Rule.STEADY and asked < requested:
        rule = Rule.BOUND
    return _told(replace(terms, rule=rule), requested)


def _told(terms: Recommendation, requested: int) -> Recommendation:
    done = replace(terms, requested=requested)
    return replace(done, sentence=f"{_load_told(done)}: {_change_told(done)}, {_reason_told(done)}")


def _load_told(terms: Recommendation) -> str:
    if terms.average_in_flight is None:
        return "no gateway has reported"
    if terms.rule is Rule.WAKE:
        return "a request came while there was no replica"
    if terms.rule is Rule.BURST:
        seen = f"{terms.lasting_in_flight:g} to {terms.peak_in_flight:g} in flight at once"
        return f"{seen}, {terms.target_in_flight:g} a replica"
    return (
        f"{terms.average_in_flight:.2f} in flight on average, {terms.target_in_flight:g} a replica,"
        f" {terms.needed:.2f} needed"
    )


def _change_told(terms: Recommendation) -> str:
    if terms.requested == terms.current:
        return f"{terms.current} stays" if terms.current < 2 else f"{terms.current} stay"
    return f"{terms.current} -> {terms.requested}"


_REASONS = {
    Rule.NO_LOAD_KNOWN: "nothing is changed blindly",
    Rule.STEADY: "as it should be",
    Rule.UP: "as the average asks",
    Rule.DOWN: "as the average asks",
    Rule.IN_USE: "with {terms.lasting_in_flight:g} in flight at present",
    Rule.BURST: "raised at once for a burst",
    Rule.WAKE: "woken at once",
    Rule.STABILIZING: "a {way} to {terms.recommended} has not been recommended for long enough",
    Rule.YOUNG: "{terms.recommended} is recommended, but the load has not been watched for long enough",
    Rule.LAST_REPLICA: "the last replica stays until nothing has asked for it for long enough"
    " ({terms.idle_seconds:.0f} s so far)",
    Rule.TO_ZERO: "nothing has asked for it for {terms.idle_seconds:.0f} s",
    Rule.BOUND: "{bound}",
    Rule.CAPACITY: "the machine has room for {terms.capacity}",
    Rule.PROVING: "a new version has to show that it starts",
}


def _reason_told(terms: Recommendation) -> str:
    if terms.rule in (Rule.UP, Rule.DOWN) and terms.requested != terms.tolerated:
        return "one step at a time"
    at_most = terms.max_replicas is not None and terms.requested >= terms.max_replicas
    return _REASONS[terms.rule].format(
        terms=terms,
        way="raise" if (terms.recommended or 0) > terms.current else "cut",
        bound=f"at most {terms.max_replicas}" if at_most else f"at least {terms.min_replicas}",
    )


def evicted(settings: Autoscaling, current: int, now: float, capacity: int, reason: str) -> Recommendation:
    """The decision that memory made, whatever the load was: at zero until the next request."""
    return Recommendation(
        at=now,
        rule=Rule.EVICTED,
        current=current,
        requested=0,
        sentence=f"{current} -> 0, {reason}",
        target_in_flight=settings.target_in_flight or 1.0,
        min_replicas=settings.min_replicas,
        max_replicas=settings.max_replicas,
        capacity=capacity,
        recommended=0,
    )


def proving(terms: Recommendation) -> Recommendation:
    """The same decision for a version that has never been ready: one replica at least, so that its failure is seen at
    the deploy and not by the first who asks."""
    return _told(replace(terms, rule=Rule.PROVING), 1) if terms.requested == 0 else terms
