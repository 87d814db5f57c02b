"""The audit log hears of changes and of refusals, by whomever and from wherever."""

import csv
import io
import json

import pytest

from modelyard.api import audit
from modelyard.api.audit import NOBODYS_PER_MINUTE_MAX
from modelyard.domain.audit import Audited
from tests.integration.api.test_sessions import PASSWORD, settle, sign_in
from tests.integration.api.yard_over_http import KEY, Api

FROM = {"x-forwarded-for": "10.0.0.7", "x-request-id": "request-1"}


def entries(api: Api, **params: str) -> list[dict[str, str]]:
    listed: list[dict[str, str]] = api.get("/audit", params=params).json()["entries"]
    return listed


def test_a_change_is_noted_with_who_made_it_and_from_where(api: Api) -> None:
    api.ask("PUT", "/api/v1/secrets/token", json={"value": "hidden"}, headers=FROM)
    (noted,) = entries(api)
    assert {key: noted[key] for key in ("principal", "action", "outcome", "address", "request_id")} == {
        "principal": "owner",
        "action": "PUT /secrets/token",
        "outcome": "200",
        "address": "10.0.0.7",
        "request_id": "request-1",
    }
    assert "hidden" not in str(noted)


def test_what_a_change_is_about_is_told_where_its_path_does_not_say_so(api: Api) -> None:
    api.ask("POST", "/api/v1/users", json={"email": "bo@a.org", "grants": [{"role": "viewer", "project": "shop"}]})
    api.ask("PATCH", "/api/v1/users/bo@a.org", json={"disabled": True, "grants": []})
    key = api.ask("POST", "/api/v1/keys", json={"name": "ci", "grants": [{"role": "caller"}]}).json()
    site = {"kind": "monitor-less", "name": "x"}
    assert api.ask("POST", "/api/v1/deployments", json={"project": "shop", "resources": [site]}).status_code >= 400
    said = [one["action"] for one in reversed(entries(api))]
    assert said == [
        "POST /users: bo@a.org, viewer on project shop",
        "PATCH /users/bo@a.org: disabled, no role",
        f"POST /keys: {key['id']} (ci), caller on the yard",
        "POST /deployments",
    ]
    assert key["key"] not in str(said)


def test_reading_is_not_noted_and_being_refused_is(api: Api) -> None:
    api.get("/status")
    assert entries(api) == []
    api.get("/status", key="a wrong one")
    cookie = settle(api)
    api.get("/users", key=None, headers=cookie)
    refused = [(one["principal"], one["action"], one["outcome"]) for one in entries(api) if one["outcome"] > "400"]
    assert refused == [("user ada@a.org", "GET /users", "403"), ("nobody", "GET /status", "401")]


def test_logins_are_noted_and_so_are_wrong_ones(api: Api) -> None:
    settle(api)
    sign_in(api, "another password")
    sign_in(api, PASSWORD)
    noted = [(one["principal"], one["action"], one["outcome"]) for one in entries(api, text="sign in")]
    assert noted[:2] == [("user ada@a.org", "sign in", "201"), ("nobody", "sign in as ada@a.org", "401")]
    assert PASSWORD not in str(entries(api))


def test_nobody_can_wash_the_log_out_from_outside(api: Api) -> None:
    for _ in range(NOBODYS_PER_MINUTE_MAX + 5):
        api.get("/status", key=None)
    assert len(entries(api, limit="1000")) == NOBODYS_PER_MINUTE_MAX


def test_everything_can_be_exported_and_nothing_in_it_is_a_formula(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "EXPORTED_AT_ONCE", 2)
    for number in range(5):
        api.store.audit.add(Audited(100.0 + number, "=cmd()", f"PUT /x,{number}", "200", "10.0.0.1", f"r-{number}"))
    lines = api.get("/audit/export").text.splitlines()
    assert [json.loads(one)["request_id"] for one in lines] == ["r-4", "r-3", "r-2", "r-1", "r-0"]
    answer = api.get("/audit/export", params={"format": "csv", "text": "x,3"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["number", "at", "principal", "action", "outcome", "address", "request_id"]
    assert [row[2:4] for row in rows[1:]] == [["'=cmd()", "PUT /x,3"]]


def test_no_secret_that_is_sent_is_in_the_log(api: Api) -> None:
    api.ask("PUT", "/api/v1/secrets/token", json={"value": "the-secrets-value"})
    api.post("/login", {"email": "ada@a.org", "password": "the-password"}, key=None)
    api.post("/sessions", {"token": "the-links-token"}, key=None)
    made = api.post("/keys", {"name": "k", "grants": [{"role": "viewer"}]}).json()["key"]
    api.get("/status", key="a-wrong-key", params={"key": KEY})
    whole = api.get("/audit/export").text
    assert "/secrets/token" in whole
    sent = ("the-secrets-value", "the-password", "the-links-token", made, "a-wrong-key", KEY)
    assert not [one for one in sent if one in whole]
