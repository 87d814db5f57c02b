"""What to do next with a transform: it is scored once, whoever is killed, and ends when nobody wants it any more."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.runs import JobFact
from modelyard.domain.transforms import (
    ATTEMPTS_MAX,
    ENDED,
    Transform,
    TransformAction,
    TransformSpec,
    TransformStatus,
    decide_transform,
    end_transform,
    new_transform,
    start_transform,
    stop_transform,
)
from modelyard.errors import Conflict

SPEC = TransformSpec("t", "shop", "d" * 64, "/in", "/out")
WAITING = new_transform("t-1", SPEC, 1.0)
STARTED = start_transform(WAITING, 2.0)
LOST = JobFact(alive=False)
ALIVE = JobFact(alive=True)


@pytest.mark.parametrize(
    ("transform", "fact", "action"),
    [
        (WAITING, None, TransformAction.START),
        (STARTED, ALIVE, TransformAction.WAIT),
        (STARTED, JobFact(alive=False, exit_code=0, ended_by="exit"), TransformAction.COMPLETE),
        (STARTED, JobFact(alive=False, exit_code=1, ended_by="exit"), TransformAction.FAIL),
        # Another process would take as much.
        (STARTED, JobFact(alive=False, exit_code=-9, ended_by="memory"), TransformAction.FAIL),
        (STARTED, LOST, TransformAction.START),
        (STARTED, None, TransformAction.START),
        # The yard went down: nobody asked this transform to end.
        (STARTED, JobFact(alive=False, exit_code=143, ended_by="stop"), TransformAction.START),
        (replace(STARTED, attempt=ATTEMPTS_MAX), LOST, TransformAction.GIVE_UP),
        (stop_transform(WAITING), None, TransformAction.END_STOPPED),
        (stop_transform(STARTED), ALIVE, TransformAction.STOP),
        (stop_transform(STARTED), LOST, TransformAction.END_STOPPED),
        # It was done before it heard of the stop.
        (stop_transform(STARTED), JobFact(alive=False, exit_code=0, ended_by="exit"), TransformAction.COMPLETE),
    ],
)
def test_the_next_step_follows_from_what_is_wished_and_seen(
    transform: Transform, fact: JobFact | None, action: TransformAction
) -> None:
    assert decide_transform(transform, fact) is action


@given(
    st.sampled_from([WAITING, STARTED, stop_transform(STARTED)]),
    st.none()
    | st.builds(
        JobFact,
        alive=st.booleans(),
        exit_code=st.none() | st.integers(-9, 200),
        ended_by=st.sampled_from([None, "exit", "stop", "max_runtime"]),
    ),
)
def test_nothing_is_started_beside_a_living_process_or_after_a_stop(transform: Transform, fact: JobFact | None) -> None:
    if decide_transform(transform, fact) is TransformAction.START:
        assert not transform.stop_requested
        assert fact is None or not fact.alive


@pytest.mark.parametrize("status", sorted(ENDED))
def test_what_has_ended_stays_so(status: TransformStatus) -> None:
    ended = end_transform(STARTED, status, 3.0, None, {})
    assert decide_transform(ended, LOST) is TransformAction.WAIT
    assert stop_transform(ended) is ended
    with pytest.raises(Conflict, match=status.value):
        start_transform(ended, 4.0)
    with pytest.raises(Conflict):
        end_transform(ended, TransformStatus.COMPLETED, 4.0, None, {})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/out", "/out/", True),
        ("/out/a/../b", "/out/b", True),
        ("s3://bucket/a", "s3://bucket/a/", True),
        ("s3://bucket/a", "s3://bucket/ab", False),
        ("/out/a", "/out/b", False),
    ],
)
def test_an_output_is_one_place_however_it_is_spelled(one: str, other: str, same: bool) -> None:
    places = [new_transform("t-1", replace(SPEC, output=output), 1.0).queued.place for output in (one, other)]
    assert (places[0] == places[1]) is same
