"""Tunings through the interface."""

from typing import Any

import pytest

from modelyard.domain.runs import RunStatus, RunStep
from modelyard.domain.tunings import TuningStatus, trial_spec
from tests.integration.api.yard_over_http import Api, refusal

ETA = {"name": "eta", "kind": "continuous", "low": 0.01, "high": 0.5}


def request(api: Api, **changes: Any) -> dict[str, Any]:
    inputs = {"train": api.tree({"train.csv": b"1,2\n"})}
    training = {"training": "price", "project": "shop", "algorithm": "xgboost", "inputs": inputs}
    given = {"name": "tune", "project": "shop", "metric": "validation-rmse", "minimize": True, "ranges": [ETA]}
    return {**given, "training": {**training, **changes.pop("training", {})}, **changes}


def test_a_tuning_is_accepted_shown_and_stopped_once(api: Api) -> None:
    answer = api.post("/tunings", request(api, max_trials=5))
    assert answer.status_code == 201
    view = answer.json()
    assert (view["id"], view["status"], view["max_trials"], view["trials"]) == ("tune-1", "InProgress", 5, [])
    assert api.get("/tunings/tune-1").json() == view
    assert api.get("/tunings", params={"name": "tune"}).json()["tunings"] == [view]
    assert api.post("/tunings/tune-1/stop").json()["status"] == "Stopping"
    assert api.post("/tunings/tune-1/stop").status_code == 202
    assert [one.sentence for one in api.store.events.select(name="tune-1")] == [
        "a stop was asked for",
        "accepted: 5 trials",
    ]


def test_its_trials_are_shown_with_their_values_and_the_best_of_them(api: Api) -> None:
    api.post("/tunings", request(api))
    tuning = api.store.tunings.get("tune-1")
    for value in (3.0, 1.0, 2.0):
        run = api.store.runs.create(trial_spec(tuning, {"eta": value / 10}), 1.0).id
        metrics = {"validation-rmse": value}
        api.store.runs.move(run, RunStatus.COMPLETED, RunStep.COMPLETED, 2.0, metrics=metrics)
    api.store.tunings.end("tune-1", TuningStatus.COMPLETED, 3.0, best_run="tune-1-2")
    view = api.get("/tunings/tune-1").json()
    assert [(one["run"], one["value"]) for one in view["trials"]] == [
        ("tune-1-1", 3.0),
        ("tune-1-2", 1.0),
        ("tune-1-3", 2.0),
    ]
    assert (view["best"]["run"], view["best"]["hyperparameters"]) == ("tune-1-2", {"eta": "0.1"})
    assert view["counts"]["completed"] == 3


def test_a_built_in_algorithms_metric_may_be_named_as_sagemaker_does(api: Api) -> None:
    assert api.post("/tunings", request(api, metric="validation:rmse")).json()["metric"] == "validation-rmse"
    script = {"algorithm": None, "entry": "train.py", "code": api.tree({"train.py": b""})}
    answer = api.post("/tunings", request(api, metric="validation:rmse", training=script))
    assert answer.json()["metric"] == "validation:rmse", "a script's metrics are named as it names them"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ranges": [ETA, ETA]}, "a range is given twice"),
        ({"ranges": [{**ETA, "low": 1.0}]}, "1 is not below 0.5"),
        ({"ranges": [{**ETA, "low": 0.0, "scaling": "Logarithmic"}]}, "must begin above 0"),
        ({"ranges": [{**ETA, "high": 7.0}]}, "eta"),
        ({"ranges": [{**ETA, "low": -1.0}]}, "eta"),
        ({"ranges": [{**ETA, "high": 1.0, "scaling": "ReverseLogarithmic"}]}, "from 0 to below 1"),
        ({"ranges": [{**ETA, "kind": "integer"}]}, "needs whole ends"),
        ({"ranges": [{"name": "booster", "kind": "categorical", "values": ["a", "a"]}]}, "needs values, each once"),
        ({"ranges": [{**ETA, "name": "a b"}]}, "cannot use hyperparameter name"),
        ({"strategy": "Grid"}, "a grid has no points of a continuous range"),
        ({"training": {"hyperparameters": {"eta": 0.1}}}, "eta has a range, and a value in its training"),
        ({"training": {"hyperparameters": {"max_depht": 3}}}, "did you mean max_depth?"),
        ({"name": "a_b"}, "not a DNS label"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_written(
    api: Api, changes: dict[str, Any], said: str
) -> None:
    error = refusal(api.post("/tunings", request(api, **changes)), 400, "invalid_value")
    assert said in f"{error['message']} {error['hint']}"
    assert api.store.tunings.select() == []
