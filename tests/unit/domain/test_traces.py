"""What an autoscaler would have made of a load."""

from dataclasses import replace

import pytest

from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.traces import (
    LoadRecord,
    TraceStep,
    simulate,
    trace_from_csv,
    trace_from_records,
)
from modelyard.errors import InvalidValue

SETTINGS = Autoscaling(max_replicas=16, target_in_flight=1.0)
STEP = [TraceStep(60, 1.0), TraceStep(120, 12.0), TraceStep(900, 1.0)]


def test_a_table_of_demand_is_read_as_steps_that_hold_until_the_next():
    assert trace_from_csv("seconds,in_flight\n0,1\n10,12\n40,0\n") == [TraceStep(10, 1.0), TraceStep(30, 12.0)]


def test_a_table_of_arrivals_is_read_too():
    text = "seconds,arrivals_per_second,service_seconds\n5,100,0.05\n6,0,0.05\n"
    assert trace_from_csv(text) == [TraceStep(1, None, 100.0, 0.05)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "neither the columns"),
        ("time,load\n0,1\n1,1\n", "neither the columns"),
        ("seconds,in_flight\n0,1\n", "it has 1 rows"),
        ("seconds,in_flight\n0,1\n1,many\n2,0\n", "line 3 of the trace: in_flight is 'many'"),
        ("seconds,in_flight\n0,1\n1,-1\n2,0\n", "line 3 of the trace: in_flight is '-1'"),
        ("seconds,in_flight\n0,1\n1\n2,0\n", "line 3 of the trace: in_flight is None"),
        ("seconds,in_flight\n0,1\n5,1\n4,0\n", "line 4 of the trace: its seconds are not after"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_line(text, said):
    with pytest.raises(InvalidValue, match="cannot") as refused:
        trace_from_csv(text)
    assert said in refused.value.message


def test_a_step_in_load_is_met_within_two_ticks_and_given_back_after_the_stabilization():
    found = simulate(SETTINGS, STEP)
    after_two_ticks = next(one for one in found.moments if one.seconds >= 62)
    assert (after_two_ticks.ready, after_two_ticks.queued) == (12, 0.0)
    assert found.replicas_max == 12
    assert found.moments[-1].requested < 12
    assert found.raises == 1
    assert found.cuts > 1


def test_without_the_burst_path_the_same_step_waits_for_minutes():
    found, slow = simulate(SETTINGS, STEP), simulate(replace(SETTINGS, burst_factor=1000.0), STEP)
    assert slow.queueing_seconds > 20 * found.queueing_seconds
    assert slow.replica_hours < found.replica_hours


def test_replica_hours_count_what_is_asked_for():
    fixed = Autoscaling(min_replicas=2, max_replicas=2, target_in_flight=1.0)
    assert simulate(fixed, [TraceStep(3600, 1.0)]).replica_hours == pytest.approx(2.0)


def test_an_endpoint_goes_to_zero_and_is_woken_by_the_next_request():
    settings = replace(SETTINGS, min_replicas=0, last_replica_delay_seconds=60.0)
    found = simulate(settings, [TraceStep(30, 1.0), TraceStep(600, 0.0), TraceStep(30, 1.0)])
    assert (found.wakes, found.moments[-1].ready) == (1, 1)
    assert 0 in {one.requested for one in found.moments}


def test_arrivals_that_replicas_cannot_take_wait_until_there_are_enough():
    trace = [TraceStep(60, None, 100.0, 0.05)]  # five at once
    few = simulate(replace(SETTINGS, max_replicas=4), trace)
    enough = simulate(SETTINGS, trace)
    assert few.queued_max > 1000
    assert enough.moments[-1].queued == 0.0
    assert (enough.wait_mean_seconds or 0) < 0.1 < (few.wait_mean_seconds or 0)


def test_what_was_recorded_becomes_a_trace_with_its_gaps():
    records = [LoadRecord(105.0, 5.0, 2.0, 1.0, 100, 2), LoadRecord(120.0, 5.0, 3.0, 0.0, 0, 2)]
    assert trace_from_records(records, 1.0) == [
        TraceStep(5.0, None, 20.0, 0.1),
        TraceStep(10.0, 0.0),
        TraceStep(5.0, 3.0),
    ]


def test_what_waits_inside_replicas_for_its_turn_is_no_longer_service():
    records = [LoadRecord(5.0, 5.0, 6.0, 0.0, 100, 2)]
    assert trace_from_records(records, 1.0) == [TraceStep(5.0, None, 20.0, 0.1)]
    assert trace_from_records(records, 2.0) == [TraceStep(5.0, None, 20.0, 0.2)]


def test_a_trace_without_time_is_refused():
    with pytest.raises(InvalidValue, match="cannot simulate 0 s"):
        simulate(SETTINGS, [])


def test_a_month_is_simulated_in_ticks_that_are_longer():
    found = simulate(SETTINGS, [TraceStep(28 * 86400, 3.0)])
    assert len(found.moments) == pytest.approx(30_000, rel=0.01)
    assert found.moments[-1].requested == 3
