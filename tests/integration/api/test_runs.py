"""Training runs through the interface."""

import asyncio
from typing import Any

import httpx
import pytest

from modelyard.domain.runs import RunStatus, RunStep
from tests.integration.api.yard_over_http import KEY, Api, refusal


def request(api: Api, **changes: Any) -> dict[str, Any]:
    inputs = {"train": api.tree({"train.csv": b"1,2\n"})}
    return {"training": "fit", "project": "shop", "algorithm": "xgboost", "inputs": inputs, **changes}


def test_a_run_is_accepted_with_its_hyperparameters_as_text(api: Api) -> None:
    given = {"eta": 0.2, "max_depth": "5", "flag": True, "layers": [1, 2]}
    script = {"algorithm": None, "entry": "train.py", "code": api.tree({"train.py": b""})}
    answer = api.post("/runs", request(api, **script, hyperparameters=given, model="price"))
    assert answer.status_code == 201
    view = answer.json()
    assert (view["id"], view["status"], view["step"]) == ("fit-1", "InProgress", "Pending")
    assert view["hyperparameters"] == {"eta": "0.2", "max_depth": "5", "flag": "true", "layers": "[1, 2]"}
    assert api.pokes == 1
    assert api.get("/runs/fit-1").json() == view
    assert api.get("/runs", params={"training": "fit"}).json()["runs"] == [view]


@pytest.mark.parametrize(
    ("hyperparameters", "said"),
    [
        ({"max_depht": 5}, "cannot train fit: cannot use hyperparameter max_depht: unknown; did you mean max_depth?"),
        ({"eta": 7}, "cannot train fit: cannot use hyperparameter eta='7'"),
        ({"num_round": "many"}, "cannot train fit: cannot use hyperparameter num_round='many'"),
        ({"algorithm": "linear-learner", "l2": 1}, "cannot train fit: cannot use hyperparameter l2: unknown"),
        ({"algorithm": "isolation-forest", "num_trees": 0}, "cannot train fit: cannot use hyperparameter num_trees="),
        ({"algorithm": "dbscan", "epsilon": 1}, "cannot train fit: cannot use hyperparameter epsilon: unknown"),
        ({"algorithm": "stl-esd", "alpha": 2}, "cannot train fit: cannot use hyperparameter alpha='2'"),
        ({"algorithm": "autoencoder", "epochs": "many"}, "cannot train fit: cannot use hyperparameter epochs='many'"),
    ],
)
def test_what_a_built_in_algorithm_would_refuse_is_refused_before_a_run_begins(
    api: Api, hyperparameters: dict[str, Any], said: str
) -> None:
    given = dict(hyperparameters)
    algorithm = given.pop("algorithm", "xgboost")
    error = refusal(api.post("/runs", request(api, algorithm=algorithm, hyperparameters=given)), 400, "invalid_value")
    assert said in error["message"]
    assert api.store.runs.select() == []


def test_a_script_needs_its_code(api: Api) -> None:
    code = api.tree({"src/train.py": b"", "lib/a.py": b""})
    script = {"algorithm": None, "entry": "src/train.py", "code": code, "python_path": "lib"}
    assert api.post("/runs", request(api, **script)).status_code == 201
    refusal(api.post("/runs", request(api, **{**script, "code": None})), 400, "invalid_value")
    error = refusal(api.post("/runs", request(api, **{**script, "entry": "src/trian.py"})), 404, "not_found")
    assert error["hint"] == "did you mean src/train.py?"
    refusal(api.post("/runs", request(api, **{**script, "python_path": "libs"})), 404, "not_found")
    error = refusal(api.post("/runs", request(api, **script, log_metrics={"loss": "loss="})), 400, "invalid_value")
    assert "it has no group" in error["message"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"algorithm": None}, 400, "invalid_value"),
        ({"entry": "train.py"}, 400, "invalid_value"),
        ({"algorithm": "xgbost"}, 400, "invalid_value"),
        ({"training": "not a label"}, 400, "invalid_value"),
        ({"inputs": {"train": "0" * 64}}, 404, "not_found"),
        ({"inputs": {"../up": "0" * 64}}, 400, "invalid_value"),
        ({"content_types": {"nope": "text/csv"}}, 400, "invalid_value"),
        ({"hyperparameters": {"a b": 1}}, 400, "invalid_value"),
        ({"log_metrics": {"loss": "loss=(.*)"}}, 400, "invalid_value"),
        ({"hyperparameters": {"a": "x" * 3000}}, 400, "invalid_value"),
        ({"max_runtime_seconds": 0}, 400, "invalid_value"),
        ({"surprise": 1}, 400, "invalid_value"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    api: Api, changes: dict[str, Any], status: int, code: str
) -> None:
    refusal(api.post("/runs", request(api, **changes)), status, code)
    assert api.store.runs.select() == []


