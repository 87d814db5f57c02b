"""One decision at a time: what the load of a window comes to, and what holds it back."""

from dataclasses import replace

import pytest

from modelyard.domain.autoscaling import (
    Autoscaling,
    History,
    Past,
    Rule,
    Sample,
    autoscaling_from,
    capacity_of,
    default_target,
    proving,
    recommend,
)

NOW = 10_000.0
SETTINGS = Autoscaling(max_replicas=100, target_in_flight=1.0)
OLD = History(born_at=0.0, last_request_at=NOW)


def load(demand: float, *, lasting: float | None = None, peak: float | None = None, seconds: int = 60) -> list[Sample]:
    """The same demand throughout; by default nothing of it lasts, so that no burst interferes."""
    return [
        Sample(NOW - ago, 1.0, demand, 0.0, lasting or 0.0, peak or lasting or 0.0, round(demand))
        for ago in range(seconds - 1, -1, -1)
    ]


def recommended(*counts: int, seconds: float = 299.0) -> History:
    """These recommendations, spread over the last seconds."""
    step = seconds / len(counts)
    return replace(OLD, recommendations=[Past(NOW - seconds + step * i, one) for i, one in enumerate(counts)])


def decide(demand, current, settings=SETTINGS, history=OLD, capacity=100, **more):
    return recommend(settings, load(demand, **more), history, current, NOW, capacity)


@pytest.mark.parametrize(
    ("demand", "current", "tolerated"),
    [(2.2, 2, 3), (2.05, 2, 2), (1.95, 2, 2), (0.4, 1, 1), (0.0, 1, 0), (9.6, 10, 10), (9.4, 10, 10), (8.9, 10, 9)],
)
def test_the_average_over_the_target_is_rounded_up_unless_it_is_nearly_what_is_there(demand, current, tolerated):
    assert decide(demand, current).tolerated == tolerated


def test_each_moment_of_the_window_weighs_as_much_as_it_lasted():
    samples = [Sample(NOW - 5, 9.0, 1.0, 0.0, 0.0, 1.0), Sample(NOW, 1.0, 11.0, 0.0, 0.0, 11.0)]
    assert recommend(SETTINGS, samples, OLD, 1, NOW, 100).average_in_flight == 2.0


def test_one_step_up_is_at_most_the_factor_but_one_more_is_always_allowed():
    assert decide(100, 10).stepped == 15
    assert decide(100, 1).stepped == 2


def test_a_larger_kept_share_shrinks_slower_and_one_less_is_always_allowed():
    assert decide(0, 10, replace(SETTINGS, downscale_kept_share=0.9)).stepped == 9
    assert decide(0, 10, replace(SETTINGS, downscale_kept_share=0.5)).stepped == 5
    assert decide(0, 10, replace(SETTINGS, downscale_kept_share=0.99)).stepped == 9


def test_a_raise_waits_until_it_was_recommended_throughout_its_period():
    held = decide(3, 2, history=recommended(3, 3, 2, 3, seconds=59))
    assert (held.requested, held.rule) == (2, Rule.STABILIZING)
    assert held.sentence == (
        "3.00 in flight on average, 1 a replica, 3.00 needed: 2 stay,"
        " a raise to 3 has not been recommended for long enough"
    )
    raised = decide(3, 2, history=recommended(3, 3, 3, 3, seconds=59))
    assert (raised.requested, raised.rule) == (3, Rule.UP)


def test_a_cut_goes_no_lower_than_the_most_of_its_period():
    held = decide(1, 8, history=recommended(8, 6, 6, 6))
    assert (held.requested, held.rule) == (8, Rule.STABILIZING)
    cut = decide(1, 8, history=recommended(7, 6, 6, 6))
    assert (cut.requested, cut.rule, cut.stabilized_floor) == (7, Rule.STABILIZING, 7)
    assert decide(1, 8, history=recommended(6, 6, 6)).rule is Rule.DOWN


@pytest.mark.parametrize(("demand", "current", "age"), [(3, 2, 59), (1, 8, 299)])
def test_an_autoscaler_that_has_not_watched_for_long_enough_changes_nothing(demand, current, age):
    young = decide(demand, current, history=History(NOW - age, NOW))
    assert (young.requested, young.rule) == (current, Rule.YOUNG)
    assert decide(demand, current, history=History(NOW - age - 1, NOW)).rule in (Rule.UP, Rule.DOWN)


def test_demand_that_lasts_is_answered_at_once_however_young_the_autoscaler():
    burst = decide(1.5, 1, history=History(NOW, NOW), lasting=9.0, peak=12.0)
    assert (burst.requested, burst.burst, burst.rule) == (12, 12, Rule.BURST)
    assert burst.sentence == "9 to 12 in flight at once, 1 a replica: 1 -> 12, raised at once for a burst"


def test_a_burst_stays_within_maximum_and_room():
    most = decide(1, 1, replace(SETTINGS, max_replicas=5), lasting=12.0)
    assert (most.requested, most.rule) == (5, Rule.BOUND)
    assert most.sentence.endswith("1 -> 5, at most 5")
    room = decide(1, 1, lasting=12.0, capacity=4)
    assert (room.requested, room.rule) == (4, Rule.CAPACITY)
    assert room.sentence.endswith("the machine has room for 4")


