"""What a tuning does next, from its trials alone."""

import json
from dataclasses import asdict, replace

import pytest

from modelyard.domain.runs import Run, RunSpec, RunStatus, RunStep, move_run, new_run
from modelyard.domain.tunings import (
    FAILURES_FIRST_MAX,
    Ending,
    Range,
    Tuning,
    TuningSpec,
    TuningStatus,
    best_trial,
    decide_early_stops,
    decide_tuning,
    grid_points,
    stop_tuning,
    trial_spec,
    tried,
    tuning_spec_from,
)

TRAINING = RunSpec("price", "shop", "xgboost", None, None, hyperparameters={"num_round": "10"}, model="price")
ETA = Range("eta", "continuous", 0.01, 0.5)
SPEC = TuningSpec("tune", "shop", TRAINING, "rmse", True, [ETA], max_trials=4, parallel_trials=2)
TUNING = Tuning("tune-1", SPEC, TuningStatus.IN_PROGRESS, 100.0)


def trial(number: int, status: RunStatus = RunStatus.COMPLETED, value: float | None = None, eta: str = "0.1") -> Run:
    spec = replace(trial_spec(TUNING, {"eta": float(eta)}))
    run = new_run(f"tune-1-{number}", spec, 100.0 + number)
    metrics = {} if value is None else {"rmse": value}
    return move_run(run, status, RunStep.TRAINING, 101.0 + number, metrics=metrics)


def test_as_many_trials_start_as_may_run_at_once_and_no_more_than_there_may_be():
    going_on = trial(1, RunStatus.IN_PROGRESS)
    assert decide_tuning(TUNING, [], 100.0).ask == 2
    assert decide_tuning(TUNING, [going_on], 100.0).ask == 1
    assert decide_tuning(TUNING, [trial(1, value=1.0), trial(2, value=2.0), trial(3, value=3.0)], 100.0).ask == 1
    assert decide_tuning(TUNING, [trial(n, value=1.0) for n in range(4)], 100.0).end == Ending(TuningStatus.COMPLETED)


def test_the_best_trial_is_the_first_of_the_best_that_completed_with_the_metric():
    trials = [trial(1, value=2.0), trial(2, value=1.0), trial(3, value=1.0), trial(4, RunStatus.STOPPED, 0.5), trial(5)]
    assert best_trial(SPEC, trials).id == "tune-1-2"
    assert best_trial(replace(SPEC, minimize=False), trials).id == "tune-1-1"
    assert best_trial(SPEC, [trial(1)]) is None


def test_a_stop_ends_the_trials_and_then_the_tuning():
    stopping = stop_tuning(TUNING)
    going_on = trial(1, RunStatus.IN_PROGRESS)
    assert decide_tuning(stopping, [going_on], 100.0).stop == ("tune-1-1",)
    assert decide_tuning(stopping, [trial(1, RunStatus.STOPPED)], 100.0).end == Ending(TuningStatus.STOPPED)


def test_a_target_that_is_reached_and_a_time_that_is_over_end_it_well():
    reached = replace(TUNING, spec=replace(SPEC, target=1.0))
    trials = [trial(1, value=0.9), trial(2, RunStatus.IN_PROGRESS)]
    assert decide_tuning(reached, trials, 100.0).stop == ("tune-1-2",)
    assert decide_tuning(reached, trials[:1], 100.0).end == Ending(
        TuningStatus.COMPLETED, "tune-1-1 reached the target 1"
    )
    timed = replace(TUNING, spec=replace(SPEC, max_runtime_seconds=60.0))
    assert decide_tuning(timed, [trial(1, value=5.0)], 160.0).end.status is TuningStatus.COMPLETED


def test_a_tuning_whose_first_trials_all_fail_says_what_the_last_one_said():
    many = replace(TUNING, spec=replace(SPEC, max_trials=100))
    failed = [replace(trial(n, RunStatus.FAILED), failure_reason="no rows") for n in range(FAILURES_FIRST_MAX)]
    end = decide_tuning(many, failed, 100.0).end
    assert (end.status, "so: no rows" in str(end.reason)) == (TuningStatus.FAILED, True)
    assert decide_tuning(many, [trial(9, value=1.0), *failed], 100.0).ask == 2


def test_trials_without_the_metric_fail_the_tuning_with_the_metrics_that_there_were():
    trials = [replace(trial(n), metrics={"mae": 1.0}) for n in range(4)]
    end = decide_tuning(TUNING, trials, 100.0).end
    assert end == Ending(TuningStatus.FAILED, "no trial completed with the metric rmse; they logged mae")


def test_a_trial_worse_than_the_median_of_the_averages_so_far_is_stopped_early():
    spec = replace(SPEC, early_stopping=True)
    done = [trial(n, value=1.0) for n in range(3)]
    bad, good, young = (trial(n, RunStatus.IN_PROGRESS) for n in (5, 6, 7))
    curves = {one.id: [3.0, 2.0, 1.0, 0.5] for one in done}
    curves |= {bad.id: [9.0, 8.0, 7.0], good.id: [3.0, 2.0, 1.9], young.id: [9.0]}
    trials = [*done, bad, good, young]
    assert decide_early_stops(spec, trials, curves) == [bad.id]
    assert decide_early_stops(SPEC, trials, curves) == []
    assert decide_early_stops(spec, trials[1:], curves) == []


def test_a_trial_registers_no_model_and_goes_on_after_an_interruption_whatever_its_training_says():
    spec = trial_spec(TUNING, {"eta": 0.125})
    assert spec.hyperparameters == {"num_round": "10", "eta": "0.125", "_tuning_objective_metric": "rmse"}
    assert (spec.training, spec.tuning, spec.model, spec.retry_on) == ("tune-1", "tune-1", None, ["interrupted"])
    assert spec.retry_count > 0


def test_a_sampler_is_told_what_was_tried_and_what_came_of_it():
    trials = [trial(1, value=2.0), trial(2, RunStatus.FAILED), trial(3, RunStatus.IN_PROGRESS, 3.0)]
    stopped = [trial(4, RunStatus.STOPPED, 4.0), trial(5, RunStatus.STOPPED)]
    told = tried(SPEC, [*trials, *stopped])
    assert [(one["state"], one["value"]) for one in told] == [
        ("complete", 2.0),
        ("failed", None),
        ("running", None),
        ("pruned", 4.0),
        ("failed", None),
    ]
    assert told[0]["parameters"] == {"eta": 0.1}


def test_a_grid_tries_each_point_once_and_then_ends():
    ranges = [Range("depth", "integer", 2, 3), Range("booster", "categorical", values=["gbtree", "dart"])]
    spec = replace(SPEC, ranges=ranges, strategy="Grid", max_trials=100)
    assert spec.trials_max == 4
    points = [*grid_points(spec, 0, 3), *grid_points(spec, 3, 3)]
    assert points[0] == {"depth": 2, "booster": "gbtree"}
    assert len({tuple(one.values()) for one in points}) == len(points) == 4


@pytest.mark.parametrize(
    ("low", "high", "scaling"), [(0.001, 1.0, "Logarithmic"), (0.1, 1.0, "Linear"), (0.0, 1e9, "Linear")]
)
def test_auto_searches_by_magnitude_what_spans_three_of_them(low, high, scaling):
    assert Range("x", "continuous", low, high).effective_scaling == scaling


def test_a_spec_comes_back_from_json_and_overlooks_what_it_does_not_know():
    assert tuning_spec_from({**json.loads(json.dumps(asdict(SPEC))), "from_the_future": 1}) == SPEC
