from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from modelyard.domain.runs import FAILURE_REASON_LENGTH_MAX, RunSpec, RunStatus, RunStep
from modelyard.errors import Conflict, InvalidValue, NotFound

SPEC = RunSpec(
    training="price-training",
    project="shop",
    algorithm="xgboost",
    entry=None,
    code=None,
    inputs={"train": "d" * 64},
    content_types={"train": "text/csv"},
    hyperparameters={"eta": "0.2"},
    environment={"X": "1"},
    model="price",
    max_runtime_seconds=60.0,
)
IN_PROGRESS, STOPPING, COMPLETED = RunStatus.IN_PROGRESS, RunStatus.STOPPING, RunStatus.COMPLETED


def test_a_created_run_is_pending_and_comes_back_as_it_is(store):
    run = store.runs.create(SPEC, 5.0)
    assert run.id == "price-training-1"
    assert (run.status, run.step, run.created_at) == (IN_PROGRESS, RunStep.PENDING, 5.0)
    assert run.steps == (("Pending", 5.0),)
    assert store.runs.get("PRICE-training-1") == run
    assert run.spec == SPEC


def test_run_ids_count_up_for_each_training_and_never_collide_by_case(store):
    trainings = ["a", "A", "a-1", "a", "b"]
    made = [store.runs.create(replace(SPEC, training=name), 1.0).id for name in trainings]
    assert made == ["a-1", "A-2", "a-1-1", "a-3", "b-1"]
    assert [store.runs.get(one).id for one in made] == made


def test_a_bad_training_name_is_refused(store):
    with pytest.raises(InvalidValue, match="training name"):
        store.runs.create(replace(SPEC, training="../up"), 1.0)


def test_run_ids_given_by_many_threads_have_no_gaps(store):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: store.runs.create(SPEC, 1.0).id, range(40)))
    assert made == {f"price-training-{number}" for number in range(1, 41)}


def test_a_missing_run_is_refused_with_the_nearest_id(store):
    store.runs.create(SPEC, 1.0)
    with pytest.raises(NotFound) as refused:
        store.runs.get("price-trainin-1")
    assert refused.value.hint == "did you mean price-training-1?"
    for call in (
        lambda: store.runs.move("gone", IN_PROGRESS, RunStep.TRAINING, 1.0),
        lambda: store.runs.put_metrics("gone", {}),
        lambda: store.runs.request_stop("gone", 1.0),
    ):
        with pytest.raises(NotFound):
            call()


def test_runs_are_selected_newest_first_by_project_and_training(store):
    for training, project in [("a", "one"), ("b", "two"), ("A", "one"), ("a", "one")]:
        store.runs.create(replace(SPEC, training=training, project=project), 1.0)
    assert [one.id for one in store.runs.select()] == ["a-3", "A-2", "b-1", "a-1"]
    assert [one.id for one in store.runs.select(limit=2)] == ["a-3", "A-2"]
    assert [one.id for one in store.runs.select(project="two")] == ["b-1"]
    assert [one.id for one in store.runs.select(training="A")] == ["a-3", "A-2", "a-1"]


def test_moves_stamp_their_steps_and_the_times_of_beginning_and_end(store):
    run = store.runs.create(SPEC, 1.0).id
    store.runs.move(run, IN_PROGRESS, RunStep.DOWNLOADING, 2.0)
    assert store.runs.move(run, IN_PROGRESS, RunStep.TRAINING, 3.0).started_at == 3.0
    store.runs.move(run, IN_PROGRESS, RunStep.TRAINING, 3.5)
    store.runs.move(run, IN_PROGRESS, RunStep.UPLOADING, 4.0, exit_code=0, metrics={"rmse": 2.0})
    ended = store.runs.move(run, COMPLETED, RunStep.COMPLETED, 5.0, model_version=7)
    assert ended == store.runs.get(run)
    assert ended.steps == (
        ("Pending", 1.0),
        ("Downloading", 2.0),
        ("Training", 3.0),
        ("Uploading", 4.0),
        ("Completed", 5.0),
    )
    assert (ended.started_at, ended.ended_at, ended.exit_code) == (3.0, 5.0, 0)
    assert (ended.metrics, ended.model_version) == ({"rmse": 2.0}, 7)


