"""Keys of programs: no more than one has, shown once, gone when they are deleted or too old."""

from tests.integration.api.test_sessions import EMAIL, settle
from tests.integration.api.yard_over_http import Api, refusal

VIEWER = [{"role": "viewer"}]


def test_a_key_is_shown_once_and_known_by_its_hash_alone(api: Api) -> None:
    made = api.post("/keys", {"name": "ci", "grants": VIEWER}).json()
    assert made["key"].startswith("my_")
    assert api.get("/status", key=made["key"]).status_code == 200
    (listed,) = api.get("/keys").json()["keys"]
    assert (listed["name"], listed["key"], listed["owner"]) == ("ci", None, None)
    assert made["key"] not in repr(api.store.keys.api_keys())
    assert api.get("/me", key=made["key"]).json()["id"] == made["id"]


def test_a_deleted_key_and_one_that_has_expired_open_nothing(api: Api) -> None:
    deleted = api.post("/keys", {"name": "ci", "grants": VIEWER}).json()
    api.ask("DELETE", f"/api/v1/keys/{deleted['id']}")
    refusal(api.get("/status", key=deleted["key"]), 401, "unauthorized")
    short = api.post("/keys", {"name": "ci", "grants": VIEWER, "expires_in_seconds": 60.0}).json()["key"]
    assert api.get("/status", key=short).status_code == 200
    api.clock.advance(61)
    refusal(api.get("/status", key=short), 401, "unauthorized")


def test_nobody_makes_a_key_that_may_more_than_they_do(api: Api) -> None:
    cookie = settle(api)
    error = refusal(
        api.post("/keys", {"name": "k", "grants": [{"role": "admin"}]}, key=None, headers=cookie), 403, "forbidden"
    )
    assert error["message"] == f"cannot make key k: user {EMAIL} is not admin on the yard"
    assert api.post("/keys", {"name": "k", "grants": VIEWER}, key=None, headers=cookie).status_code == 201


def test_a_key_makes_no_other_key(api: Api) -> None:
    key = api.post("/keys", {"name": "ci", "grants": [{"role": "admin"}]}).json()["key"]
    refusal(api.post("/keys", {"name": "another", "grants": VIEWER}, key=key), 403, "forbidden")


def test_people_see_and_delete_only_their_own_keys(api: Api) -> None:
    owners = api.post("/keys", {"name": "owner's", "grants": VIEWER}).json()
    cookie = settle(api)
    mine = api.post("/keys", {"name": "mine", "grants": VIEWER}, key=None, headers=cookie).json()
    listed = api.get("/keys", key=None, headers=cookie).json()["keys"]
    assert [one["id"] for one in listed] == [mine["id"]]
    refusal(api.ask("DELETE", f"/api/v1/keys/{owners['id']}", key=None, headers=cookie), 404, "not_found")
    assert len(api.get("/keys").json()["keys"]) == 2


def test_a_key_is_silent_while_its_owner_is_disabled(api: Api) -> None:
    cookie = settle(api)
    key = api.post("/keys", {"name": "mine", "grants": VIEWER}, key=None, headers=cookie).json()["key"]
    api.ask("PATCH", f"/api/v1/users/{EMAIL}", json={"disabled": True})
    refusal(api.get("/status", key=key), 401, "unauthorized")
    api.ask("PATCH", f"/api/v1/users/{EMAIL}", json={"disabled": False})
    assert api.get("/status", key=key).status_code == 200


def test_a_grant_that_is_given_or_taken_counts_at_once(api: Api) -> None:
    cookie = settle(api)
    refusal(api.get("/users", key=None, headers=cookie), 403, "forbidden")
    api.ask("PUT", "/api/v1/groups/admins", json={"grants": [{"role": "admin"}]})
    api.ask("PUT", f"/api/v1/groups/admins/members/{EMAIL}")
    assert api.get("/users", key=None, headers=cookie).json()["users"][0]["groups"] == ["admins"]
    api.ask("DELETE", f"/api/v1/groups/admins/members/{EMAIL}")
    refusal(api.get("/users", key=None, headers=cookie), 403, "forbidden")
