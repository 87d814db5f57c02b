"""Coming in with a browser: by a link, by a password, and what is done against guessing."""

from typing import Any

import httpx
import pytest

from modelyard.domain.access import ATTEMPTS_FREE
from tests.integration.api.yard_over_http import URL, Api, refusal

EMAIL, PASSWORD = "ada@a.org", "correct horse battery"
OWN = {"origin": URL}


def add_user(api: Api, **wish: Any) -> str:
    answer = api.post("/users", {"email": EMAIL, "grants": [{"role": "viewer"}], **wish})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["temporary_password"])


def sign_in(api: Api, password: str, **request: Any) -> httpx.Response:
    return api.post("/login", {"email": EMAIL, "password": password}, key=None, **request)


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code in (200, 201), answer.text
    return {"cookie": f"modelyard_session={answer.json()['session']}", **OWN}


def settle(api: Api) -> dict[str, str]:
    """A user with a password of their own, signed in."""
    temporary = add_user(api)
    first = cookie_of(sign_in(api, temporary))
    changed = {"old": temporary, "new": PASSWORD}
    return cookie_of(api.ask("PUT", "/api/v1/me/password", key=None, headers=first, json=changed))


def test_a_temporary_password_opens_nothing_but_the_way_to_a_new_one(api: Api) -> None:
    temporary = add_user(api)
    answer = sign_in(api, temporary)
    assert answer.json()["must_change_password"]
    cookie = cookie_of(answer)
    error = refusal(api.get("/status", key=None, headers=cookie), 403, "forbidden")
    assert "temporary password" in error["message"]
    assert api.get("/me", key=None, headers=cookie).json()["must_change_password"]
    refusal(
        api.post("/keys", {"name": "k", "grants": [{"role": "viewer"}]}, key=None, headers=cookie), 403, "forbidden"
    )
    changed = api.ask("PUT", "/api/v1/me/password", key=None, headers=cookie, json={"old": temporary, "new": PASSWORD})
    assert api.get("/status", key=None, headers=cookie_of(changed)).status_code == 200
    refusal(api.get("/me", key=None, headers=cookie), 401, "unauthorized")


@pytest.mark.parametrize("new", ["short", "aaaaaaaaaaaaaaaa", f"i am {EMAIL} you see"])
def test_a_new_password_that_is_easily_guessed_is_refused(api: Api, new: str) -> None:
    cookie = settle(api)
    body = {"old": PASSWORD, "new": new}
    refusal(api.ask("PUT", "/api/v1/me/password", key=None, headers=cookie, json=body), 400, "invalid_value")
    refusal(
        api.ask("PUT", "/api/v1/me/password", key=None, headers=cookie, json={"old": PASSWORD, "new": PASSWORD}),
        403,
        "forbidden",
    )
    refusal(
        api.ask("PUT", "/api/v1/me/password", key=None, headers=cookie, json={"old": "wrong one", "new": PASSWORD}),
        401,
        "unauthorized",
    )


def test_an_unknown_address_and_a_wrong_password_are_refused_alike(api: Api) -> None:
    settle(api)
    wrong = refusal(sign_in(api, "another password"), 401, "unauthorized")
    unknown = refusal(
        api.post("/login", {"email": "eve@a.org", "password": "another password"}, key=None), 401, "unauthorized"
    )
    assert (wrong["message"], wrong["hint"]) == (unknown["message"], unknown["hint"])


def test_wrong_passwords_shut_the_account_for_a_while(api: Api) -> None:
    settle(api)
    for _ in range(ATTEMPTS_FREE):
        refusal(sign_in(api, "another password"), 401, "unauthorized")
    refusal(sign_in(api, PASSWORD), 401, "unauthorized")
    assert api.get(f"/users/{EMAIL}").json()["locked_until"]
    api.clock.advance(31)
    assert sign_in(api, PASSWORD).status_code == 201
    assert api.get(f"/users/{EMAIL}").json()["locked_until"] is None


def test_one_address_may_try_only_so_often_in_a_minute(api: Api) -> None:
    settle(api)
    there = {"x-forwarded-for": "10.0.0.9"}
    answers = [sign_in(api, "another password", headers=there).status_code for _ in range(25)]
    assert answers[:5] == [401] * 5
    assert answers[-1] == 429
    assert sign_in(api, PASSWORD, headers={"x-forwarded-for": "10.0.0.8"}).status_code in (201, 401)
    api.clock.advance(61)
    assert sign_in(api, "another password", headers=there).status_code == 401


def test_a_foreign_page_cannot_sign_somebody_in(api: Api) -> None:
    settle(api)
    refusal(sign_in(api, PASSWORD, headers={"origin": "http://evil.example"}), 403, "forbidden")


def test_each_login_has_a_session_of_its_own_that_can_be_listed_and_ended(api: Api) -> None:
    cookie = settle(api)
    api.clock.advance(1)
    other = cookie_of(sign_in(api, PASSWORD, headers={"user-agent": "a phone", "x-forwarded-for": "10.0.0.7"}))
    listed = api.get("/sessions", key=None, headers=cookie).json()["sessions"]
    assert (listed[0]["agent"], listed[0]["address"]) == ("a phone", "10.0.0.7")
    assert [one["own"] for one in listed] == [False, True]
    assert {one["user"] for one in listed} == {EMAIL}
    ended = api.ask("DELETE", f"/api/v1/sessions/{listed[0]['id']}", key=None, headers=cookie)
    assert ended.status_code == 200
    refusal(api.get("/me", key=None, headers=other), 401, "unauthorized")
    assert api.get("/me", key=None, headers=cookie).json()["id"] == EMAIL


def test_nobody_ends_the_session_of_somebody_else_but_an_admin(api: Api) -> None:
    cookie = settle(api)
    link = api.post("/links").json()["url"].partition("token=")[2]
    api.post("/sessions", {"token": link}, key=None)
    owners = next(one for one in api.get("/sessions").json()["sessions"] if one["user"] is None)
    refusal(api.ask("DELETE", f"/api/v1/sessions/{owners['id']}", key=None, headers=cookie), 404, "not_found")
    assert api.ask("DELETE", f"/api/v1/sessions/{owners['id']}").status_code == 200


def test_a_session_is_no_key(api: Api) -> None:
    cookie = settle(api)
    token = cookie["cookie"].partition("=")[2]
    refusal(api.get("/me", key=token), 401, "unauthorized")


def test_a_disabled_user_is_out_at_once_and_cannot_come_back(api: Api) -> None:
    cookie = settle(api)
    assert api.ask("PATCH", f"/api/v1/users/{EMAIL}", json={"disabled": True}).json()["disabled"]
    refusal(api.get("/me", key=None, headers=cookie), 401, "unauthorized")
    refusal(sign_in(api, PASSWORD), 401, "unauthorized")
