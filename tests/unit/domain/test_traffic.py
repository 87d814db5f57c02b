"""Steps, steering, verdicts and splitters by example."""

from dataclasses import replace

import pytest

from modelyard.domain.deployments import Change, decide_rollback, decide_steering
from modelyard.domain.endpoints import VersionState
from modelyard.domain.shadows import answers_agree
from modelyard.domain.splitters import SplitMember, TrafficSplitter, check_splitter
from modelyard.domain.strategies import Guard, StrategyType, UpdateStrategy, check_strategy, stages_of
from modelyard.domain.traffic import Progress, Steering, course_sentence, decide_course
from modelyard.domain.verdicts import Evidence, Tally, judge
from modelyard.errors import Conflict, InvalidValue
from tests.unit.domain.world import endpoint, version

CANARY = UpdateStrategy(StrategyType.CANARY, (10.0, 50.0), bake_seconds=300.0)


def course(progress, steering=None, ready=True, now=0.0, strategy=CANARY):
    return decide_course(strategy, progress, steering or Steering(), lambda _stage: ready, now)


def test_a_linear_rollout_goes_up_by_its_step_and_ends_with_all():
    strategy = UpdateStrategy(StrategyType.LINEAR, step_percent=30.0)
    assert [one.percent for one in stages_of(strategy)] == [30.0, 60.0, 90.0, 100.0]


def test_a_stage_begins_when_its_replicas_are_ready_and_not_before():
    assert course(Progress(), ready=False, now=5.0).progress == Progress()
    assert course(Progress(), now=5.0).progress == Progress(0, 10.0, 5.0)


def test_the_share_stays_until_the_replicas_of_the_next_stage_are_ready():
    over = course(Progress(0, 10.0, 0.0), now=300.0).progress
    assert (over.step, over.percent, over.began_at) == (1, 10.0, None)
    assert course(over, now=310.0).progress.percent == 50.0


def test_time_that_it_is_paused_does_not_count():
    paused = course(Progress(0, 10.0, 0.0), Steering(paused=True), now=100.0).progress
    resumed = course(paused, now=1000.0)
    assert resumed.progress.step == 0
    assert resumed.next_at == 1200.0


def test_a_promotion_goes_to_the_last_stage_and_then_ends_at_once():
    steering = Steering(promoted_to=3)
    last = course(Progress(0, 10.0, 0.0), steering, ready=False, now=1.0)
    assert (last.progress.step, last.progress.percent, last.done) == (2, 10.0, False)
    assert course(last.progress, steering, now=2.0).done


def test_a_promotion_by_a_step_leaves_the_next_one_its_time():
    moved = course(Progress(0, 10.0, 0.0), Steering(promoted_to=1), now=1.0)
    assert (moved.progress.step, moved.progress.percent, moved.done) == (1, 50.0, False)


@pytest.mark.parametrize(
    ("progress", "steering", "now", "sentence"),
    [
        (Progress(), Steering(), 0.0, "canary 10 % when its replicas are ready"),
        (Progress(0, 10.0, 0.0), Steering(), 150.0, "canary 10 % for 2 of 5 minutes"),
        (Progress(1, 50.0, 0.0, 60.0), Steering(paused=True), 900.0, "canary 50 % for 1 of 5 minutes, paused"),
    ],
)
def test_the_sentence_says_the_share_and_how_long(progress, steering, now, sentence):
    assert course_sentence(CANARY, progress, steering, now) == sentence


def test_a_shadow_without_a_time_waits_to_be_promoted():
    shadow = UpdateStrategy(StrategyType.SHADOW)
    assert course_sentence(shadow, Progress(0, 0.0, 0.0), Steering(), 9.0) == "shadow until it is promoted"
    assert course(Progress(0, 0.0, 0.0), now=1e9, strategy=shadow).mirrors


@pytest.mark.parametrize("steps", [(), (0.0,), (100.0,), (50.0, 10.0), (10.0, 10.0)])
def test_steps_that_do_not_go_up_to_below_all_are_refused(steps):
    with pytest.raises(InvalidValue, match="cannot update in steps"):
        check_strategy(UpdateStrategy(StrategyType.CANARY, steps))


