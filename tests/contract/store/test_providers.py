import pytest

from modelyard.domain.access import Grant, Role
from modelyard.domain.providers import PROVIDERS_MAX, Provider
from modelyard.errors import Conflict, NotFound

STAFF = Provider(
    "Staff",
    "https://id.example.org",
    "yard",
    "secret",
    admits=("*",),
    grants=(Grant(Role.VIEWER, "shop"),),
    groups=(("a", "b"),),
)


def test_a_provider_is_there_as_it_was_put_until_it_is_removed(store):
    store.providers.put(STAFF)
    store.providers.put(STAFF)
    assert store.providers.get("staff") == STAFF
    assert store.providers.select() == [STAFF]
    store.providers.remove("STAFF")
    for what in (store.providers.get, store.providers.remove):
        with pytest.raises(NotFound):
            what("staff")


def test_there_are_only_so_many(store):
    for number in range(PROVIDERS_MAX):
        store.providers.put(Provider(f"p{number}", "https://id.example.org", "yard"))
    store.providers.put(Provider("p1", "https://id.example.org", "other"))
    with pytest.raises(Conflict):
        store.providers.put(STAFF)
