"""Who may ask, and how a refusal looks."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from modelyard.api.errors import STATUSES
from modelyard.errors import error_types
from modelyard.protocol.routes import BODY_BYTES_MAX_API
from tests.integration.api.yard_over_http import KEY, URL, Api, refusal

OWN = {"origin": URL}
FOREIGN = {"origin": "http://evil.example"}


@pytest.mark.parametrize(
    "path", ["/api/v1/status", "/api/v1/endpoints", "/api/openapi.json", "/api/docs", "/api/nothing"]
)
def test_nothing_under_api_answers_without_the_key(api: Api, path: str) -> None:
    refusal(api.ask("GET", path, key=None), 401, "unauthorized")
    refusal(api.ask("GET", path, key="another"), 401, "unauthorized")


def test_the_key_may_come_in_either_header(api: Api) -> None:
    assert api.get("/status").status_code == 200
    assert api.get("/status", key=None, headers={"x-api-key": KEY}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:8400", "http://127.0.0.1:8401", "http://["]
)
def test_a_page_of_another_origin_changes_nothing_even_with_the_key(api: Api, origin: str) -> None:
    refusal(api.post("/links", {}, headers={"origin": origin}), 403, "forbidden")


def test_a_page_of_our_own_origin_may(api: Api) -> None:
    assert api.post("/links", {}, headers=OWN).status_code == 201


def session_of(api: Api) -> str:
    token = api.post("/links").json()["url"].partition("token=")[2]
    return str(api.post("/sessions", {"token": token}, key=None).json()["session"])


def test_a_link_is_traded_once_and_within_a_minute(api: Api) -> None:
    link = api.post("/links").json()["url"]
    assert link.startswith(f"{URL}/console/enter?token=")
    token = {"token": link.partition("token=")[2]}
    assert api.post("/sessions", token, key=None).status_code == 201
    refusal(api.post("/sessions", token, key=None), 401, "unauthorized")
    late = {"token": api.post("/links").json()["url"].partition("token=")[2]}
    api.clock.advance(61)
    refusal(api.post("/sessions", late, key=None), 401, "unauthorized")


def test_a_session_reads_and_changes_only_from_a_page_of_ours(api: Api) -> None:
    cookie = {"cookie": f"other=1; modelyard_session={session_of(api)}"}
    assert api.get("/status", key=None, headers=cookie).status_code == 200
    refusal(api.post("/links", {}, key=None, headers=cookie), 401, "unauthorized")
    refusal(api.post("/links", {}, key=None, headers=cookie | FOREIGN), 403, "forbidden")
    assert api.post("/links", {}, key=None, headers=cookie | OWN).status_code == 201


def test_a_session_ends(api: Api) -> None:
    cookie = {"cookie": f"modelyard_session={session_of(api)}"}
    api.clock.advance(12 * 3600 + 1)
    refusal(api.get("/status", key=None, headers=cookie), 401, "unauthorized")


def test_the_gateways_request_id_is_kept_and_a_wild_one_is_not(api: Api) -> None:
    assert api.get("/status", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert len(api.get("/status", headers={"x-request-id": "x" * 500}).headers["x-request-id"]) == 24


def test_what_is_not_there_and_what_cannot_be_done_have_the_one_shape(api: Api) -> None:
    refusal(api.ask("GET", "/nothing"), 404, "not_found")
    refusal(api.get("/nothing"), 404, "not_found")
    wrong = api.ask("DELETE", "/api/v1/runs")
    refusal(wrong, 405, "refused")
    assert wrong.headers["allow"] == "GET, POST"


def test_a_body_that_cannot_be_read_names_its_fields(api: Api) -> None:
    error = refusal(api.deploy({"name": "price", "spec": {"replicas": "3", "replcas": 1}}), 400, "invalid_value")
    assert "resources.0.spec.replicas" in error["message"]
    assert "resources.0.spec.replcas: there is no such field" in error["message"]
    error = refusal(
        api.ask("POST", "/api/v1/runs", content=b"{", headers={"content-type": "application/json"}),
        400,
        "invalid_value",
    )
    assert "not JSON" in error["message"]


def test_a_body_over_the_limit_is_refused_before_and_while_it_is_read(api: Api) -> None:
    error = refusal(api.ask("POST", "/api/v1/trees", content=b" " * (BODY_BYTES_MAX_API + 1)), 413, "too_large")
    assert str(BODY_BYTES_MAX_API) in error["message"]

    async def chunked(client: httpx.AsyncClient) -> Any:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(9):
                yield b" " * 2**20

        headers = {"x-api-key": KEY, "content-type": "application/json"}
        return await client.post("/api/v1/trees", content=parts(), headers=headers)

    refusal(api.talk(chunked), 413, "too_large")


def test_a_fault_of_ours_tells_nothing_but_its_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api.store.runs, "select", fail)
    answer = api.get("/runs")
    refusal(answer, 500, "internal")
    assert "secret" not in answer.text


def test_every_error_of_the_tree_has_a_status() -> None:
    assert STATUSES.keys() == error_types().keys()
