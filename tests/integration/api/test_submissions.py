"""Jobs as Cortex's clients submit them: a BatchAPI's items become requests, a TaskAPI's config hyperparameters."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.domain.runs import RunStatus, RunStep
from modelyard.domain.transforms import TransformStatus
from modelyard.errors import StoreFailed
from modelyard.store.disk import FILES_SYNCED_ONE_BY_ONE_MAX
from tests.integration.api.yard_over_http import Api, refusal

ITEMS = {"workers": 2, "item_list": {"items": [1, 2, 3, 4, 5], "batch_size": 2}, "config": {"k": 3}}
CODE = b"class Predictor:\n    def __init__(self, config): pass\n    def predict(self, payload): return payload\n"


@pytest.fixture
def deployed(api: Api) -> Api:
    code = api.tree({"predictor.py": CODE, "train.py": b""})
    run = {"training": "fit", "project": "shop", "entry": "train.py", "code": code, "hyperparameters": {"a": 1}}
    batch = {"predictor": {"path": "predictor.py", "config": {"k": 1, "other": 2}}, "code": code}
    answer = api.post(
        "/deployments",
        {
            "project": "shop",
            "resources": [
                {"kind": "batch", "name": "score", "spec": batch},
                {"kind": "training", "name": "fit", "spec": {"run": run}},
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    return api


def status(api: Api, kind: str, name: str, job: str) -> dict[str, Any]:
    answer = api.get(f"/{kind}/{name}/jobs", params={"jobID": job})
    assert answer.status_code == 200, answer.text
    return answer.json()["job_status"]


def test_each_batch_of_items_is_a_request_of_its_own(deployed: Api) -> None:
    view = deployed.post("/batches/score/jobs", ITEMS).json()
    assert (view["job_id"], view["api_name"], view["kind"], view["workers"]) == ("score-1", "score", "BatchAPI", 2)
    transform = deployed.store.transforms.get("score-1")
    batches = [json.loads(one.read_text()) for one in sorted(Path(transform.spec.input).iterdir())]
    assert batches == [[1, 2], [3, 4], [5]]
    assert (transform.spec.options["processes"], transform.spec.options["split"]) == (2, "None")
    document = json.loads(
        deployed.artifacts.read(
            next(one.sha256 for one in deployed.artifacts.tree(transform.spec.package) if one.path == "package.json")
        )
    )
    assert document["predictor"]["config"] == {"k": 3, "other": 2}
    told = transform.spec.submitted
    assert (told["config"], told["workers"], told["total_batch_count"]) == ({"k": 3}, 2, 3)


def test_a_job_is_asked_about_and_stopped_in_cortexs_words(deployed: Api) -> None:
    deployed.post("/batches/score/jobs", {**ITEMS, "timeout": 60})
    assert deployed.store.transforms.get("score-1").spec.max_runtime_seconds == 60
    assert status(deployed, "batches", "score", "score-1")["status"] == "enqueuing"
    deployed.store.transforms.start("score-1", 5.0)
    found = status(deployed, "batches", "score", "score-1")
    assert (found["status"], found["worker_counts"]["running"]) == ("running", 2)
    (deployed.home.transforms / "score-1").mkdir()
    counts = {"objects": 3, "objects_done": 2, "requests": 2, "request_seconds": 0.5, "tries_failed": 4}
    (deployed.home.transforms / "score-1" / "progress.json").write_text(json.dumps({**counts, "objects_failed": 0}))
    found = status(deployed, "batches", "score", "score-1")
    assert found["batch_metrics"] == {"succeeded": 2, "failed": 4, "average_time_per_batch": 0.25}
    assert (found["total_batch_count"], found["batches_in_queue"]) == (3, 1)
    assert (found["workers"], found["config"]) == (2, {"k": 3})
    stopped = deployed.ask("DELETE", "/api/v1/batches/score/jobs", params={"jobID": "score-1"})
    assert stopped.json() == {"message": "stopped job score-1"}
    deployed.store.transforms.end("score-1", TransformStatus.STOPPED, 6.0)
    assert status(deployed, "batches", "score", "score-1")["status"] == "stopped"


@pytest.mark.parametrize(
    ("reason", "failed", "word"),
    [
        ("cannot score 000001.json: ValueError", [{"name": "000001.json", "reason": "x"}], "completed with failures"),
        ("it took more memory than the 64 MiB of its limit", [], "out of memory"),
        ("it ran longer than its maximum of 60 s", [], "timed out"),
        ("cannot load the model: ImportError", [], "worker error"),
    ],
)
def test_how_a_job_failed_is_told_in_cortexs_words(deployed: Api, reason: str, failed: list[Any], word: str) -> None:
    deployed.post("/batches/score/jobs", ITEMS)
    deployed.store.transforms.end("score-1", TransformStatus.FAILED, 6.0, reason, {"failed": failed})
    assert status(deployed, "batches", "score", "score-1")["status"] == word


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"workers": 1}, "give exactly one of item_list, file_path_lister and delimited_files"),
        ({**ITEMS, "workers": 1000}, "workers"),
        ({"item_list": {"items": ["x" * 300_000]}}, "cannot take a batch of 300"),
        ({"file_path_lister": {"s3_paths": ["/data"]}}, "write s3://BUCKET/KEY"),
    ],
)
def test_what_is_no_job_is_refused_and_leaves_nothing(deployed: Api, body: dict[str, Any], said: str) -> None:
    assert said in json.dumps(refusal(deployed.post("/batches/score/jobs", body), 400, "invalid_value"))
    assert deployed.store.transforms.select() == []
    refusal(deployed.post("/batches/nosuch/jobs", ITEMS), 404, "not_found")
    assert not list(deployed.home.transforms.glob("submitted-*"))


def test_a_job_that_was_written_down_keeps_its_batches_whatever_fails_then(
    deployed: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise StoreFailed("cannot write the event")

    monkeypatch.setattr(deployed.store.events, "add", fails)
    refusal(deployed.post("/batches/score/jobs", ITEMS), 500, "store_failed")
    assert len(list(Path(deployed.store.transforms.get("score-1").spec.input).iterdir())) == 3


@pytest.mark.parametrize("count", [3, FILES_SYNCED_ONE_BY_ONE_MAX + 1])
def test_a_job_is_on_disk_when_it_is_answered(deployed: Api, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    synced: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    monkeypatch.setattr(os, "sync", lambda: synced.append("all"))
    answer = deployed.post("/batches/score/jobs", {"item_list": {"items": list(range(count))}})
    given = Path(deployed.store.transforms.get(answer.json()["job_id"]).spec.input)
    files = {str(one) for one in given.iterdir()}
    assert len(files) == count
    assert files <= set(synced) or "all" in synced
    assert {str(given), str(given.parent), str(given.parent.parent)} <= set(synced)


def test_a_body_that_says_it_is_a_form_is_refused_with_the_remedy(deployed: Api) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = deployed.ask("POST", "/api/v1/batches/score/jobs", content=json.dumps(ITEMS), headers=form)
    error = refusal(answer, 400, "invalid_value")
    assert error["message"] == "cannot use the body: it is said to be application/x-www-form-urlencoded"
    assert "content-type: application/json" in error["hint"]


def letters(api: Api, job: str) -> list[dict[str, Any]]:
    answer = api.get("/batches/score/jobs/dead-letters", params={"jobID": job})
    return [json.loads(line) for line in answer.text.splitlines()]


def redrive(api: Api, job: str) -> httpx.Response:
    return api.ask("POST", "/api/v1/batches/score/jobs/redrive", params={"jobID": job})


def test_batches_that_failed_for_good_are_dead_letters_and_are_driven_again_alone(deployed: Api) -> None:
    queue = {"arn": "arn:aws:sqs:us-west-2:123456789012:dead", "max_receive_count": 7}
    deployed.post("/batches/score/jobs", {**ITEMS, "sqs_dead_letter_queue": queue})
    transform = deployed.store.transforms.get("score-1")
    assert transform.spec.options["retries"] == 6
    folder = deployed.home.transforms / "score-1"
    folder.mkdir()
    failed = {"name": "000001.json", "reason": "cannot score 000001.json: ValueError: four"}
    (folder / "failed.jsonl").write_text(json.dumps(failed) + "\n")
    # As long as the job goes on, none has failed for good.
    assert letters(deployed, "score-1") == []
    refusal(redrive(deployed, "score-1"), 409, "conflict")
    deployed.store.transforms.end("score-1", TransformStatus.FAILED, 6.0, failed["reason"], {"failed": [failed]})
    assert letters(deployed, "score-1") == [{"batch": "000001", "reason": failed["reason"], "items": [3, 4]}]
    assert redrive(deployed, "score-1").json()["job_id"] == "score-2"
    anew = deployed.store.transforms.get("score-2")
    assert [json.loads(one.read_text()) for one in Path(anew.spec.input).iterdir()] == [[3, 4]]
    assert (anew.spec.package, anew.spec.options) == (transform.spec.package, transform.spec.options)
    assert anew.spec.output not in (transform.spec.output, "")
    assert anew.spec.submitted == {**transform.spec.submitted, "total_batch_count": 1}


def test_a_dry_run_starts_nothing(deployed: Api) -> None:
    answer = deployed.post("/batches/score/jobs", ITEMS, params={"dryRun": True})
    assert answer.json() == {"s3_paths": [], "message": "validations passed"}
    assert deployed.store.transforms.select() == []


def test_a_task_is_a_run_with_the_jobs_config(deployed: Api) -> None:
    view = deployed.post("/trainings/fit/jobs", {"config": {"b": 2}, "timeout": 30}).json()
    run = deployed.store.runs.get(view["job_id"])
    assert (run.spec.hyperparameters, run.spec.max_runtime_seconds) == ({"a": "1", "b": "2"}, 30.0)
    assert status(deployed, "trainings", "fit", run.id)["status"] == "running"
    deployed.store.runs.move(run.id, RunStatus.COMPLETED, RunStep.COMPLETED, 9.0)
    assert status(deployed, "trainings", "fit", run.id)["status"] == "succeeded"


def test_a_job_of_another_batch_is_not_this_ones(deployed: Api) -> None:
    deployed.post("/batches/score/jobs", ITEMS)
    answer = deployed.get("/batches/other/jobs", params={"jobID": "score-1"})
    assert answer.status_code == 404


def test_jobs_of_a_batch_with_an_output_of_its_own_each_have_a_folder_there(deployed: Api, tmp_path: Path) -> None:
    package = deployed.store.resources.get("batch", "score").wished.spec
    kept = {"predictor": package["predictor"], "code": package["code"], "output": f"{tmp_path}/scores"}
    named = {**kept, "output": f"{tmp_path}/{{job}}/of/{{date}}"}
    resources = [{"kind": "batch", "name": name, "spec": one} for name, one in (("kept", kept), ("named", named))]
    assert deployed.post("/deployments", {"project": "shop", "resources": resources}).status_code == 200
    for name in ("kept", "kept", "named"):
        assert deployed.post(f"/batches/{name}/jobs", ITEMS).status_code == 200
    outputs = {one.id: one.spec.output for one in deployed.store.transforms.select()}
    assert (outputs["kept-1"], outputs["kept-2"]) == (f"{tmp_path}/scores/kept-1", f"{tmp_path}/scores/kept-2")
    assert outputs["named-1"].startswith(f"{tmp_path}/named-1/of/20")
    # A transform of the same batch is told by the names of its input where its answers go.
    (tmp_path / "rows.csv").write_text("1\n")
    answer = deployed.post("/batches/kept/transforms", {"input": f"{tmp_path}/rows.csv"})
    assert answer.json()["output"] == f"{tmp_path}/scores"
