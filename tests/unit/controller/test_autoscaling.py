"""The controller's side of scaling: what gateways report becomes decisions that are kept, told and gone on with."""

from dataclasses import replace
from typing import Any

import pytest

from modelyard.clock import ManualClock
from modelyard.controller.autoscaling import IDLE_TICK_SECONDS, Autoscaler, Meter
from modelyard.domain.autoscaling import TICK_SECONDS, Autoscaling
from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointVersion, VersionState
from modelyard.protocol.messages import Load
from modelyard.store.memory import MemoryStore

SETTINGS = Autoscaling(max_replicas=16)
ZERO = Autoscaling(min_replicas=0, max_replicas=16)


def load(demand: int, *, queued: int = 0, **more: Any) -> Load:
    return replace(Load(demand - queued, queued, demand, demand, demand), **more)


def price(settings: Autoscaling | None, state: VersionState = VersionState.READY, **spec: object) -> Endpoint:
    made = replace(EndpointSpec("package", autoscaling=settings), **spec)
    return Endpoint("Price", "shop", (EndpointVersion(1, made, 0.0, state),))


class Scaled:
    """An autoscaler with one gateway, and what it asks for."""

    def __init__(self, endpoint: Endpoint, present: int | None = None) -> None:
        self.clock, self.store, self.woken = ManualClock(), MemoryStore(), 0
        self.autoscaler = Autoscaler(self.store, self.clock, self._wake)
        self.endpoint, self.present = endpoint, present
        self.again_at: float | None = None
        self.looks = 0
        self.autoscaler.gateway_came("gateway")

    def _wake(self) -> None:
        self.woken += 1

    def report(self, load: Load, gateway: str = "gateway") -> None:
        self.autoscaler.take(gateway, {"price": load})

    def look(self, seconds: float = 0.0) -> int:
        self.clock.advance(seconds)
        found, self.again_at = self.autoscaler.scale(self.endpoint, self.present, self.present or 0, 100)
        self.present = found.wished.spec.replicas
        self.looks += 1
        self.autoscaler.write_down()
        return self.present

    def hold(self, load: Load, seconds: float) -> int:
        """The same load for so long, looked at as often as the autoscaler wants."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            self.report(load)
            self.look(TICK_SECONDS)
        return self.look()


def test_time_under_load_weighs_in_a_sample_and_least_and_most_are_kept() -> None:
    meter = Meter(100.0)
    meter.take("a", load(4), 100.0)
    meter.close(100.0)
    meter.take("a", load(2, least=1, most=6), 103.0)
    sample = meter.close(104.0)
    assert (sample.demand, sample.lasting, sample.peak, sample.arrivals) == ((4 * 3 + 2) / 4, 1, 6, 2)


def test_what_a_gateway_held_is_gone_with_it() -> None:
    meter = Meter(0.0)
    meter.take("a", load(3), 0.0)
    meter.take("b", load(5), 0.0)
    assert meter.demand == 8
    meter.take("b", None, 1.0)
    assert meter.demand == 3


def test_a_fixed_number_of_replicas_is_left_alone() -> None:
    scaled = Scaled(price(None, replicas=3))
    scaled.report(load(100))
    assert scaled.look() == 3
    assert scaled.again_at is None


def test_a_new_endpoint_begins_with_what_it_says_and_then_rests() -> None:
    scaled = Scaled(price(SETTINGS))
    assert scaled.look() == 1
    assert scaled.again_at is None


def test_a_burst_is_answered_within_two_ticks_and_told() -> None:
    scaled = Scaled(price(SETTINGS), present=1)
    scaled.look()
    assert scaled.hold(load(12), 2 * TICK_SECONDS) == 12
    (event,) = scaled.store.events.select("endpoint", "price")
    assert event.sentence.startswith("scaling: 12 to 12 in flight at once, 1 a replica: 1 -> 12")
    assert scaled.store.scaling.decisions("price")[0].requested == 12


def test_load_that_comes_after_a_rest_to_a_replica_is_looked_at_when_its_tick_is_over() -> None:
    scaled = Scaled(price(SETTINGS), present=1)
    scaled.look()
    came_at = scaled.clock.now()
    scaled.report(load(1))
    scaled.report(load(2))
    assert scaled.woken == 0
    assert scaled.autoscaler.take_due() == {"price": came_at + TICK_SECONDS}
    assert scaled.autoscaler.take_due() == {}


def test_a_burst_after_a_rest_is_answered_when_the_first_tick_is_over() -> None:
    scaled = Scaled(price(SETTINGS), present=1)
    scaled.look()
    scaled.clock.advance(100.0)
    scaled.report(replace(load(12), least=0))
    scaled.report(load(12))
    assert scaled.look(TICK_SECONDS) == 12


def test_a_lone_request_costs_few_looks_and_is_written_down() -> None:
    scaled = Scaled(price(ZERO), present=1)
    scaled.look()
    scaled.clock.advance(100.0)
    scaled.report(load(1, arrivals=1))
    scaled.report(load(0))
    scaled.look(TICK_SECONDS)
    assert scaled.again_at == scaled.clock.now() + ZERO.last_replica_delay_seconds
    scaled.autoscaler.write_down(at_once=True)
    (record,) = scaled.store.scaling.loads("price")
    assert (record.arrivals, record.seconds) == (1, TICK_SECONDS)


def test_a_request_wakes_an_endpoint_at_zero_in_the_same_moment() -> None:
    scaled = Scaled(price(ZERO), present=0)
    assert scaled.look() == 0
    scaled.report(load(1, queued=1))
    assert scaled.woken == 1
    assert scaled.look() == 1


def test_a_controller_that_comes_to_waiting_requests_wakes_their_endpoint() -> None:
    scaled = Scaled(price(ZERO), present=0)
    scaled.report(load(3, queued=3))
    assert scaled.look() == 1


def test_an_endpoint_goes_to_zero_after_its_delay_and_is_then_looked_at_no_more() -> None:
    scaled = Scaled(price(replace(ZERO, last_replica_delay_seconds=30.0)), present=1)
    scaled.look()
    waited = 0.0
    while scaled.look(IDLE_TICK_SECONDS):
        waited += IDLE_TICK_SECONDS
        assert waited <= 30.0
    assert waited >= 25.0
    scaled.look(IDLE_TICK_SECONDS)
    assert scaled.again_at is None


def test_a_version_that_was_never_ready_gets_a_replica_to_prove_itself() -> None:
    assert Scaled(price(ZERO, VersionState.NEW), present=0).look() == 1
    registered = replace(ZERO, init_replicas=0)
    assert Scaled(price(registered, VersionState.NEW)).look() == 0


def test_without_any_gateway_nothing_is_changed() -> None:
    scaled = Scaled(price(replace(ZERO, last_replica_delay_seconds=0.0)), present=5)
    scaled.autoscaler.gateway_left("gateway")
    assert scaled.look() == 5
    assert scaled.look(1000.0) == 5


@pytest.mark.parametrize(
    ("stated", "target"),
    [
        ({"max_in_flight": 64, "batches": True}, 32.0),
        ({"max_in_flight": 64, "batches": False}, 32.0),
        ({"max_in_flight": 2, "batches": False}, 1.0),
        ({}, 1.0),
    ],
)
def test_the_target_is_derived_from_what_a_replica_states(stated: dict[str, Any], target: float) -> None:
    scaled = Scaled(price(SETTINGS), present=1)
    scaled.report(load(1, **stated))
    scaled.look()
    scaled.autoscaler.write_down(at_once=True)
    assert scaled.store.scaling.decisions("price")[0].target_in_flight == target


def test_load_is_written_down_every_few_seconds_and_rest_is_not() -> None:
    scaled = Scaled(price(SETTINGS), present=4)
    scaled.look()
    scaled.hold(load(4), 10.0)
    records = scaled.store.scaling.loads("price")
    assert len(records) in (1, 2)
    assert records[-1].in_flight == pytest.approx(4.0)
    scaled.report(load(0))
    for _ in range(100):
        scaled.look(TICK_SECONDS)
    assert len(scaled.store.scaling.loads("price")) <= len(records) + 1


def test_a_forgotten_endpoint_leaves_nothing() -> None:
    scaled = Scaled(price(SETTINGS), present=1)
    scaled.report(load(3))
    scaled.look()
    scaled.autoscaler.forget("PRICE")
    assert scaled.store.scaling.decisions("price") == []
