from concurrent.futures import ThreadPoolExecutor

from modelyard.store.limits import LINKS_MAX, SESSIONS_MAX


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
    store.keys.put_session("session", expires_at=10.0)
    assert store.keys.has_session("session", 9.9)
    assert store.keys.has_session("session", 9.9)
    assert not store.keys.has_session("session", 10.0)
    assert not store.keys.has_session("unknown", 1.0)


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
    store.keys.put_session("again", expires_at=10.0)
    store.keys.put_session("again", expires_at=20.0)
    assert store.keys.has_session("again", 15.0)