def test_a_little_more_than_the_replicas_are_meant_to_hold_is_no_burst():
    assert decide(10, 10, lasting=11.0, peak=20.0).burst is None
    assert decide(10, 10, lasting=11.1, peak=11.1).burst == 12


def test_nothing_is_cut_below_what_is_in_flight_now_needs():
    staying = decide(4, 6, lasting=6.0)
    assert (staying.requested, staying.rule) == (6, Rule.IN_USE)
    assert staying.sentence.endswith("6 stay, with 6 in flight at present")
    some = decide(2, 12, replace(SETTINGS, downscale_kept_share=0.0), lasting=7.5)
    assert (some.requested, some.in_use, some.rule) == (8, 8, Rule.IN_USE)


def test_want_of_room_takes_nothing_away():
    assert decide(8, 8, capacity=3).requested == 8


ZERO = replace(SETTINGS, min_replicas=0)


def test_the_last_replica_stays_until_nothing_has_asked_for_it_throughout_its_delay():
    staying = decide(0, 1, ZERO, history=replace(OLD, last_request_at=NOW - 299))
    assert (staying.requested, staying.rule) == (1, Rule.LAST_REPLICA)
    gone = decide(0, 1, ZERO, history=replace(OLD, last_request_at=NOW - 300))
    assert (gone.requested, gone.rule) == (0, Rule.TO_ZERO)
    assert gone.sentence.endswith("1 -> 0, nothing has asked for it for 300 s")


def test_the_last_replica_stays_while_it_is_in_a_call_however_long():
    call = [Sample(NOW, 1.0, 1.0, 0.0, 1.0, 1.0)]
    assert recommend(ZERO, call, replace(OLD, last_request_at=0.0), 1, NOW, 9).requested == 1


def test_the_last_of_several_never_goes_with_the_others():
    settings = replace(ZERO, downscale_kept_share=0.0, downscale_stabilization_seconds=0.0)
    assert decide(0, 5, settings, history=replace(OLD, last_request_at=0.0)).requested == 1


def test_the_first_request_wakes_an_endpoint_at_once_and_only_a_request_does():
    waiting = [*load(0), Sample(NOW, 1.0, 0.0, 3.0, 0.0, 3.0, 3)]
    woken = recommend(ZERO, waiting, History(NOW, NOW), 0, NOW, 9)
    assert (woken.requested, woken.rule) == (1, Rule.WAKE)
    # The average still remembers the load before; that alone is no reason to come back.
    assert recommend(ZERO, [*load(5), Sample(NOW, 1.0, 0.0, 0.0, 0.0, 0.0)], OLD, 0, NOW, 9).requested == 0


def test_without_load_known_nothing_changes_but_what_the_bounds_ask_for():
    assert recommend(SETTINGS, [], OLD, 7, NOW, 100).rule is Rule.NO_LOAD_KNOWN
    assert recommend(SETTINGS, [], OLD, 7, NOW, 100).requested == 7
    assert recommend(replace(SETTINGS, max_replicas=4), [], OLD, 7, NOW, 100).requested == 4


def test_a_lower_maximum_holds_at_once():
    lowered = decide(8, 8, replace(SETTINGS, max_replicas=4), history=recommended(8, 8))
    assert (lowered.requested, lowered.rule) == (4, Rule.BOUND)


def test_a_new_version_is_proved_with_one_replica_even_where_none_is_needed():
    idle = decide(0, 0, ZERO)
    assert idle.requested == 0
    assert (proving(idle).requested, proving(idle).rule) == (1, Rule.PROVING)
    assert proving(decide(3, 3)) == decide(3, 3)


def test_an_endpoint_begins_with_one_replica_unless_it_says_otherwise():
    assert Autoscaling(min_replicas=0).begins_with == 1
    assert Autoscaling(min_replicas=0, init_replicas=0).begins_with == 0
    assert Autoscaling(min_replicas=3).begins_with == 3


def test_the_target_is_half_of_what_a_batching_replica_takes_and_otherwise_its_threads():
    assert default_target(1, 64, batches=True, concurrent=False) == 32
    assert default_target(1, 64, batches=False, concurrent=True) == 32
    assert default_target(4, 4, batches=False, concurrent=False) == 4
    assert default_target(2, None, batches=False, concurrent=False) == 2


def test_what_states_no_need_is_bounded_by_cores():
    unsaid = Autoscaling()
    assert capacity_of(unsaid, 1, 1000, 4, reserves=False) == 4
    assert capacity_of(SETTINGS, 1, 1000, 4, reserves=False) == 32
    assert capacity_of(SETTINGS, 3, 40, 4, reserves=True) == 43
    assert capacity_of(SETTINGS, 3, -1, 4, reserves=True) == 3


def test_settings_survive_being_written_down_by_a_later_version():
    document = {"min_replicas": 2, "window_seconds": 30.0, "from_the_future": 1}
    assert autoscaling_from(document) == Autoscaling(min_replicas=2, window_seconds=30.0)