def test_a_model_of_another_project_is_refused_before_the_training(api: Api) -> None:
    api.register("price", "other")
    refusal(api.post("/runs", request(api, model="price")), 409, "conflict")


def test_a_stop_is_asked_for_once(api: Api) -> None:
    api.post("/runs", request(api))
    for _ in range(2):
        view = api.post("/runs/fit-1/stop").json()
        assert (view["status"], view["stop_requested"]) == ("Stopping", True)
    assert api.pokes == 2
    refusal(api.post("/runs/fit-2/stop"), 404, "not_found")


def test_logs_are_the_last_lines_and_following_ends_with_the_run(api: Api) -> None:
    api.post("/runs", request(api))
    folder = api.home.engine / "jobs" / "fit-1"
    folder.mkdir(parents=True)
    output = folder / "output.log"
    output.write_text("one\ntwo\nthree\n")
    assert api.get("/runs/fit-1/logs?lines=2").text == "two\nthree\n"
    refusal(api.get("/runs/fit-2/logs"), 404, "not_found")

    async def follow(client: httpx.AsyncClient) -> str:
        # The transport hands over whole answers, so the run has ended when the answer is here.
        async def end() -> None:
            with output.open("a") as file:
                file.write("four\n")
            api.store.runs.move("fit-1", RunStatus.FAILED, RunStep.FAILED, api.clock.now())

        ending = asyncio.create_task(end())
        answer = await client.get("/api/v1/runs/fit-1/logs?lines=1&follow=true", headers={"x-api-key": KEY})
        await ending
        return answer.text

    assert api.talk(follow).endswith("four\n")


def test_what_uv_said_while_the_environment_was_built_comes_before_what_the_script_printed(api: Api) -> None:
    api.post("/runs", request(api))
    built = api.home.root / "environments" / "builds" / "fit-1-environment"
    built.mkdir(parents=True)
    (built / "output.log").write_text("Resolved 2 packages\n + numpy\n")
    assert api.get("/runs/fit-1/logs").text == "Resolved 2 packages\n + numpy\n"

    async def follow(client: httpx.AsyncClient) -> str:
        async def end() -> None:
            folder = api.home.engine / "jobs" / "fit-1"
            folder.mkdir(parents=True)
            (folder / "output.log").write_text("one\ntwo\n")
            api.store.runs.move("fit-1", RunStatus.FAILED, RunStep.FAILED, api.clock.now())

        ending = asyncio.create_task(end())
        answer = await client.get("/api/v1/runs/fit-1/logs?follow=true", headers={"x-api-key": KEY})
        await ending
        return answer.text

    assert api.talk(follow) == "Resolved 2 packages\n + numpy\none\ntwo\n"
    assert api.get("/runs/fit-1/logs?lines=3").text == " + numpy\none\ntwo\n"
    assert api.get("/runs/fit-1/logs?lines=1").text == "two\n"


def test_a_run_whose_environment_could_not_be_built_still_shows_why(api: Api) -> None:
    api.post("/runs", request(api))
    built = api.home.root / "environments" / "builds" / "fit-1-environment"
    built.mkdir(parents=True)
    (built / "output.log").write_text("error: no such package\n")
    api.store.runs.move("fit-1", RunStatus.FAILED, RunStep.FAILED, api.clock.now())
    for query in ("", "?follow=true"):
        assert api.get(f"/runs/fit-1/logs{query}").text == "error: no such package\n"
