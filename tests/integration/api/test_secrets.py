import pytest

from modelyard.api.app import create_app
from modelyard.api.yard import Yard
from modelyard.domain.runs import RunStatus, RunStep
from modelyard.settings import CareSettings
from tests.integration.api.yard_over_http import Api, refusal

VALUE = "correct horse battery staple"


def put(api: Api, name: str, value: str = VALUE):
    return api.ask("PUT", f"/api/v1/secrets/{name}", json={"value": value})


def deploy(api: Api, **secrets: str):
    return api.deploy({"name": "price", "model": {"reference": "price"}, "spec": {"secrets": secrets}})


def train(api: Api, **secrets: str):
    code = api.tree({"train.py": b"print()"})
    return api.post(
        "/runs", {"training": "t", "project": "shop", "entry": "train.py", "code": code, "secrets": secrets}
    )


def test_a_secret_is_listed_with_its_revision_and_never_with_its_value(api: Api) -> None:
    assert put(api, "token").json()["revision"] == 1
    assert put(api, "token", "another value").json()["revision"] == 2
    answer = api.get("/secrets")
    assert [(one["name"], one["revision"]) for one in answer.json()["secrets"]] == [("token", 2)]
    assert "another value" not in answer.text
    assert VALUE not in api.get("/events").text
    assert "another value" not in api.get("/events").text


def test_the_same_value_again_makes_no_event(api: Api) -> None:
    put(api, "token")
    api.clock.advance(1.0)
    assert put(api, "token").json()["revision"] == 1
    assert [one["sentence"] for one in api.get("/events?kind=secret").json()["events"]] == ["set (revision 1)"]


def test_secrets_want_the_key(api: Api) -> None:
    refusal(api.ask("PUT", "/api/v1/secrets/token", key=None, json={"value": VALUE}), 401, "unauthorized")
    refusal(api.ask("GET", "/api/v1/secrets", key=None), 401, "unauthorized")


@pytest.mark.parametrize("document", [{}, {"value": 7}, {"value": ["correct horse"]}, {"value": "x" * 40_000}])
def test_a_refused_value_is_not_repeated(api: Api, document: dict[str, object]) -> None:
    error = refusal(api.ask("PUT", "/api/v1/secrets/token", json=document), 400, "invalid_value")
    assert "horse" not in error["message"]
    assert "xxx" not in error["message"]


def test_deploying_with_an_unknown_secret_is_refused_with_the_nearest_and_changes_nothing(api: Api) -> None:
    api.register()
    put(api, "db-password")
    error = refusal(deploy(api, PASSWORD="db-pasword"), 404, "not_found")
    assert "variable PASSWORD" in error["message"]
    assert error["hint"] == "did you mean db-password?"
    assert api.get("/endpoints").json()["endpoints"] == []


def test_a_run_with_an_unknown_secret_is_refused(api: Api) -> None:
    error = refusal(train(api, TOKEN="token"), 404, "not_found")
    assert error["hint"] == "set it first: `modelyard secret set token`"


def test_one_variable_is_not_given_twice(api: Api) -> None:
    api.register()
    put(api, "token")
    spec = {"environment": {"TOKEN": "plain"}, "secrets": {"TOKEN": "token"}}
    answer = api.deploy({"name": "price", "model": {"reference": "price"}, "spec": spec})
    assert "twice" in refusal(answer, 400, "invalid_value")["message"]


def test_a_secret_in_use_is_not_deleted_and_says_who_uses_it(api: Api) -> None:
    api.register()
    put(api, "token")
    assert deploy(api, TOKEN="TOKEN").status_code == 200
    run = train(api, TOKEN="token").json()["id"]
    assert api.get("/secrets").json()["secrets"][0]["used_by"] == ["endpoint/price", f"run/{run}"]
    refused = refusal(api.ask("DELETE", "/api/v1/secrets/token"), 409, "conflict")
    assert f"endpoint/price, run/{run}" in refused["message"]


def test_a_secret_that_nothing_uses_any_more_can_be_deleted(api: Api) -> None:
    put(api, "token")
    run = train(api, TOKEN="token").json()["id"]
    api.store.runs.move(run, RunStatus.FAILED, RunStep.FAILED, 1.0)
    assert api.ask("DELETE", "/api/v1/secrets/TOKEN").json() == {"deleted": "token"}
    assert api.get("/secrets").json()["secrets"] == []


def test_logs_show_stars_in_the_place_of_a_value(api: Api) -> None:
    put(api, "token")
    run = train(api, TOKEN="token").json()["id"]
    folder = api.home.engine / "jobs" / run
    folder.mkdir()
    (folder / "output.log").write_text(f'connecting with {VALUE}\nas JSON: "{VALUE}"\nno end: {VALUE}')
    api.store.runs.move(run, RunStatus.FAILED, RunStep.FAILED, 1.0)
    for follow in ("false", "true"):
        text = api.get(f"/runs/{run}/logs?follow={follow}").text
        assert text == 'connecting with ***\nas JSON: "***"\nno end: ***'


def with_care(api: Api, care: CareSettings) -> None:
    yard = Yard(api.store, api.artifacts, api.home, api.clock, lambda: None, care)
    api.app = create_app(yard, [])


def test_a_disk_that_is_nearly_full_refuses_new_work_and_nothing_else(api: Api) -> None:
    api.register()
    tree = api.tree({"more.json": b"{}"})
    with_care(api, CareSettings(disk_free_bytes_min=2.0**60, disk_free_share_min=1.0))
    for refused in (
        api.ask("PUT", f"/api/v1/artifacts/{'0' * 64}", content=b"x"),
        api.post("/trees", {"files": []}),
        deploy(api),
        train_with(api, tree),
        api.post("/models/price/versions", {"project": "shop", "tree": tree}),
    ):
        error = refusal(refused, 507, "no_room")
        assert "modelyard gc" in str(error["hint"])
    status = api.get("/status").json()
    assert status["disk"]["refusing"] is True
    assert put(api, "token").status_code == 200
    assert api.get("/models/price").status_code == 200
    with_care(api, CareSettings())
    assert deploy(api).status_code == 200


def train_with(api: Api, tree: str):
    return api.post("/runs", {"training": "t", "project": "shop", "entry": "more.json", "code": tree})


def test_a_file_that_would_make_the_disk_short_is_refused_before_it_is_read(api: Api) -> None:
    free = api.get("/status").json()["disk"]["free_bytes"]
    headers = {"content-length": str(free)}
    answer = api.ask("PUT", f"/api/v1/artifacts/{'0' * 64}", content=b"x", headers=headers)
    assert "more would come" in refusal(answer, 507, "no_room")["message"]


def test_the_key_of_a_gateway_and_the_secret_of_a_provider_are_in_use(api: Api) -> None:
    for name in ("partner-key", "oidc"):
        put(api, name)
    keys = [{"name": "partner", "secret": "partner-key"}]
    routes = [{"key": "GET /", "target": {"url": "https://example.com"}}]
    assert api.deploy({"kind": "gateway", "name": "shop", "spec": {"keys": keys, "routes": routes}}).status_code == 200
    wish = {"issuer": "https://login.example.com", "client_id": "yard", "client_secret": "oidc"}
    assert api.ask("PUT", "/api/v1/providers/company", json=wish).status_code == 200
    assert [one["used_by"] for one in api.get("/secrets").json()["secrets"]] == [["provider/company"], ["gateway/shop"]]
    assert api.ask("DELETE", "/api/v1/secrets/partner-key").status_code == 409
