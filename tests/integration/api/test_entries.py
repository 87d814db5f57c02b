"""The way through the yard's login to an app at a port of its own: the code belongs to one host and one port."""

import hashlib
from typing import Any

import pytest

from modelyard.api.passwords import hash_password
from modelyard.domain.users import User
from tests.integration.api.yard_over_http import Api, refusal

PASSWORD = "correct horse battery"
YARD = "192.168.1.5:8400"
ORIGIN = f"http://{YARD}"
KEPT = "what-the-browser-keeps"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    """With two sites, each at a port of its own, and somebody who may sign in."""
    api = Api(tmp_path_factory.mktemp("yard") / "home")
    tree = api.tree({"index.html": b"<p>"})
    for name, port in (("docs", 8501), ("shop", 8502)):
        assert api.deploy({"kind": "site", "name": name, "spec": {"tree": tree, "port": port}}).status_code == 200
    api.store.users.add(User("ada@a.org", "Ada", 0.0), hash_password(PASSWORD))
    return api


@pytest.fixture(scope="module")
def signed_in(api: Api) -> dict[str, str]:
    form = {"email": "ada@a.org", "password": PASSWORD}
    answer = api.ask("POST", "/console/login", key=None, data=form, headers={"host": YARD, "origin": ORIGIN})
    return {"host": YARD, "origin": ORIGIN, "cookie": f"modelyard_session={answer.cookies['modelyard_session']}"}


def asked_for(api: Api, signed_in: dict[str, str], place: str) -> Any:
    wish = {"host": place, "state": hashlib.sha256(KEPT.encode()).hexdigest()}
    return api.post("/entries", wish, key=None, headers=signed_in)


def taken(api: Api, code: str, place: str | None, port: int) -> Any:
    """As the gateway hands it on that listens at `place`."""
    host = {"host": place or "192.168.1.5:8501"} | ({"x-modelyard-place": place} if place is not None else {})
    cookie = {"cookie": f"modelyard_entry_{port}={KEPT}"}
    return api.post("/entries/taken", {"code": code}, key=None, headers=host | cookie)


def test_a_code_is_traded_at_its_host_and_port_for_a_session_that_counts_there(
    api: Api, signed_in: dict[str, str]
) -> None:
    code = asked_for(api, signed_in, "192.168.1.5:8501").json()["code"]
    opened = taken(api, code, "192.168.1.5:8501", 8501)
    assert opened.status_code == 201
    hosts = [one["host"] for one in api.get("/sessions").json()["sessions"]]
    assert sorted(map(str, hosts)) == ["192.168.1.5:8501", "None"]
    refusal(taken(api, code, "192.168.1.5:8501", 8501), 401, "unauthorized")
    mine = {"cookie": f"modelyard_session={opened.json()['session']}", "origin": ORIGIN, "host": YARD}
    refusal(api.get("/me", key=None, headers=mine), 401, "unauthorized")


@pytest.mark.parametrize(
    ("place", "port"),
    [
        ("192.168.1.5:8502", 8502),
        ("192.168.1.6:8501", 8501),
        ("192.168.1.5:8501", 8502),
        (None, 8501),
    ],
    ids=["another port", "another host", "another's cookie", "the yard's own port, whatever Host says"],
)
def test_a_code_is_worth_nothing_elsewhere(api: Api, signed_in: dict[str, str], place: str | None, port: int) -> None:
    code = asked_for(api, signed_in, "192.168.1.5:8501").json()["code"]
    refusal(taken(api, code, place, port), 401, "unauthorized")


@pytest.mark.parametrize(
    "place", ["evil.example:8501", "192.168.1.6:8501", "192.168.1.5:8503", "192.168.1.5", "shop.localhost:8501"]
)
def test_nobody_is_sent_with_a_code_to_a_host_that_somebody_else_thought_of(
    api: Api, signed_in: dict[str, str], place: str
) -> None:
    refusal(asked_for(api, signed_in, place), 404, "not_found")


def test_a_port_answers_at_the_apps_own_names_too(api: Api, signed_in: dict[str, str]) -> None:
    assert asked_for(api, signed_in, "docs.localhost:8501").status_code == 201


def test_the_login_leads_back_to_the_port(api: Api, signed_in: dict[str, str]) -> None:
    query = f"host=192.168.1.5%3A8501&next=%2Fpage&state={'0' * 64}"
    page = api.ask("GET", f"/console/entrance?{query}", key=None, headers=signed_in)
    assert "0;url=http://192.168.1.5:8501/_modelyard/enter?code=" in page.text


@pytest.mark.parametrize("origin", ["http://192.168.1.5:8501", "http://192.168.1.5", "null"])
def test_a_page_at_an_apps_port_neither_changes_the_yard_nor_reads_it_with_a_session(
    api: Api, signed_in: dict[str, str], origin: str
) -> None:
    """Of one site with the console to browsers: they send its cookie along, and `SameSite` does not help."""
    foreign = {**signed_in, "origin": origin}
    refusal(api.post("/keys", {"name": "mine"}, key=None, headers=foreign), 403, "forbidden")
    refusal(api.ask("DELETE", "/api/v1/resources/site/docs", key=None, headers=foreign), 403, "forbidden")
    for path in ("/console/sites/docs/delete", "/console/logout", "/console/password", "/mlflow/api/2.0/x"):
        answer = api.ask("POST", path, key=None, data={"confirm": "docs"}, headers=foreign)
        assert answer.status_code == 403, path
    for method, path in (("GET", "/me"), ("OPTIONS", "/keys")):
        answer = api.ask(method, f"/api/v1{path}", key=None, headers=foreign)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert api.get("/resources/site/docs").status_code == 200
