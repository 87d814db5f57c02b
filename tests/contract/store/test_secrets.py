import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from modelyard.domain.secrets import SUPERSEDED_KEPT
from modelyard.errors import InvalidValue, NotFound, StoreFailed
from modelyard.store.migrate import database_path
from modelyard.store.sqlite import open_store

VALUE = "correct horse battery staple"


def test_a_secret_is_revealed_under_whatever_case_it_is_asked_by(store):
    store.secrets.put("Db-Password", VALUE, 1.0)
    assert store.secrets.reveal(["db-password"]) == {"db-password": VALUE}
    assert store.secrets.get("DB-PASSWORD").name == "Db-Password"


def test_another_value_makes_the_next_revision_and_the_same_value_none(store):
    first = store.secrets.put("token", VALUE, 1.0)
    again = store.secrets.put("token", VALUE, 2.0)
    second = store.secrets.put("token", "another value", 3.0)
    assert again == first
    assert (second.revision, second.created_at, second.updated_at) == (2, 1.0, 3.0)
    assert store.secrets.select() == [second]
    assert store.secrets.reveal(["token"]) == {"token": "another value"}


def test_secrets_are_listed_by_name(store):
    for name in ("b", "C", "a"):
        store.secrets.put(name, VALUE, 1.0)
    assert [one.name for one in store.secrets.select()] == ["a", "b", "C"]


def test_a_deleted_secret_is_gone_and_may_come_again(store):
    store.secrets.put("token", VALUE, 1.0)
    store.secrets.delete("TOKEN")
    assert store.secrets.select() == []
    assert store.secrets.masks().text(VALUE) == VALUE
    assert store.secrets.put("token", "another value", 2.0).revision == 1


def test_an_unknown_secret_is_refused_with_the_nearest(store):
    store.secrets.put("db-password", VALUE, 1.0)
    for call in (store.secrets.get, store.secrets.delete, lambda name: store.secrets.reveal([name])):
        with pytest.raises(NotFound) as refused:
            call("db-pasword")
        assert refused.value.hint == "did you mean db-password?"


@pytest.mark.parametrize(
    ("name", "value"), [("a b", VALUE), ("", VALUE), ("a", ""), ("a", "nul\0"), ("a", "x" * 40000)]
)
def test_what_no_variable_could_hold_is_refused_without_showing_it(store, name, value):
    with pytest.raises(InvalidValue) as refused:
        store.secrets.put(name, value, 1.0)
    assert not value or value not in refused.value.message
    assert store.secrets.select() == []


def test_earlier_values_are_masked_as_long_as_they_are_kept(store):
    for number in range(SUPERSEDED_KEPT + 2):
        store.secrets.put("token", f"value-{number:04}", float(number))
    masks = store.secrets.masks()
    assert masks.text("value-0000") == "value-0000"
    assert {masks.text(f"value-{number:04}") for number in range(1, SUPERSEDED_KEPT + 2)} == {"***"}


def test_masks_follow_what_is_set_and_deleted(store):
    assert store.secrets.masks().text("abcdef ghijkl") == "abcdef ghijkl"
    store.secrets.put("one", "abcdef", 1.0)
    assert store.secrets.masks().text("abcdef ghijkl") == "*** ghijkl"
    store.secrets.put("two", "ghijkl", 1.0)
    assert store.secrets.masks().content(b"abcdef ghijkl") == b"*** ***"
    store.secrets.delete("one")
    assert store.secrets.masks().text("abcdef ghijkl") == "abcdef ***"


def everything_at_rest(home):
    return b"".join(path.read_bytes() for path in home.databases.iterdir())


def test_no_value_is_readable_in_the_files_of_the_databases(home):
    store = open_store(home)
    store.secrets.put("token", VALUE, 1.0)
    assert b"token" in everything_at_rest(home)
    assert VALUE.encode() not in everything_at_rest(home)
    store.close()
    assert VALUE.encode() not in everything_at_rest(home)


def test_the_key_is_for_its_owner_alone_and_made_once_by_several_at_once(home):
    store = open_store(home)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.secrets.put(f"s{number}", VALUE, 1.0), range(8)))
    assert stat.S_IMODE(home.secrets_key.stat().st_mode) == 0o600
    assert set(store.secrets.reveal([f"s{number}" for number in range(8)]).values()) == {VALUE}
    assert [one.name for one in home.root.glob("secrets.key*")] == ["secrets.key"]
    store.close()


def test_without_its_key_a_secret_says_what_to_do_and_can_be_set_again(home):
    store = open_store(home)
    store.secrets.put("token", VALUE, 1.0)
    home.secrets_key.unlink()
    with pytest.raises(StoreFailed, match="cannot read secret token") as refused:
        store.secrets.reveal(["token"])
    assert "set the secret again" in str(refused.value.hint)
    store.secrets.put("other", VALUE, 2.0)
    with pytest.raises(StoreFailed, match="under another key"):
        store.secrets.reveal(["token"])
    store.secrets.put("token", VALUE, 3.0)
    assert store.secrets.reveal(["token"]) == {"token": VALUE}
    assert store.secrets.masks().text(VALUE) == "***"
    store.close()


def test_a_value_moved_to_another_name_or_changed_is_not_taken(home):
    store = open_store(home)
    store.secrets.put("mine", VALUE, 1.0)
    store.secrets.put("yours", "another value", 1.0)
    with closing(sqlite3.connect(database_path(home, "yard"))) as connection, connection:
        connection.execute(
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE key = 'mine') WHERE key = 'yours'"
        )
    with pytest.raises(StoreFailed, match="what is stored was changed"):
        store.secrets.reveal(["yours"])
    store.close()
