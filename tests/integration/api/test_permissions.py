"""The matrix: what each role may ask, as the routes declare it; and that every route is declared."""

import itertools
from typing import Any

import pytest

from modelyard.api.permissions import NEEDS, OPEN
from modelyard.domain.access import Role
from modelyard.domain.job_tokens import tracking_token
from modelyard.settings import read_key
from tests.integration.api.yard_over_http import KEY, Api, refusal

GRANTS = {
    "nothing": [],
    "calls price": [{"role": "caller", "resource": "endpoint/price"}],
    "sees price": [{"role": "viewer", "resource": "endpoint/price"}],
    "sees shop": [{"role": "viewer", "project": "shop"}],
    "deploys shop": [{"role": "deployer", "project": "shop"}],
    "deploys other": [{"role": "deployer", "project": "other"}],
    "sees all": [{"role": "viewer"}],
    "deploys all": [{"role": "deployer"}],
    "admin": [{"role": "admin"}],
}


def key_for(api: Api, grants: list[dict[str, str]]) -> str:
    """A key with these grants; one without any is what is left of its owner's being taken away."""
    email = f"user-{len(api.store.users.select())}@a.org"
    api.post("/users", {"email": email, "grants": grants or [{"role": "caller", "resource": "endpoint/gone"}]})
    password = api.post(f"/users/{email}/password").json()["temporary_password"]
    headers = {"origin": "http://127.0.0.1:8400"}
    first = api.post("/login", {"email": email, "password": password}, key=None).json()["session"]
    cookie = {"cookie": f"modelyard_session={first}", **headers}
    changed = {"old": password, "new": "correct horse battery"}
    answer = api.ask("PUT", "/api/v1/me/password", key=None, headers=cookie, json=changed)
    cookie["cookie"] = f"modelyard_session={answer.json()['session']}"
    wish = {"name": "ci", "grants": grants or [{"role": "caller", "resource": "endpoint/gone"}]}
    made = api.post("/keys", wish, key=None, headers=cookie)
    assert made.status_code == 201, made.text
    return str(made.json()["key"])


def routes(api: Api) -> set[tuple[str, str]]:
    paths: dict[str, Any] = api.ask("GET", "/api/openapi.json").json()["paths"]
    return {
        (verb.upper(), path.removeprefix("/api/v1"))
        for path, operations in paths.items()
        if path.startswith("/api/v1")
        for verb in operations
    }


def test_every_route_says_what_it_needs_and_no_other_is_declared(api: Api) -> None:
    assert routes(api) == set(NEEDS) | OPEN


@pytest.fixture
def shop(api: Api) -> Api:
    api.register()
    assert api.deploy({"name": "price", "model": {"reference": "price"}}).status_code == 200
    return api


PRICE = {"name": "price", "model": {"reference": "price"}}
ASKED = {
    "read the endpoint": ("GET", "/endpoints/price", None),
    "read its history": ("GET", "/endpoints/price/history", None),
    "read its schema": ("GET", "/endpoints/price/openapi.json", None),
    "refresh it": ("POST", "/endpoints/price/refresh", {}),
    "list endpoints": ("GET", "/endpoints", None),
    "read the model": ("GET", "/models/price", None),
    "tag the model": ("POST", "/models/price/versions/1/tags", {"tags": {"a": "b"}}),
    "deploy": ("POST", "/deployments", {"project": "shop", "resources": [PRICE]}),
    "read secrets": ("GET", "/secrets", None),
    "list users": ("GET", "/users", None),
    "read the audit log": ("GET", "/audit", None),
    "free disk": ("POST", "/retention", {"dry_run": True}),
}  # fmt: skip

OK, NO, NONE = "done", "forbidden", "not there"
MATRIX = {
    #                    nothing calls  sees-p sees-s dep-s  dep-o  sees   deploys admin
    "read the endpoint": (NONE, NONE, OK, OK, OK, NONE, OK, OK, OK),
    "read its history": (NONE, NONE, OK, OK, OK, NONE, OK, OK, OK),
    "read its schema": (NONE, OK, OK, OK, OK, NONE, OK, OK, OK),
    "refresh it": (NONE, NONE, NO, NO, OK, NONE, NO, OK, OK),
    "list endpoints": (NO, NO, OK, OK, OK, OK, OK, OK, OK),
    "read the model": (NONE, NONE, NONE, OK, OK, NONE, OK, OK, OK),
    "tag the model": (NONE, NONE, NONE, NO, OK, NONE, NO, OK, OK),
    "deploy": (NO, NO, NO, NO, OK, NO, NO, OK, OK),
    "read secrets": (NO, NO, NO, NO, NO, NO, NO, OK, OK),
    "list users": (NO, NO, NO, NO, NO, NO, NO, NO, OK),
    "read the audit log": (NO, NO, NO, NO, NO, NO, NO, NO, OK),
    "free disk": (NO, NO, NO, NO, NO, NO, NO, NO, OK),
}


def test_each_role_may_what_the_matrix_says(shop: Api) -> None:
    keys = {who: key_for(shop, grants) for who, grants in GRANTS.items()}
    found: dict[str, tuple[str, ...]] = {}
    for what, (method, path, body) in ASKED.items():
        answers = [shop.ask(method, f"/api/v1{path}", key=keys[who], json=body).status_code for who in GRANTS]
        found[what] = tuple({404: NONE, 403: NO, 401: "unknown"}.get(status, OK) for status in answers)
    assert found == MATRIX


def test_a_list_holds_only_what_one_may_see(shop: Api) -> None:
    shop.register("other", "other")
    shop.deploy({"name": "other", "model": {"reference": "other"}}, project="other")
    key = key_for(shop, GRANTS["sees shop"])
    assert [one["name"] for one in shop.get("/endpoints", key=key).json()["endpoints"]] == ["price"]
    assert [one["model"] for one in shop.get("/models", key=key).json()["models"]] == ["price"]
    assert {one["name"] for one in shop.get("/events", key=key).json()["events"]} == {"price"}


def test_a_deploy_cannot_take_a_model_that_one_may_not_see(shop: Api) -> None:
    key = key_for(shop, GRANTS["deploys other"])
    wish = {"project": "other", "resources": [{"name": "mine", "model": {"reference": "price"}}]}
    refusal(shop.post("/deployments", wish, key=key), 403, "forbidden")
    assert [one.name for one in shop.store.endpoints.select()] == ["price"]


def test_roles_hold_each_other() -> None:
    for what, row in MATRIX.items():
        sees, deploys, admin = row[6:]
        for lower, higher in itertools.pairwise((sees, deploys, admin)):
            assert lower != OK or higher == OK, what
    assert [role.word for role in Role] == ["caller", "viewer", "deployer", "admin"]


def test_the_tracking_servers_token_opens_the_registry_and_nothing_else(shop: Api) -> None:
    shop.home.key.write_text(KEY)
    token = tracking_token(read_key(shop.home))
    assert shop.ask("GET", "/api/v1/models/price", key=token).status_code == 200
    assert shop.post("/models/price/versions/1/tags", {"tags": {"a": "b"}}, key=token).status_code == 200
    for method, path in (("GET", "/endpoints"), ("GET", "/secrets"), ("DELETE", "/endpoints/price"), ("GET", "/keys")):
        refusal(shop.ask(method, f"/api/v1{path}", key=token), 403, "forbidden")
    refusal(shop.ask("GET", "/api/v1/models", key=f"{token[:-1]}x"), 401, "unauthorized")
