from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from modelyard.domain.access import OWNER, Grant, Principal, PrincipalKind, Role
from modelyard.domain.tokens import JobToken, job_principal
from modelyard.domain.users import ApiKey, EntryCode, Session, User
from modelyard.errors import NotFound
from modelyard.store.access import Known
from modelyard.store.limits import LINKS_MAX, SESSIONS_MAX
from modelyard.store.sqlite import open_store

CALLS, SEES = Grant(Role.CALLER, "shop"), Grant(Role.VIEWER)


def test_the_owner_has_one_key_and_a_new_one_replaces_it(store):
    assert not store.keys.is_owner("first")
    store.keys.put_owner("first", 1.0)
    assert store.keys.is_owner("first")
    store.keys.put_owner("second", 2.0)
    store.keys.put_owner("second", 3.0)
    assert store.keys.is_owner("second")
    assert not store.keys.is_owner("first")


def test_a_link_opens_once(store):
    store.keys.put_link("link", expires_at=10.0)
    assert store.keys.take_link("link", 5.0)
    assert not store.keys.take_link("link", 5.0)
    assert not store.keys.take_link("unknown", 5.0)


def test_a_link_taken_by_many_at_once_opens_for_one(store):
    store.keys.put_link("link", expires_at=10.0)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: store.keys.take_link("link", 5.0), range(16)))
    assert taken.count(True) == 1


def test_an_expired_link_opens_nothing_and_is_gone(store):
    store.keys.put_link("link", expires_at=10.0)
    assert not store.keys.take_link("link", 10.0)
    assert not store.keys.take_link("link", 5.0)


def test_a_session_lasts_until_it_expires(store):
    store.keys.put_session("session", Session("s-1", None, 1.0, 10.0))
    assert store.keys.principal("session", 9.9) == OWNER
    assert store.keys.session("session", 9.9) == Session("s-1", None, 1.0, 10.0)
    assert store.keys.principal("session", 10.0) is None
    assert store.keys.session("session", 10.0) is None
    assert store.keys.principal("unknown", 1.0) is None


def test_a_code_brings_its_session_once_and_only_while_both_last(store):
    store.keys.put_session("session", Session("s-1", None, 1.0, 100.0))
    code = EntryCode("board.localhost", "state", "s-1", 10.0)
    store.keys.put_code("code", code)
    assert store.keys.take_code("code", 5.0) == (code, Session("s-1", None, 1.0, 100.0))
    assert store.keys.take_code("code", 5.0) is None
    store.keys.put_code("late", code)
    assert store.keys.take_code("late", 10.0) is None
    store.keys.put_code("orphan", code)
    store.keys.end_session("s-1")
    assert store.keys.take_code("orphan", 5.0) is None


def test_a_session_at_an_apps_host_is_nothing_to_the_yard_and_ends_with_the_one_it_came_of(store):
    store.keys.put_session("session", Session("s-1", None, 1.0, 100.0))
    store.keys.put_session("there", Session("s-2", None, 1.0, 100.0, host="board.localhost", parent="s-1"))
    assert store.keys.principal("there", 5.0) is None
    assert store.keys.credentials(5.0)["there"].host == "board.localhost"
    store.keys.end_session("s-1")
    assert store.keys.sessions(5.0) == []


def test_links_beyond_the_bound_push_out_those_that_expire_first(store):
    for number in range(LINKS_MAX + 1):
        store.keys.put_link(f"link-{number}", expires_at=100.0 + number)
    assert not store.keys.take_link("link-0", 1.0)
    assert store.keys.take_link("link-1", 1.0)
    assert store.keys.take_link(f"link-{LINKS_MAX}", 1.0)


def test_a_link_that_expires_soon_is_kept_when_the_bound_is_reached(store):
    for number in range(LINKS_MAX):
        store.keys.put_link(f"link-{number}", expires_at=100.0)
    store.keys.put_link("soon", expires_at=50.0)
    assert store.keys.take_link("soon", 1.0)


def test_sessions_are_many_but_bounded(store):
    assert SESSIONS_MAX >= LINKS_MAX
    for number in range(SESSIONS_MAX + 1):
        store.keys.put_session(f"session-{number}", Session(f"s-{number}", None, 1.0, 100.0 + number))
    assert len(store.keys.sessions(2.0)) == SESSIONS_MAX
    assert store.keys.session("session-0", 2.0) is None


def test_sessions_are_listed_newest_first_and_ended_by_their_id(store):
    for number in (1, 2):
        store.keys.put_session(f"digest-{number}", Session(f"s-{number}", None, number, 100.0, "10.0.0.1", "a browser"))
    assert [one.id for one in store.keys.sessions(3.0)] == ["s-2", "s-1"]
    store.keys.end_session("s-1")
    assert store.keys.principal("digest-1", 3.0) is None
    with pytest.raises(NotFound):
        store.keys.end_session("s-1")


