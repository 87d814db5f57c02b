"""Tried and refused: what is done to applications behind a login, done to this one.

Foreign hosts (DNS rebinding), several Hosts and cookies across origins are the gateway's to refuse and are tried in
`tests/integration/gateway`; replayed codes and forged tokens in `test_logins` and `tests/unit/protocol`.
"""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from modelyard.api import passwords, sessions
from modelyard.api.passwords import hash_password, is_password
from modelyard.domain.users import User
from tests.integration.api.yard_over_http import KEY, URL, Api, refusal

PASSWORD = "correct horse battery"
OWN = {"origin": URL}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    """One for the file: nothing that is tried here leaves anything behind."""
    return Api(tmp_path_factory.mktemp("yard") / "home")


@pytest.fixture(scope="module")
def ada(api: Api) -> str:
    api.store.users.add(User("ada@a.org", "Ada", 0.0), hash_password(PASSWORD))
    return "ada@a.org"


def sign_in(api: Api, **more: Any) -> httpx.Response:
    api.clock.advance(60)
    form = {"email": "ada@a.org", "password": PASSWORD, **more.pop("form", {})}
    headers = {**OWN, **more.pop("headers", {})}
    return api.ask("POST", "/console/login", key=None, data=form, headers=headers, **more)


def test_a_session_that_was_fixed_before_the_login_is_not_the_one_that_is_opened(api: Api, ada: str) -> None:
    fixed = {"cookie": "modelyard_session=chosen-by-an-attacker"}
    answer = sign_in(api, headers=fixed)
    assert answer.status_code == 303
    assert answer.cookies["modelyard_session"] != "chosen-by-an-attacker"
    refusal(api.get("/me", key=None, headers=fixed), 401, "unauthorized")
    again = sign_in(api, headers={"cookie": f"modelyard_session={answer.cookies['modelyard_session']}"})
    assert again.cookies["modelyard_session"] != answer.cookies["modelyard_session"]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/console/..//evil.example",
        "/console/../gateways/shop/page",
        "/console//evil.example",
        "/consoleevil",
        "javascript:alert(1)",
        "/console\r\nlocation: https://evil.example",
        "/console/\tx",
        "https:evil.example",
        "",
    ],
)
def test_no_link_to_the_login_leads_elsewhere(api: Api, ada: str, target: str) -> None:
    answer = sign_in(api, form={"next": target})
    assert answer.headers["location"] == "/console"
    page = api.ask("GET", f"/console/login?next={quote(target, safe='')}", key=None)
    assert 'name="next" value="/console"' in page.text


def test_the_sessions_cookie_is_for_this_host_alone_and_no_script_reads_it(api: Api, ada: str) -> None:
    plain = sign_in(api).headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= set(plain.split("; "))
    assert "domain" not in plain
    secure = {"x-forwarded-proto": "https", "origin": URL.replace("http:", "https:")}
    over_tls = sign_in(api, headers=secure).headers["set-cookie"]
    assert over_tls.startswith("__Host-modelyard_session=")
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(over_tls.lower().split("; "))
    assert "domain" not in over_tls.lower()


@pytest.mark.parametrize("headers", [{}, {"origin": "http://evil.example"}, {"origin": "null"}])
def test_a_page_elsewhere_changes_nothing_with_somebodys_cookie(api: Api, ada: str, headers: dict[str, str]) -> None:
    cookie = {"cookie": f"modelyard_session={sign_in(api).cookies['modelyard_session']}"}
    changes = (("POST", "/api/v1/logout"), ("POST", "/api/v1/keys"), ("PUT", "/api/v1/me/password"))
    for method, path in changes:
        assert api.ask(method, path, key=None, headers=cookie | headers, json={}).status_code in (401, 403)
    api.ask("POST", "/console/logout", key=None, headers=cookie | headers)
    assert api.get("/me", key=None, headers=cookie).status_code == 200, "still signed in"


@pytest.mark.parametrize(
    "parameter", ["key", "api_key", "x-api-key", "token", "access_token", "authorization", "session"]
)
def test_a_key_in_an_address_opens_nothing(api: Api, parameter: str) -> None:
    for value in (KEY, f"Bearer {KEY}"):
        refusal(api.get("/status", key=None, params={parameter: value}), 401, "unauthorized")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/artifacts/..%2f..%2fkey",
        "/api/v1/artifacts/%2e%2e%2fkey",
        "/api/v1/resources/endpoint/..%2f..%2fsecrets",
        "/api/v1/models/..%2f..%2fkey/versions/1",
        "/api/v1/runs/..%2f..%2fkey/logs",
        "/api/v1/packages/..%2f..%2f..%2fetc%2fpasswd/archive",
        "/api/v1/endpoints/..%2f..%2fkey/logs",
        "/console/..%2f..%2fkey",
        "/console/static/..%2f..%2f..%2fpyproject.toml",
        "/console/static/%2e%2e/pages.py",
        "/console/static//etc/passwd",
    ],
)
def test_no_path_leads_out_of_its_folder(api: Api, path: str) -> None:
    key = api.home.root / "key"
    key.write_text("the home's key")
    answer = api.ask("GET", path)
    assert answer.status_code in (400, 401, 404, 405), answer.text
    key.unlink()
    assert "the home's key" not in answer.text
    assert "root:" not in answer.text


def test_an_artifact_cannot_be_put_beside_its_place(api: Api) -> None:
    for name in ("..%2f..%2fkey", "%2e%2e", "a" * 63, "A" * 64, "g" * 64):
        assert api.ask("PUT", f"/api/v1/artifacts/{name}", content=b"x").status_code in (400, 404)
    assert not (api.home.root / "key").exists()


def test_a_refused_login_does_the_same_work_whether_or_not_there_is_an_account(
    api: Api, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[bool] = []
    monkeypatch.setattr(sessions, "is_password", lambda _, encoded: checked.append(encoded is not None))
    for email in ("ada@a.org", "eve@a.org", "not-an-address"):
        refusal(api.post("/login", {"email": email, "password": "wrong"}, key=None), 401, "unauthorized")
    assert checked == [True, False, False], "each is checked, against a hash or against none"
    hashed: list[str] = []
    monkeypatch.setattr(passwords, "hash_password", hashed.append)
    assert not is_password("wrong", None)
    assert hashed == ["wrong"], "without an account a hash is made all the same"


def test_what_is_shown_of_a_page_frames_and_scripts_nothing_else(api: Api) -> None:
    for path in ("/console/login", "/console"):
        headers = api.ask("GET", path, key=None).headers
        assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize("header", ["x-forwarded-host", "forwarded", "x-host", "x-original-host"])
def test_no_header_but_host_says_where_the_yard_is(api: Api, header: str) -> None:
    value = "host=evil.example" if header == "forwarded" else "evil.example"
    link = api.post("/links", headers={header: value}).json()
    assert "evil.example" not in link["url"]
    page = api.talk(lambda client: client.get("/console/login", headers={header: value}))
    assert "evil.example" not in page.text
