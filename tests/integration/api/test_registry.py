"""The registry through the interface: aliases, tags, approvals, and inputs that the yard has already."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace

from modelyard.api.lineage import served_now
from modelyard.domain.endpoints import (
    Endpoint,
    EndpointSpec,
    EndpointState,
    EndpointStatus,
    EndpointVersion,
    VersionState,
)
from modelyard.domain.runs import RunStatus, RunStep
from modelyard.domain.strategies import StrategyType, UpdateStrategy
from modelyard.domain.traffic import Progress
from modelyard.store.remotes import DataRemotes
from tests.integration.api.yard_over_http import Api, refusal

PRICE = {"name": "price", "model": {"reference": "price@champion"}}


def promote(api: Api, version: int, alias: str = "champion") -> dict[str, object]:
    answer = api.ask("PUT", f"/api/v1/models/price/aliases/{alias}", json={"version": version, "by": "ada@desk"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_alias_is_deployed_as_the_version_that_it_means_then(api: Api) -> None:
    api.register()
    api.register()
    refusal(api.deploy(PRICE), 404, "not_found")
    promote(api, 1)
    api.deploy(PRICE)
    spec = api.store.endpoints.get("price").wished.spec
    assert (spec.model, spec.model_asked) == ("price:1", "price@champion")
    moved = promote(api, 2)
    assert (moved["previous"], moved["behind"]) == (1, ["price"])
    assert api.deploy({**PRICE, "model": {"reference": "price:1"}}).json()["outcomes"][0]["change"] == "is up to date"
    assert api.deploy(PRICE).json()["outcomes"][0]["change"] == "updating"
    assert promote(api, 2)["behind"] == []


def test_only_moves_of_an_alias_are_events(api: Api) -> None:
    api.register()
    for _ in range(2):
        promote(api, 1)
    assert api.ask("DELETE", "/api/v1/models/price/aliases/champion").json()["version"] == 1
    refusal(api.ask("DELETE", "/api/v1/models/price/aliases/champion"), 404, "not_found")
    said = [one.sentence for one in api.store.events.select("model", "price")]
    assert said == [
        "alias champion taken from price:1",
        "price@champion is price:1 now, by ada@desk",
        "registered price:1",
    ]


def test_what_requires_approval_is_refused_until_somebody_approved_it(api: Api) -> None:
    api.register()
    promote(api, 1)
    strict = {**PRICE, "spec": {"require_approval": True}}
    error = refusal(api.deploy(strict), 409, "conflict")
    assert "models approve price:1" in str(error["hint"])
    view = api.ask(
        "PUT",
        "/api/v1/models/price/versions/champion/approval",
        json={"state": "approved", "by": "ada", "note": "good"},
    ).json()
    assert view["approval"]["state"] == "approved"
    assert view["approval"]["at"]
    assert api.deploy(strict).status_code == 200
    rejected = {"state": "rejected", "by": "ada", "note": "leaks"}
    assert api.ask("PUT", "/api/v1/models/price/versions/1/approval", json=rejected).status_code == 200
    assert "it was rejected by ada" in str(refusal(api.deploy(strict), 409, "conflict")["message"])
    assert api.deploy(PRICE).status_code == 200
    tree = {"name": "loose", "model": {"tree": api.tree({"model.json": b"{}"})}, "spec": {"require_approval": True}}
    refusal(api.deploy(tree), 409, "conflict")
    refusal(api.ask("PUT", "/api/v1/models/price/versions/1/approval", json={"state": "perhaps"}), 400, "invalid_value")


def test_a_version_is_found_by_number_and_by_alias_and_tagged(api: Api) -> None:
    api.register()
    promote(api, 1)
    tagged = api.post("/models/price/versions/champion/tags", {"tags": {"team": "shop"}}).json()
    assert tagged["tags"] == {"team": "shop"}
    view = api.get("/models/price/versions/1").json()
    assert view == api.get("/models/PRICE/versions/champion").json()
    assert (view["aliases"], view["tags"], view["serving"], view["served"]) == (["champion"], {"team": "shop"}, [], [])
    for wrong in ("2", "loser"):
        refusal(api.get(f"/models/price/versions/{wrong}"), 404, "not_found")
    refusal(api.post("/models/price/versions/1/tags", {"tags": {}}), 400, "invalid_value")


def test_objects_of_a_data_remote_become_an_input(api: Api) -> None:
    def send(content: bytes, suffix: str = "") -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        name = hashlib.md5(content).hexdigest() + suffix
        asyncio.run(DataRemotes(api.home.data_remotes).put("houses", name, chunks()))
        return name

    cat, dog = send(b"cat"), send(b"dog")
    listing = [{"md5": cat, "relpath": "cats/1.txt"}, {"md5": dog, "relpath": "dogs/1.txt"}]
    folder = send(json.dumps(listing).encode(), ".dir")

    def tree(**wanted: str) -> dict[str, str]:
        answer = api.post("/data/houses/trees", wanted)
        assert answer.status_code == 201, answer.text
        files = api.artifacts.tree(answer.json()["digest"])
        return {one.path: api.artifacts.read(one.sha256).decode() for one in files}

    assert tree(md5=cat, name="cat.txt") == {"cat.txt": "cat"}
    assert tree(md5=folder, name="animals") == {"cats/1.txt": "cat", "dogs/1.txt": "dog"}
    assert tree(md5=folder, name="dogs", within="dogs") == {"1.txt": "dog"}
    assert tree(md5=folder, name="1.txt", within="dogs/1.txt") == {"1.txt": "dog"}
    for wrong in ({"md5": "0" * 32, "name": "x"}, {"md5": folder, "name": "x", "within": "birds"}):
        refusal(api.post("/data/houses/trees", wrong), 404, "not_found")
    refusal(api.post("/data/houses/trees", {"md5": "../key", "name": "x"}), 400, "invalid_value")
    evil = send(json.dumps([{"md5": cat, "relpath": "../../key"}]).encode(), ".dir")
    refusal(api.post("/data/houses/trees", {"md5": evil, "name": "x"}), 400, "invalid_value")


def test_what_a_run_left_becomes_an_input_with_its_model_as_parent(api: Api) -> None:
    request = {
        "training": "price-training",
        "project": "shop",
        "algorithm": "xgboost",
        "model": "price",
        "inputs": {"train": api.tree({"train.csv": b"1,2"})},
    }
    run = api.post("/runs", request).json()["id"]
    refusal(api.post(f"/runs/{run}/trees", {"part": "output"}), 409, "conflict")
    output = api.home.runs / run / "ml" / "output" / "data"
    output.mkdir(parents=True)
    (output / "rows.csv").write_text("3,4")
    api.register()
    api.store.runs.move(run, RunStatus.COMPLETED, RunStep.COMPLETED, 2.0, model_version=1)
    digest = api.post(f"/runs/{run}/trees", {"part": "output"}).json()["digest"]
    assert [one.path for one in api.artifacts.tree(digest)] == ["rows.csv"]
    model = api.post(f"/runs/{run}/trees", {"part": "model"}).json()["digest"]
    assert model == api.store.models.get("price", 1).tree

    sources = {"train": f"run:{run}/model"}
    second = api.post("/runs", {**request, "inputs": {"train": model}, "sources": sources}).json()
    assert second["sources"] == sources
    assert api.store.runs.get(second["id"]).spec.parents == {"train": "price:1"}
    refusal(api.post("/runs", {**request, "sources": {"test": "x"}}), 400, "invalid_value")


def test_a_version_on_its_way_serves_its_share_of_the_requests_and_the_one_before_the_rest() -> None:
    spec = EndpointSpec("package", model="price:2", update_strategy=UpdateStrategy(StrategyType.CANARY))
    old = EndpointVersion(1, replace(spec, model="price:1"), 0.0, VersionState.READY)
    new = EndpointVersion(2, spec, 0.0, VersionState.NEW, progress=Progress(percent=10.0))
    seen = EndpointStatus(EndpointState.UPDATING, "", 1, 2, 1, 1, 0.0)

    def shares(*versions: EndpointVersion) -> list[tuple[int, float | None]]:
        endpoints = [Endpoint("price", "shop", versions)]
        found = [served_now(model, endpoints, {"price": seen}) for model in ("price:1", "price:2")]
        return [(one.version, one.percent) for listed in found for one in listed]

    assert shares(old, new) == [(1, 90.0), (2, 10.0)]
    assert shares(old, replace(new, progress=Progress())) == [(1, None)], "nobody is answered by it yet"
    assert shares(old) == [(1, None)]
