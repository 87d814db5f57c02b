"""Deploying through the interface: packages are built, versions resolved, all or nothing wished."""

import json
from typing import Any

import pytest

from modelyard.domain.endpoints import EndpointState, EndpointStatus, ReplicaStatus, VersionState
from tests.integration.api.yard_over_http import MODEL, Api, refusal

PRICE = {"kind": "endpoint", "name": "price", "model": {"reference": "price"}}


def test_a_registered_model_is_deployed_in_its_newest_version(api: Api) -> None:
    api.register()
    answer = api.deploy(PRICE)
    assert answer.json() == {
        "outcomes": [
            {
                "kind": "endpoint",
                "name": "price",
                "change": "creating",
                "version": 1,
                "source": None,
                "sentence": "creating price (endpoint)",
            }
        ]
    }
    spec = api.store.endpoints.get("price").wished.spec
    assert spec.model == "price:1"
    files = {file.path for file in api.artifacts.tree(spec.package)}
    assert files == {"package.json", "model/model.json"}
    assert api.pokes == 1
    assert (
        api.get("/events", params={"kind": "endpoint"}).json()["events"][0]["sentence"] == "creating price (endpoint)"
    )


def test_deploying_the_same_again_changes_nothing_and_a_new_version_does(api: Api) -> None:
    api.register()
    api.deploy(PRICE)
    assert api.deploy(PRICE).json()["outcomes"][0]["change"] == "is up to date"
    api.register()
    outcome = api.deploy(PRICE).json()["outcomes"][0]
    assert (outcome["change"], outcome["version"]) == ("updating", 2)


def test_a_tree_of_files_is_deployed_with_a_predictor(api: Api) -> None:
    code = api.tree({"predictor.py": b"class Predictor: ..."})
    resource = {
        "name": "hello",
        "code": code,
        "predictor": {"path": "predictor.py", "class": None, "config": {"a": 1}, "python_path": None},
        "model": {"tree": api.tree({"weights.bin": b"1"})},
        "spec": {"replicas": 2, "timeout_seconds": 5, "environment": {"A": "b"}},
    }
    assert api.deploy(resource).status_code == 200
    spec = api.store.endpoints.get("hello").wished.spec
    assert (spec.replicas, spec.timeout_seconds, spec.environment, spec.model) == (2, 5.0, {"A": "b"}, None)


def test_a_function_is_deployed_again_and_an_endpoint_does_not_take_its_name(api: Api) -> None:
    code = api.tree({"mail.py": b"def handler(event, context): ..."})
    predictor = {"path": "mail.py", "config": {}, "handler": "handler"}
    function = {"name": "mail", "code": code, "predictor": predictor, "spec": {"function": {"concurrency": 1}}}
    assert api.deploy(function).status_code == 200
    again = api.deploy({**function, "spec": {"function": {"concurrency": 2}}})
    assert (again.status_code, again.json()["outcomes"][0]["change"]) == (200, "updating")
    api.register()
    endpoint = {"name": "mail", "model": {"reference": "price"}}
    assert "there is function/mail" in refusal(api.deploy(endpoint), 409, "conflict")["message"]


def test_where_one_of_two_cannot_be_none_is_wished(api: Api) -> None:
    api.register()
    error = refusal(api.deploy(PRICE, {"name": "other", "model": {"reference": "prize"}}), 404, "not_found")
    assert "endpoint other" in error["message"]
    assert api.get("/endpoints").json() == {"endpoints": []}


