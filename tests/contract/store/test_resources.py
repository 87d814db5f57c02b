import pytest

from modelyard.domain.deployments import Change, Wanted
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.resources import VERSIONS_KEPT, ResourceName
from modelyard.errors import Conflict, NotFound

SLOW = ResourceName("alarm", "Slow")


def deploy(store, resources, endpoints=None, project="shop", **fields):
    return store.deployments.apply(project, Wanted(endpoints or {}, resources, **fields), 1.0, "ada")


def test_a_resource_keeps_its_versions_and_who_asked_for_them(store):
    deploy(store, {SLOW: {"threshold": 1}})
    deploy(store, {ResourceName("alarm", "SLOW"): {"threshold": 2}})
    found = store.resources.get("alarm", "slow")
    assert (found.name, found.project) == (SLOW, "shop")
    assert [(one.number, one.spec, one.by) for one in found.versions] == [
        (1, {"threshold": 1}, "ada"),
        (2, {"threshold": 2}, "ada"),
    ]
    assert found.version(1).spec == {"threshold": 1}
    with pytest.raises(NotFound, match="cannot find version 7 of alarm Slow"):
        found.version(7)


def test_only_the_newest_versions_are_kept(store):
    for threshold in range(VERSIONS_KEPT + 5):
        deploy(store, {SLOW: {"threshold": threshold}})
    numbers = [one.number for one in store.resources.get("alarm", "Slow").versions]
    assert numbers == list(range(6, VERSIONS_KEPT + 6))


def test_resources_are_selected_by_kind_and_project(store):
    deploy(store, {SLOW: {}, ResourceName("site", "front"): {}})
    deploy(store, {ResourceName("alarm", "late"): {}}, project="other")
    assert [str(one.name) for one in store.resources.select()] == ["alarm late", "alarm Slow", "site front"]
    assert [one.name.name for one in store.resources.select("alarm")] == ["late", "Slow"]
    assert [one.name.name for one in store.resources.select("alarm", "shop")] == ["Slow"]


def test_a_deleted_resource_is_gone_and_counts_on_when_it_comes_again(store):
    deploy(store, {SLOW: {}})
    assert store.resources.delete("alarm", "slow").name == SLOW
    with pytest.raises(NotFound):
        store.resources.get("alarm", "Slow")
    (outcome,) = deploy(store, {SLOW: {}})
    assert (outcome.change, outcome.version) == (Change.CREATING, 2)


def test_a_missing_resource_is_refused_with_the_nearest_name(store):
    deploy(store, {SLOW: {}})
    with pytest.raises(NotFound) as refused:
        store.resources.get("alarm", "slaw")
    assert refused.value.hint == "did you mean Slow?"


def test_a_new_version_is_put_only_where_something_differs(store):
    deploy(store, {SLOW: {"threshold": 1}})
    assert store.resources.put("alarm", "slow", {"threshold": 1}, 2.0).wished.number == 1
    assert store.resources.put("alarm", "slow", {"threshold": 2}, 3.0, "bob").wished.number == 2
    with pytest.raises(NotFound):
        store.resources.put("alarm", "other", {}, 2.0)


def test_endpoints_and_resources_are_deployed_together_or_not_at_all(store):
    deploy(store, {SLOW: {}}, project="other")
    with pytest.raises(Conflict):
        deploy(store, {SLOW: {}}, {"price": EndpointSpec("a")})
    assert store.endpoints.select() == []
    deploy(store, {ResourceName("alarm", "mine"): {}}, {"price": EndpointSpec("a")})
    assert [one.name for one in store.endpoints.select()] == ["price"]


def test_a_splitter_and_an_endpoint_cannot_have_one_name(store):
    split = ResourceName("traffic_splitter", "price")
    deploy(store, {split: {}})
    with pytest.raises(Conflict, match="a traffic_splitter has that name"):
        deploy(store, {}, {"Price": EndpointSpec("a")})
    deploy(store, {}, {"other": EndpointSpec("a")})
    with pytest.raises(Conflict, match="an endpoint has that name"):
        deploy(store, {ResourceName("traffic_splitter", "OTHER"): {}})


def test_pruning_deletes_what_earlier_files_of_the_project_wished(store):
    deploy(store, {SLOW: {}}, {"price": EndpointSpec("a")}, from_file=True)
    deploy(store, {}, {"by-hand": EndpointSpec("a")})
    deploy(store, {}, {"next": EndpointSpec("a")}, from_file=True)
    assert len(store.endpoints.select()) == 3
    outcomes = deploy(store, {}, {"next": EndpointSpec("a")}, from_file=True, prune=True)
    assert [one.sentence for one in outcomes] == [
        "next (endpoint) is up to date",
        "deleting Slow (alarm)",
        "deleting price (endpoint)",
    ]
    assert store.resources.select() == []
    assert [(one.name, one.deleting) for one in store.endpoints.select()] == [
        ("by-hand", False),
        ("next", False),
        ("price", True),
    ]
    again = deploy(store, {}, {"next": EndpointSpec("a")}, from_file=True, prune=True)
    assert [one.change for one in again] == [Change.UP_TO_DATE]
