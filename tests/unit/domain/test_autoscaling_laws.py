"""Autoscaling by law: whatever the load, these hold at every tick."""

import itertools
import math
from collections import deque
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.domain.autoscaling import Autoscaling, History, Past, Recommendation, Rule, Sample, recommend

BORN = 1_000.0
TICK = 5.0
"""Coarser than the real one, so that minutes pass in few steps."""


class Autoscaler:
    """Remembers what the pure function needs, as the controller does."""

    def __init__(self, rules: Autoscaling, current: int, capacity: int = 1000, tick: float = TICK) -> None:
        self.rules, self.current, self.capacity, self.tick = rules, current, capacity, tick
        self.now = BORN
        self.last_request_at = 0.0
        self.samples: deque[Sample] = deque(maxlen=100)
        self.past: deque[Past] = deque(maxlen=100)

    def sees(self, demand: float) -> Recommendation:
        self.now += self.tick
        self.samples.append(Sample(self.now, self.tick, demand, 0.0, demand, demand, round(demand)))
        if demand:
            self.last_request_at = self.now
        history = History(BORN, self.last_request_at, list(self.past))
        found = recommend(self.rules, list(self.samples), history, self.current, self.now, self.capacity)
        if found.recommended is not None:
            self.past.append(Past(self.now, found.recommended))
        self.current = found.requested
        return found


@st.composite
def rules(draw, fewest_max=5):
    fewest = draw(st.integers(0, fewest_max))
    return Autoscaling(
        min_replicas=fewest,
        max_replicas=max(1, fewest + draw(st.integers(0, 20))),
        target_in_flight=draw(st.sampled_from([0.5, 1.0, 4.0, 32.0])),
        window_seconds=draw(st.sampled_from([10.0, 60.0])),
        upscale_stabilization_seconds=draw(st.sampled_from([0.0, 10.0, 60.0])),
        downscale_stabilization_seconds=draw(st.sampled_from([0.0, 30.0, 300.0])),
        max_upscale_factor=draw(st.sampled_from([1.1, 1.5, 4.0])),
        downscale_kept_share=draw(st.sampled_from([0.0, 0.5, 0.75, 0.95])),
        burst_factor=draw(st.sampled_from([1.1, 2.0, 1000.0])),
        last_replica_delay_seconds=draw(st.sampled_from([0.0, 20.0, 300.0])),
    )


loads = st.lists(st.one_of(st.just(0.0), st.floats(0, 100)), min_size=1, max_size=80)


@settings(deadline=None, max_examples=80)
@given(rules(), loads, st.integers(0, 40), st.integers(0, 30))
def test_what_is_asked_for_is_within_minimum_and_maximum_and_never_grows_beyond_capacity(one, load, first, capacity):
    scaler = Autoscaler(one, one.within(first), capacity)
    for demand in load:
        before = scaler.current
        found = scaler.sees(demand)
        assert one.min_replicas <= found.requested <= (one.max_replicas or 0)
        assert found.requested <= max(before, capacity, one.min_replicas, 1)
        assert found.sentence


@settings(deadline=None, max_examples=60)
@given(rules(), st.floats(0, 60), st.integers(0, 25), st.integers(0, 30))
def test_steady_load_moves_it_one_way_and_then_not_at_all(one, demand, first, capacity):
    # A cut takes a whole period, so the longest way down takes more than an hour and a half.
    scaler = Autoscaler(one, one.within(first), capacity, tick=30.0)
    counts = [scaler.current, *(scaler.sees(demand).requested for _ in range(300))]
    moves = {after > before for before, after in itertools.pairwise(counts) if after != before}
    assert len(moves) <= 1 or demand > 0 == counts[0]
    assert len(set(counts[-60:])) == 1


@settings(deadline=None, max_examples=60)
@given(rules(), st.floats(0, 60), st.floats(0, 60), st.sampled_from([1.0, 5.0]))
@example(Autoscaling(max_replicas=6, window_seconds=10.0, downscale_stabilization_seconds=5.0), 1.0, 6.0, 1.0)
def test_after_a_step_from_one_steady_load_to_another_it_moves_one_way(one, before, after, tick):
    settled = one.within(math.ceil(before / (one.target_in_flight or 1)))
    scaler = Autoscaler(one, settled, tick=tick)
    for _ in range(round(60 / tick) + 1):
        settled = scaler.sees(before).requested
    counts = [settled, *(scaler.sees(after).requested for _ in range(150))]
    moves = {later > earlier for earlier, later in itertools.pairwise(counts) if later != earlier}
    assert len(moves) <= 1, counts


@settings(deadline=None, max_examples=80)
@given(rules(), loads, st.lists(st.floats(0, 50), min_size=80, max_size=80), st.integers(0, 25))
def test_more_load_never_asks_for_fewer_replicas(one, load, more, first):
    scaler, heavier = Autoscaler(one, one.within(first)), Autoscaler(one, one.within(first))
    for demand, extra in zip(load, more, strict=False):
        # Both decide from the same past, so that only the load differs.
        heavier.current, heavier.past = scaler.current, deque(scaler.past, maxlen=100)
        assert heavier.sees(demand + extra).requested >= scaler.sees(demand).requested


@settings(deadline=None, max_examples=80)
@given(rules(), loads, st.integers(0, 25))
def test_nothing_is_cut_while_anything_within_the_period_recommended_as_much(one, load, first):
    scaler = Autoscaler(one, one.within(first))
    for demand in load:
        before = scaler.current
        found = scaler.sees(demand)
        if found.requested < before and found.rule is not Rule.TO_ZERO:
            since = scaler.now - one.downscale_stabilization_seconds
            assert since >= BORN
            assert all(past.recommended < before for past in scaler.past if past.at > since)


@settings(deadline=None, max_examples=80)
@given(rules(0), loads, st.integers(1, 10))
def test_zero_comes_only_after_the_delay_without_any_request_and_the_next_request_ends_it(one, load, first):
    scaler = Autoscaler(one, one.within(first))
    for demand in load:
        before = scaler.current
        found = scaler.sees(demand)
        if found.requested == 0 and before > 0:
            assert before == 1
            assert scaler.now - max(BORN, scaler.last_request_at) >= one.last_replica_delay_seconds
        if before == 0 and demand > 0:
            assert found.requested >= 1


@settings(deadline=None, max_examples=50)
@given(rules(), st.floats(1, 60))
def test_demand_that_lasts_is_met_at_once_within_the_bounds(one, demand):
    quick = replace(one, burst_factor=1.01)
    scaler = Autoscaler(quick, quick.within(1))
    found = scaler.sees(demand)
    enough = demand / (quick.target_in_flight or 1)
    assert found.requested >= min(quick.max_replicas or 0, enough / 1.01)