def test_what_cannot_be_is_refused_and_said(api: Api) -> None:
    api.register()
    refusal(api.deploy({**PRICE, "model": {}}), 400, "invalid_value")
    refusal(api.deploy({**PRICE, "model": {"reference": "price:7"}}), 404, "not_found")
    refusal(api.deploy({**PRICE, "name": "not a label"}), 400, "invalid_value")
    refusal(api.deploy(PRICE, {**PRICE, "name": "Price"}), 400, "invalid_value")
    refusal(api.deploy({**PRICE, "predictor": {"path": "p.py"}}), 400, "invalid_value")
    refusal(api.deploy({**PRICE, "spec": {"max_surge": "a lot"}}), 400, "invalid_value")
    refusal(api.deploy({**PRICE, "spec": {"environment": {"A=B": "c"}}}), 400, "invalid_value")
    refusal(api.deploy({**PRICE, "spec": {"max_body_bytes": 200 * 2**20}}), 400, "invalid_value")
    assert api.pokes == 0


def test_another_projects_endpoint_is_not_deployed_over(api: Api) -> None:
    api.register()
    api.deploy(PRICE)
    error = refusal(api.post("/deployments", {"project": "other", "resources": [PRICE]}), 409, "conflict")
    assert "project shop" in error["message"]


def test_an_endpoint_is_shown_as_wished_until_the_controller_has_looked(api: Api) -> None:
    api.register()
    api.deploy(PRICE)
    view = api.get("/endpoints/PRICE").json()
    assert (view["name"], view["state"], view["ready"], view["requested"]) == ("price", "updating", 0, 1)
    assert view["url"] == "http://127.0.0.1:8400/endpoints/price/invocations"
    replica = ReplicaStatus("price-1", 1, "ready", 77, api.clock.now(), forked=True)
    seen = EndpointStatus(EndpointState.LIVE, "live", 1, 1, 1, 1, api.clock.now(), (replica,))
    api.store.endpoints.put_statuses({"price": seen})
    api.store.endpoints.mark_version("price", 1, VersionState.READY, None)
    view = api.get("/endpoints/price").json()
    assert (view["state"], view["serving_version"], view["replicas"][0]["pid"]) == ("live", 1, 77)
    api.clock.advance(10)
    api.register()
    api.deploy(PRICE)
    view = api.get("/endpoints/price").json()
    assert (view["state"], view["serving_version"], view["wished_version"]) == ("updating", 1, 2)
    assert [one["state"] for one in view["versions"]] == ["ready", "new"]


def test_deleting_is_accepted_and_doing_so_twice_is_harmless(api: Api) -> None:
    api.register()
    api.deploy(PRICE)
    for _ in range(2):
        answer = api.ask("DELETE", "/api/v1/endpoints/price")
        assert (answer.status_code, answer.json()["state"]) == (202, "deleting")
    refusal(api.ask("DELETE", "/api/v1/endpoints/prise"), 404, "not_found")
    assert len([one for one in api.store.events.select("endpoint") if "deleting" in one.sentence]) == 1


def test_models_are_registered_listed_and_forgotten(api: Api) -> None:
    view = api.register().json()
    assert (view["reference"], view["framework"], view["size_bytes"]) == ("price:1", "xgboost", len(MODEL))
    api.register()
    assert [one["reference"] for one in api.get("/models").json()["models"]] == ["price:2"]
    assert [one["version"] for one in api.get("/models/price").json()["versions"]] == [2, 1]
    assert api.ask("DELETE", "/api/v1/models/price?version=1").json() == {"deleted": 1}
    assert api.ask("DELETE", "/api/v1/models/price").json() == {"deleted": 1}
    refusal(api.get("/models/price"), 404, "not_found")


def test_a_framework_that_has_no_loader_is_refused_at_registration(api: Api) -> None:
    tree = api.tree({"model.json": MODEL})
    refusal(
        api.post("/models/price/versions", {"project": "shop", "tree": tree, "framework": "jax"}), 400, "invalid_value"
    )
    refusal(api.post("/models/price/versions", {"project": "shop", "tree": "0" * 64}), 404, "not_found")


def test_a_kind_that_there_is_not_is_refused_and_nothing_is_wished(api: Api) -> None:
    api.register()
    error = refusal(api.deploy(PRICE, {"kind": "endpiont", "name": "x", "spec": {}}), 400, "invalid_value")
    assert error["hint"] == "did you mean endpoint?"
    assert api.store.endpoints.select() == []


