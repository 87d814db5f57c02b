"""Batch transforms through the interface."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.transforms import TransformStatus
from tests.integration.api.yard_over_http import Api, refusal


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("1,2\n")
    return tmp_path


def request(place: Path, **changes: Any) -> dict[str, Any]:
    asked = {"project": "shop", "model": {"reference": "price"}, "input": f"{place}/rows.csv", "output": f"{place}/out"}
    return {**asked, **changes}


def test_a_transform_is_accepted_with_the_version_that_scores(api: Api, place: Path) -> None:
    api.register("price")
    answer = api.post("/transforms", request(place, options={"join": "Input", "max_payload_mb": 2}))
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["id"], view["status"], view["model"]) == ("price-transform-1", "InProgress", "price:1")
    assert view["options"] == {"join": "Input", "max_payload_mb": 2}
    assert view["progress"] is None
    assert api.pokes == 1
    assert api.get("/transforms/price-transform-1").json() == view
    assert api.get("/transforms").json()["transforms"] == [view]


def test_an_endpoint_scores_with_its_own_package(api: Api, place: Path) -> None:
    api.register("price")
    api.deploy({"name": "live", "model": {"reference": "price"}})
    view = api.post("/transforms", request(place, model=None, endpoint="live", name="nightly")).json()
    assert (view["id"], view["model"]) == ("nightly-1", "endpoint/live:1")
    assert view["package"] == api.store.endpoints.get("live").wished.spec.package
    assert api.post("/transforms", request(place, model=None, endpoint="live")).json()["id"] == "live-transform-1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"options": {"split": "RecordIO"}}, "RecordIO is not served"),
        ({"options": {"split": "Lines"}}, "allowed are Auto, None, Line"),
        ({"options": {"max_payload_mb": 101}}, "max_payload_mb is 101"),
        ({"options": {"processes": 20, "max_payload_mb": 6}}, "times max_payload_mb"),
        ({"options": {"retries": 4}}, "retries is 4"),
        ({"options": {"strategy": "SingleRecord", "split": "None"}}, "needs a split"),
        ({"options": {"input_filter": "$..a"}}, "input_filter"),
        ({"options": {"join": "Input", "accept": "text/csv", "content_type": "application/json"}}, "same type"),
        ({"options": {"join": "Input", "split": "Line", "assemble": "None"}}, "the same as split"),
        ({"input": "rows.csv"}, "no absolute path"),
        ({"input": "ftp://host/rows.csv"}, "cannot read from ftp://"),
        ({"input": "s3://b!/rows.csv"}, "cannot read 's3://b!/rows.csv' as an input"),
        ({"output": "https://host/out"}, "cannot write to https://"),
        ({"output": "/dev/null"}, "is a file"),
        ({"model": None}, "exactly one of"),
        ({"endpoint": "live"}, "exactly one of"),
        ({"name": "not a label"}, "transform name"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_begins(
    api: Api, place: Path, changes: dict[str, Any], words: str
) -> None:
    api.register("price")
    error = refusal(api.post("/transforms", request(place, **changes)), 400, "invalid_value")
    assert words in error["message"]
    assert api.store.transforms.unfinished() == []


def test_an_input_or_a_model_that_is_not_there_is_refused(api: Api, place: Path) -> None:
    refusal(api.post("/transforms", request(place)), 404, "not_found")
    api.register("price")
    error = refusal(api.post("/transforms", request(place, input=f"{place}/gone.csv")), 404, "not_found")
    assert "gone.csv" in error["message"]


def test_a_view_tells_how_far_it_is_and_what_failed(api: Api, place: Path) -> None:
    api.register("price")
    api.post("/transforms", request(place))
    folder = api.home.transforms / "price-transform-1"
    folder.mkdir(parents=True)
    progress = {"objects": 2, "objects_done": 1, "objects_failed": 0, "records": 9, "bytes": 4, "bytes_total": 8}
    told = {"at": 1.0, "seconds_left": 2.0, "tries_failed": 1, "requests": 4, "request_seconds": 0.5}
    (folder / "progress.json").write_text(json.dumps({**progress, **told}))
    assert api.get("/transforms/price-transform-1").json()["progress"] == {
        **progress,
        "seconds_left": 2.0,
        "records_per_second": None,
        "tries_failed": 1,
        "seconds_per_request": 0.125,
    }
    failed = [{"name": "a.csv", "reason": "cannot score a.csv"}]
    api.store.transforms.end("price-transform-1", TransformStatus.FAILED, 5.0, "cannot", {"failed": failed})
    view = api.get("/transforms/price-transform-1").json()
    assert (view["status"], view["failed"]) == ("Failed", failed)


def test_a_stop_is_asked_for_once(api: Api, place: Path) -> None:
    api.register("price")
    api.post("/transforms", request(place))
    for _ in range(2):
        answer = api.post("/transforms/price-transform-1/stop", {})
        assert (answer.status_code, answer.json()["status"]) == (202, "Stopping")
    told = [one["sentence"] for one in api.get("/events", params={"kind": "transform"}).json()["events"]]
    assert told.count("a stop was asked for") == 1
    refusal(api.post("/transforms/gone/stop", {}), 404, "not_found")


def test_a_url_is_shown_without_its_signature(api: Api, place: Path) -> None:
    api.register("price")
    view = api.post("/transforms", request(place, input="https://example.com/rows.csv?X-Amz-Signature=abc")).json()
    assert view["input"] == "https://example.com/rows.csv"
