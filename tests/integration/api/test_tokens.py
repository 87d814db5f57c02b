"""What a token opens over the interface: what it is for, and nothing else."""

import hashlib
from typing import Any

import pytest

from modelyard.api.permissions import NEEDS
from modelyard.controller.job_tokens import give_job_token
from modelyard.domain.access import Grant, Principal, PrincipalKind, Role
from modelyard.domain.runs import RunSpec
from modelyard.domain.users import Session, User
from modelyard.protocol.tokens import TokenKey
from tests.integration.api.yard_over_http import MODEL, Api, refusal


@pytest.fixture
def job(api: Api) -> str:
    """The token of a job that may register versions of `price`."""
    api.register()
    spec = RunSpec(training="t", project="shop", algorithm="xgboost", entry=None, code=None, model="price")
    run = api.store.runs.create(spec, api.clock.now())
    return give_job_token(api.store.keys, run, api.clock.now())["MODELYARD_API_KEY"]


@pytest.fixture
def token_key(api: Api) -> TokenKey:
    return TokenKey(api.home.token_key)


def test_a_job_makes_a_version_of_its_model_and_the_version_says_so(api: Api, job: str) -> None:
    digest = hashlib.sha256(MODEL).hexdigest()
    assert api.ask("PUT", f"/api/v1/artifacts/{digest}", key=job, content=MODEL).status_code == 201
    files = [{"path": "model.json", "sha256": digest, "size_bytes": len(MODEL)}]
    tree = api.post("/trees", {"files": files}, key=job).json()["digest"]
    made = api.post("/models/price/versions", {"project": "code", "tree": tree}, key=job)
    assert made.status_code == 201, made.text
    assert (made.json()["project"], made.json()["lineage"]["run"]) == ("shop", api.get("/runs").json()["runs"][0]["id"])
    refusal(api.post("/models/other/versions", {"project": "shop", "tree": tree}, key=job), 403, "forbidden")


def test_a_job_does_nothing_else_though_its_role_would(api: Api, job: str) -> None:
    for method, path, body in (
        ("DELETE", "/models/price", None),
        ("PUT", "/models/price/aliases/champion", {"version": 1}),
        ("POST", "/deployments", {"project": "shop", "resources": []}),
        ("GET", "/endpoints", None),
        ("GET", "/secrets", None),
        ("POST", "/keys", {"name": "k", "grants": [{"role": "caller", "project": "shop"}]}),
    ):
        error = refusal(api.ask(method, f"/api/v1{path}", key=job, json=body), 403, "forbidden")
        assert "is for endpoints:call" in error["message"]
    assert api.get("/me", key=job).json()["id"].startswith("run t-")


def test_an_app_asks_in_a_persons_place_and_no_further_than_its_scopes(api: Api, token_key: TokenKey) -> None:
    api.register()
    api.deploy({"name": "price", "model": {"reference": "price"}})
    api.store.users.add(User("ada@a.org", "Ada", 0.0, grants=(Grant(Role.ADMIN),)), None)
    ada = Principal(PrincipalKind.USER, "ada@a.org")
    digest = hashlib.sha256(b"a session").hexdigest()
    api.store.keys.put_session(digest, Session("s-1", ada.id, api.clock.now(), api.clock.now() + 1000))
    token = token_key.person_token("app/dash", ada, digest)
    assert api.get("/endpoints/price/schema", key=token).status_code != 403
    me: dict[str, Any] = api.get("/me", key=token).json()
    assert (me["kind"], me["id"]) == ("token", "app/dash for user ada@a.org")
    ends = ("/schema", "/openapi.json", "/cancel")
    opened = {need for need in NEEDS if need[1].startswith("/endpoints/") and need[1].endswith(ends)}
    for method, path in set(NEEDS) - opened - {("GET", "/me")}:
        place = path.replace("{name}", "price").replace("{kind}", "endpoint")
        refusal(api.ask(method, f"/api/v1{place}", key=token, json={}), 403, "forbidden")
    refusal(api.get("/me", key=token_key.identity_token("app/dash", ada, digest)), 401, "unauthorized")
    api.store.keys.end_session("s-1")
    refusal(api.get("/me", key=token), 401, "unauthorized")


def test_everybody_may_know_the_public_keys(api: Api, token_key: TokenKey) -> None:
    assert api.get("/tokens/keys", key=None).json() == token_key.public_keys()
