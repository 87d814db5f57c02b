from dataclasses import replace

import pytest

from modelyard.domain.access import Grant, Role
from modelyard.domain.users import GRANTS_MAX, Session, User
from modelyard.errors import Conflict, InvalidValue, NotFound

ADA = User("ada@a.org", "Ada", 1.0, grants=(Grant(Role.VIEWER), Grant(Role.DEPLOYER, "shop")))


def test_a_user_is_found_by_address_in_any_case(store):
    store.users.add(ADA, "hash")
    assert store.users.get("ADA@a.org") == ADA
    assert store.users.password("Ada@A.org") == "hash"
    assert store.users.select() == [ADA]
    with pytest.raises(Conflict, match="there is one"):
        store.users.add(ADA, None)


def test_an_unknown_user_is_refused_with_the_nearest(store):
    store.users.add(ADA, "hash")
    with pytest.raises(NotFound) as refused:
        store.users.get("ade@a.org")
    assert refused.value.hint == "did you mean ada@a.org?"
    assert store.users.password("ade@a.org") is None


def test_a_user_whom_another_site_vouches_for_has_no_password(store):
    store.users.add(replace(ADA, issuer="https://id", subject="7"), None)
    found = store.users.find("https://id", "7")
    assert (found.email, found.has_password) == ("ada@a.org", False)
    assert store.users.find("https://id", "8") is None


def test_a_change_is_applied_to_what_is_there(store):
    store.users.add(ADA, "hash")
    changed = store.users.change("ada@a.org", lambda user: replace(user, failures=user.failures + 1, grants=()))
    assert (changed.failures, changed.grants) == (1, ())
    assert store.users.password("ada@a.org") == "hash"


def test_a_new_password_and_being_disabled_end_the_sessions(store):
    store.users.add(ADA, "hash")

    def sign_in(digest):
        store.keys.put_session(digest, Session(digest, "ada@a.org", 1.0, 100.0))

    sign_in("one")
    store.users.change("ada@a.org", lambda user: replace(user, last_login_at=2.0))
    assert store.keys.session("one", 2.0) is not None
    store.users.change("ada@a.org", lambda user: user, "another hash")
    assert store.keys.session("one", 2.0) is None
    sign_in("two")
    store.users.change("ada@a.org", lambda user: replace(user, disabled=True))
    assert store.keys.sessions(2.0) == []


def test_groups_have_members_and_grants(store):
    store.users.add(ADA, "hash")
    store.users.put_group("Team", 1.0, (Grant(Role.CALLER, resource="endpoint/price"),))
    store.users.put_group("team", 2.0)
    group = store.users.put_member("TEAM", "ada@a.org", member=True)
    assert (group.name, group.created_at, group.members) == ("Team", 1.0, ("ada@a.org",))
    assert group.grants == (Grant(Role.CALLER, resource="endpoint/price"),)
    assert store.users.get("ada@a.org").groups == ("Team",)
    assert store.users.put_member("team", "ada@a.org", member=False).members == ()
    store.users.put_member("team", "ada@a.org", member=True)
    store.users.remove("ada@a.org")
    assert [one.members for one in store.users.groups()] == [()]
    store.users.remove_group("team")
    assert store.users.groups() == []
    with pytest.raises(NotFound):
        store.users.put_member("team", "ada@a.org", member=True)


def test_grants_are_bounded_and_counted_once(store):
    store.users.put_group("team", 1.0, (Grant(Role.CALLER),) * 5)
    assert store.users.groups()[0].grants == (Grant(Role.CALLER),)
    many = [Grant(Role.CALLER, f"p-{number}") for number in range(GRANTS_MAX + 1)]
    with pytest.raises(InvalidValue, match=f"at most {GRANTS_MAX}"):
        store.users.put_group("team", 1.0, many)
    assert store.users.groups()[0].grants == (Grant(Role.CALLER),)