def test_a_key_is_known_by_its_digest_until_it_expires_or_is_deleted(store):
    store.keys.put_key("digest", ApiKey("k-1", "ci", None, (CALLS,), 1.0, expires_at=10.0))
    assert store.keys.principal("digest", 9.0) == Principal(PrincipalKind.KEY, "k-1", (CALLS,))
    assert store.keys.principal("digest", 10.0) is None
    store.keys.used({"digest": 5.0, "another": 6.0})
    assert [one.last_used_at for one in store.keys.api_keys()] == [5.0]
    assert store.keys.delete_key("k-1").name == "ci"
    assert store.keys.principal("digest", 9.0) is None
    with pytest.raises(NotFound):
        store.keys.delete_key("k-1")


def test_a_key_holds_no_more_than_its_owner_does(store):
    store.users.add(User("ada@a.org", "Ada", 1.0, grants=(CALLS, SEES)), "hash")
    store.keys.put_key("digest", ApiKey("k-1", "ci", "ada@a.org", (CALLS, SEES), 1.0))
    assert store.keys.principal("digest", 2.0).grants == (CALLS, SEES)
    store.users.change("ada@a.org", lambda user: replace(user, grants=(CALLS,)))
    assert store.keys.principal("digest", 2.0).grants == (CALLS,)
    store.users.change("ada@a.org", lambda user: replace(user, disabled=True))
    assert store.keys.principal("digest", 2.0) is None
    store.users.remove("ada@a.org")
    assert store.keys.api_keys() == []


def test_everybody_who_would_be_recognised_is_listed_and_a_change_shows_in_the_revision(store):
    seen = {store.keys.revision()}

    def changed():
        seen.add(store.keys.revision())
        return len(seen)

    store.users.add(User("ada@a.org", "Ada", 1.0), "hash")
    assert changed() == 2
    store.users.put_group("team", 1.0, (SEES,))
    assert changed() == 3
    store.users.put_member("team", "ada@a.org", member=True)
    assert changed() == 4
    store.keys.put_session("session", Session("s-1", "ada@a.org", 1.0, 9.0))
    assert changed() == 5
    store.keys.put_key("key", ApiKey("k-1", "ci", None, (CALLS,), 1.0))
    assert changed() == 6
    ada = Principal(PrincipalKind.USER, "ada@a.org", (SEES,), ("team",))
    assert store.keys.credentials(2.0) == {
        "session": Known(ada, 9.0),
        "key": Known(Principal(PrincipalKind.KEY, "k-1", (CALLS,)), None),
    }
    assert set(store.keys.credentials(9.0)) == {"key"}


def test_a_job_has_one_token_at_a_time_until_its_run_ends_or_it_expires(store):
    first, second = (JobToken("r-1", (CALLS,), at, 10.0) for at in (1.0, 2.0))
    store.keys.put_job_token("first", first)
    assert store.keys.principal("first", 9.0) == job_principal(first)
    assert store.keys.principal("first", 10.0) is None
    store.keys.put_job_token("second", second)
    assert store.keys.principal("first", 3.0) is None
    assert store.keys.credentials(3.0) == {"second": Known(job_principal(second), 10.0)}
    before = store.keys.revision()
    store.keys.end_job_token("another")
    assert store.keys.revision() == before
    store.keys.end_job_token("r-1")
    assert store.keys.revision() != before
    assert store.keys.principal("second", 3.0) is None


def test_who_was_recognised_is_not_any_more_once_another_process_says_so(home):
    """Each process remembers whom it recognised."""
    here, elsewhere = open_store(home), open_store(home)
    elsewhere.users.add(User("ada@example.org", "Ada", 1.0, grants=(SEES,)), "hash")
    here.keys.put_owner("owner", 1.0)
    here.keys.put_session("session", Session("s-1", "ada@example.org", 1.0, 100.0, "10.0.0.1", "a browser"))

    def role(digest="session", now=2.0):
        found = here.keys.principal(digest, now)
        return found and found.grants

    assert role() == (SEES,)
    assert role(now=100.0) is None
    elsewhere.users.change("ada@example.org", lambda one: replace(one, grants=(CALLS,)))
    assert role() == (CALLS,)
    elsewhere.users.change("ada@example.org", lambda one: replace(one, disabled=True))
    assert role() is None
    assert here.keys.principal("owner", 2.0) == OWNER
    elsewhere.keys.put_owner("another", 3.0)
    assert here.keys.principal("owner", 4.0) is None
    for store in (here, elsewhere):
        store.close()