def test_pruning_deletes_what_the_file_no_longer_wishes(api: Api) -> None:
    api.register()
    both = {"project": "shop", "resources": [PRICE, {**PRICE, "name": "other"}], "from_file": True}
    api.post("/deployments", both)
    refusal(api.post("/deployments", {**both, "from_file": False, "prune": True}), 400, "invalid_value")
    answer = api.post("/deployments", {**both, "resources": [PRICE], "prune": True}).json()
    assert [one["sentence"] for one in answer["outcomes"]] == [
        "price (endpoint) is up to date",
        "deleting other (endpoint)",
    ]
    assert api.store.endpoints.get("other").deleting


def test_an_endpoint_is_not_called_as_an_address_of_the_yards_own(api: Api) -> None:
    api.register()
    error = refusal(api.deploy({**PRICE, "name": "Console"}), 400, "invalid_value")
    assert "/console" in error["message"]
    assert error["hint"] == "choose another, such as Console-model"
    assert api.store.endpoints.select() == []


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        (
            "gateway",
            {
                "routes": [{"key": "GET /", "target": {"url": "https://example.com"}, "query": ["q"]}],
                "cors": {"origins": ["*"]},
                "hosts": ["api.example.com"],
                "authorizers": {"people": {"issuer": "https://login.example.com", "audience": ["shop"]}},
            },
        ),
        ("site", {"hosts": ["docs.example.com"], "cors": ["*"], "access": {"groups": ["staff"]}}),
        ("alarm", {"endpoint": "price", "metric": "errors_5xx", "comparison": ">", "threshold": 1.0}),
    ],
)
def test_the_same_document_of_a_kind_is_no_change(api: Api, kind: str, spec: dict[str, Any]) -> None:
    api.register()
    api.deploy(PRICE)
    tree = {"tree": api.tree({"index.html": b"<h1>docs</h1>"})} if kind == "site" else {}
    changes = [api.deploy({"kind": kind, "name": "one", "spec": {**spec, **tree}}).json() for _ in range(2)]
    assert [one["outcomes"][0]["change"] for one in changes] == ["creating", "is up to date"], changes
    kept = api.store.resources.get(kind, "one").wished.spec
    assert json.loads(json.dumps(kept)) == kept, "a database gives it back as it was"


LOUD: dict[str, Any] = {
    "kind": "alarm",
    "name": "Loud",
    "spec": {"endpoint": "price", "metric": "errors_5xx", "comparison": ">", "threshold": 1.0},
}


def test_a_guard_names_alarms_that_are_there_or_come_with_it(api: Api) -> None:
    api.register()
    guarded = {**PRICE, "spec": {"update_strategy": {"type": "canary", "guard": {"alarms": ["loud"]}}}}
    error = refusal(api.deploy(guarded), 404, "not_found")
    assert error["message"] == "cannot deploy endpoint price: its auto_rollback names alarm 'loud', which is not there"
    api.deploy(guarded, LOUD)
    assert api.deploy(guarded).json()["outcomes"][0]["change"] == "is up to date"
    mistyped = {**PRICE, "spec": {"update_strategy": {"type": "canary", "guard": {"alarms": ["lout"]}}}}
    assert refusal(api.deploy(mistyped), 404, "not_found")["hint"] == "did you mean Loud?"


def test_an_alarm_watches_one_endpoint_and_not_a_name_that_several_answer_under(api: Api) -> None:
    api.register()
    member = {"endpoint": "price", "weight": 100.0, "variant": "price"}
    split = {"kind": "traffic_splitter", "name": "tank", "spec": {"members": [member]}}
    watching = {**LOUD, "spec": {**LOUD["spec"], "endpoint": "tank"}}
    for deployed in ([PRICE, split, watching], [watching]):
        error = refusal(api.deploy(*deployed), 400, "invalid_value")
        assert error["message"] == "cannot deploy alarm Loud: several endpoints answer as tank"
        api.deploy(PRICE, split)