def test_a_move_that_the_table_does_not_have_changes_nothing(store):
    run = store.runs.create(SPEC, 1.0).id
    ended = store.runs.move(run, COMPLETED, RunStep.COMPLETED, 2.0)
    with pytest.raises(Conflict, match="cannot make run price-training-1 InProgress: it is Completed"):
        store.runs.move(run, IN_PROGRESS, RunStep.TRAINING, 3.0, exit_code=1)
    assert store.runs.get(run) == ended


def test_moving_to_the_same_end_twice_keeps_the_first_time(store):
    run = store.runs.create(SPEC, 1.0).id
    store.runs.move(run, COMPLETED, RunStep.COMPLETED, 2.0)
    assert store.runs.move(run, COMPLETED, RunStep.COMPLETED, 3.0).ended_at == 2.0


def test_a_failure_reason_is_cut_to_its_limit(store):
    run = store.runs.create(SPEC, 1.0).id
    failed = store.runs.move(run, RunStatus.FAILED, RunStep.FAILED, 2.0, exit_code=3, failure_reason="x" * 5000)
    assert failed.failure_reason == "x" * FAILURE_REASON_LENGTH_MAX


def test_metrics_are_merged(store):
    run = store.runs.create(SPEC, 1.0).id
    store.runs.put_metrics(run, {"a": 1.0, "b": 2.0})
    store.runs.put_metrics(run, {"b": 3.0})
    store.runs.move(run, IN_PROGRESS, RunStep.TRAINING, 2.0, metrics={"c": 4.0})
    assert store.runs.get(run).metrics == {"a": 1.0, "b": 3.0, "c": 4.0}


def test_a_restart_counts_the_attempt_up_once_and_keeps_the_first_beginning(store):
    run = store.runs.create(replace(SPEC, retry_count=2, memory_bytes=1, retry_on=["failed"]), 1.0).id
    store.runs.move(run, IN_PROGRESS, RunStep.TRAINING, 2.0)
    store.runs.move(run, IN_PROGRESS, RunStep.RESTARTING, 3.0)
    again = store.runs.move(run, IN_PROGRESS, RunStep.RESTARTING, 4.0)
    assert (again.attempt, again.due_at, again.spec.retry_on) == (2, 4.0, ["failed"])
    assert store.runs.move(run, IN_PROGRESS, RunStep.TRAINING, 5.0).started_at == 2.0
    assert store.runs.get(run).attempt == 2


def test_why_a_run_waits_is_kept_until_it_goes_on(store):
    runs = [store.runs.create(SPEC, 1.0).id for _ in range(2)]
    store.runs.move(runs[1], COMPLETED, RunStep.COMPLETED, 2.0)
    store.runs.put_waiting({runs[0]: "needs 1 core", runs[1]: "too late", "gone": "never was"})
    assert [store.runs.get(one).waiting for one in runs] == ["needs 1 core", None]
    assert store.runs.move(runs[0], IN_PROGRESS, RunStep.DOWNLOADING, 3.0).waiting is None


def test_a_stop_is_wished_once(store):
    run = store.runs.create(SPEC, 1.0).id
    stopping = store.runs.request_stop(run, 2.0)
    assert (stopping.status, stopping.step, stopping.stop_requested) == (STOPPING, RunStep.STOPPING, True)
    assert store.runs.request_stop(run, 3.0) == stopping
    assert store.runs.get(run) == stopping


def test_a_stop_comes_too_late_for_a_run_that_has_ended(store):
    run = store.runs.create(SPEC, 1.0).id
    ended = store.runs.move(run, COMPLETED, RunStep.COMPLETED, 2.0)
    assert store.runs.request_stop(run, 3.0) == ended
    assert not store.runs.get(run).stop_requested


def test_unfinished_runs_come_oldest_first(store):
    runs = [store.runs.create(SPEC, 1.0).id for _ in range(4)]
    store.runs.move(runs[1], RunStatus.LOST, RunStep.LOST, 2.0)
    store.runs.request_stop(runs[2], 2.0)
    assert [one.id for one in store.runs.unfinished()] == [runs[0], runs[2], runs[3]]
