import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.runs import (
    ENDED,
    JobFact,
    RunAction,
    RunSpec,
    RunStatus,
    RunStep,
    check_move,
    decide_run,
    move_run,
    new_run,
    run_spec_from,
    stop_run,
)
from modelyard.errors import Conflict

SPEC = RunSpec("train", "shop", None, "train.py", "c" * 64, hyperparameters={"eta": "0.2"})
RUN = new_run("train-1", SPEC, 1.0)
TRAINING = move_run(RUN, RunStatus.IN_PROGRESS, RunStep.TRAINING, 2.0)
ALIVE = JobFact(alive=True)

statuses = st.sampled_from(list(RunStatus))


def test_a_run_without_a_process_is_started():
    assert decide_run(RUN, None) is RunAction.START
    assert decide_run(replace(RUN, step=RunStep.DOWNLOADING), None) is RunAction.START


def test_a_run_that_was_training_and_has_no_process_any_more_is_lost():
    assert decide_run(TRAINING, None) is RunAction.LOSE
    assert decide_run(TRAINING, JobFact(alive=False)) is RunAction.LOSE


def test_a_stop_asked_for_before_the_start_ends_the_run():
    assert decide_run(stop_run(RUN, 2.0), None) is RunAction.END_STOPPED


def test_a_living_job_is_left_alone_until_a_stop_is_asked_for():
    assert decide_run(TRAINING, ALIVE) is RunAction.WAIT
    assert decide_run(stop_run(TRAINING, 3.0), ALIVE) is RunAction.STOP


@pytest.mark.parametrize(
    ("fact", "action"),
    [
        (JobFact(False, 0, "exit"), RunAction.UPLOAD),
        (JobFact(False, 3, "exit", "it raised"), RunAction.FAIL),
        (JobFact(False, -15, "stop"), RunAction.END_STOPPED),
        (JobFact(False, -9, "max_runtime"), RunAction.END_STOPPED),
        (JobFact(False, -11, "signal"), RunAction.FAIL),
    ],
)
def test_how_a_job_ended_decides_what_becomes_of_its_run(fact, action):
    assert decide_run(TRAINING, fact) is action


@pytest.mark.parametrize("status", sorted(ENDED))
def test_a_run_that_has_ended_waits_whatever_is_seen(status):
    ended = replace(RUN, status=status, stop_requested=True)
    assert all(decide_run(ended, fact) is RunAction.WAIT for fact in (None, ALIVE, JobFact(False, 0, "exit")))


@given(statuses, statuses)
def test_nothing_leaves_an_end_and_staying_is_always_allowed(present, wanted):
    if present is wanted:
        check_move("train-1", present, wanted)
    elif present in ENDED:
        with pytest.raises(Conflict, match=f"it is {present.value}"):
            check_move("train-1", present, wanted)


@given(st.lists(st.tuples(statuses, st.sampled_from(list(RunStep)))))
def test_times_are_stamped_once_and_in_order(moves):
    run = RUN
    for now, (status, step) in enumerate(moves, 2):
        try:
            run = move_run(run, status, step, float(now))
        except Conflict:
            continue
    assert run.ended == (run.ended_at is not None)
    assert [at for _, at in run.steps] == sorted(at for _, at in run.steps)
    assert all(one[0] != other[0] for one, other in zip(run.steps, run.steps[1:], strict=False))
    if run.started_at is not None:
        assert ("Training", run.started_at) in run.steps


def test_a_stop_never_reaches_a_run_that_has_ended():
    ended = move_run(RUN, RunStatus.FAILED, RunStep.FAILED, 2.0)
    assert stop_run(ended, 3.0) == ended


def test_a_spec_comes_back_from_json_and_overlooks_what_it_does_not_know():
    document = json.loads(json.dumps(asdict(SPEC)))
    assert run_spec_from({**document, "from_the_future": 1}) == SPEC