def test_more_errors_than_the_old_version_has_call_a_version_back():
    evidence = Evidence(step={1: Tally(200, 2), 2: Tally(20, 5)})
    reason = judge(Guard(), 1, 2, evidence)
    assert reason == "5 of its 20 answers were errors (25.0%, of the old version's 1.0%) in this step"


def test_what_befalls_both_versions_is_not_blamed_on_the_new_one():
    assert judge(Guard(), 1, 2, Evidence(step={1: Tally(200, 80), 2: Tally(20, 8)})) is None


def test_nothing_is_made_of_a_few_answers():
    assert judge(Guard(), 1, 2, Evidence(step={2: Tally(19, 19)})) is None


def test_latency_is_looked_at_where_it_was_asked_for():
    evidence = Evidence(recent={1: Tally(50, 0, 0.01), 2: Tally(50, 0, 0.05)})
    assert judge(Guard(), 1, 2, evidence) is None
    reason = judge(Guard(latency_factor=2.0), 1, 2, evidence)
    assert reason == "its latency was 5.0 times the old version's (50 ms against 10 ms) in the last minute"


def test_an_alarm_that_fires_calls_a_version_back():
    evidence = Evidence(firing=frozenset({"slow", "other"}))
    assert judge(Guard(alarms=("slow",)), 1, 2, evidence) == "alarm slow fired"
    assert judge(Guard(alarms=("Slow",)), 1, 2, evidence) == "alarm slow fired"
    assert judge(Guard(alarms=("quiet",)), 1, 2, evidence) is None


def on_its_way():
    return endpoint(version(1, VersionState.READY), version(2, update_strategy=CANARY))


def test_a_rollback_of_what_is_on_its_way_calls_it_back_and_makes_no_version():
    outcome = decide_rollback(on_its_way())
    assert (outcome.change, outcome.version, outcome.source) == (Change.CALLING_BACK, 1, 2)
    assert outcome.sentence == "calling back price (endpoint) from version 2 to version 1"


def test_a_rollback_asked_twice_is_done_once():
    back = endpoint(version(1, VersionState.READY), version(2, VersionState.ROLLED_BACK, update_strategy=CANARY))
    assert decide_rollback(back, 1).change is Change.UP_TO_DATE


def test_steering_asked_twice_is_done_once():
    outcome, steering = decide_steering(on_its_way(), Change.PAUSING, 2)
    assert (outcome.change, steering.paused) == (Change.PAUSING, True)
    paused = on_its_way()
    paused = replace(paused, versions=(paused.versions[0], replace(paused.wished, steering=steering)))
    assert decide_steering(paused, Change.PAUSING, 2)[0].change is Change.UP_TO_DATE


def test_what_is_not_on_its_way_in_steps_cannot_be_steered():
    with pytest.raises(Conflict, match="no new version is on its way in steps"):
        decide_steering(endpoint(version(1, VersionState.READY)), Change.PAUSING)
    with pytest.raises(Conflict, match="version 2 is on its way"):
        decide_steering(on_its_way(), Change.PROMOTING, 1)


def test_the_first_version_takes_no_steps():
    assert not endpoint(version(1, update_strategy=CANARY)).is_staged


@pytest.mark.parametrize(
    ("given", "shadow", "agree"),
    [
        (b'{"a": 1, "b": [0.1]}', b'{"b": [0.10000000001], "a": 1.0}', True),
        (b"[1, 2]", b"[1, 3]", False),
        (b'{"a": 1}', b'{"a": true}', False),
        (b"yes", b"yes", True),
        (b"yes", b"no", False),
    ],
)
def test_answers_agree_where_they_say_the_same(given, shadow, agree):
    assert answers_agree(given, shadow, 1e-6) is agree


def test_weights_must_sum_to_100_in_cortex_own_words():
    members = (SplitMember("a", 50.0, "a"), SplitMember("b", 40.0, "b"), SplitMember("c", 10.0, "c", shadow=True))
    with pytest.raises(InvalidValue, match="expected weights of all non-shadow apis to sum to 100 but found 90"):
        check_splitter(TrafficSplitter(members))
