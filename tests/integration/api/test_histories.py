"""How an endpoint's versions came about, and how it goes back."""

from modelyard.domain.endpoints import VersionState
from tests.integration.api.yard_over_http import Api, refusal


def two_versions(api: Api) -> None:
    for _ in range(2):
        api.register()
        assert api.deploy({"name": "price", "model": {"reference": "price"}}).status_code == 200
        number = api.store.endpoints.get("price").wished.number
        api.store.endpoints.mark_version("price", number, VersionState.READY, None)


def test_history_lists_the_newest_first_and_says_where_a_rollback_goes(api: Api) -> None:
    two_versions(api)
    view = api.get("/endpoints/Price/history").json()
    assert [(one["number"], one["state"], one["model"], one["cause"]) for one in view["versions"]] == [
        (2, "ready", "price:2", "deploy"),
        (1, "ready", "price:1", "deploy"),
    ]
    assert (view["wished_version"], view["rollback_version"]) == (2, 1)
    refusal(api.get("/endpoints/prize/history"), 404, "not_found")


def test_a_rollback_is_told_wakes_the_controller_and_is_done_once(api: Api) -> None:
    two_versions(api)
    before = api.pokes
    answer = api.post("/endpoints/price/rollback", {"to": 1, "by": "ada@desk"})
    assert answer.json() == {
        "kind": "endpoint",
        "name": "price",
        "change": "rolling back",
        "version": 3,
        "source": 1,
        "sentence": "rolling back price (endpoint) to version 1 as version 3",
    }
    assert api.pokes == before + 1
    assert api.post("/endpoints/price/rollback", {"to": 1}).json()["change"] == "is up to date"
    newest = api.get("/endpoints/price/history").json()["versions"][0]
    assert (newest["number"], newest["cause"], newest["source"], newest["by"]) == (3, "rollback", 1, "ada@desk")
    assert api.get("/events?limit=1").json()["events"][0]["sentence"] == answer.json()["sentence"]


def test_a_rollback_that_cannot_be_is_refused_with_the_reason(api: Api) -> None:
    api.register()
    api.deploy({"name": "price", "model": {"reference": "price"}})
    assert "no earlier version" in refusal(api.post("/endpoints/price/rollback", {}), 409, "conflict")["message"]
    refusal(api.post("/endpoints/price/rollback", {"to": 9}), 404, "not_found")
    refusal(api.post("/endpoints/price/rollback", {"to": 0}), 400, "invalid_value")
    refusal(api.post("/endpoints/price/rollback", {"version": 1}), 400, "invalid_value")


def test_a_refresh_is_a_new_version_of_the_same_and_is_done_once(api: Api) -> None:
    two_versions(api)
    assert api.post("/endpoints/price/refresh", {"version": 2}).json()["version"] == 3
    assert api.post("/endpoints/price/refresh", {"version": 2}).json()["change"] == "is up to date"
    view = api.get("/endpoints/price").json()
    assert (view["wished_version"], view["model"]) == (3, "price:2")
    refusal(api.post("/endpoints/price/refresh", {"version": 1}), 409, "conflict")
