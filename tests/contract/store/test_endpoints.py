from dataclasses import replace

import pytest

from modelyard.domain.deployments import Change, Wanted
from modelyard.domain.endpoints import (
    VERSIONS_KEPT,
    Cause,
    EndpointSpec,
    EndpointState,
    EndpointStatus,
    ReplicaStatus,
    VersionState,
)
from modelyard.domain.functions import Function
from modelyard.domain.headlines import headline
from modelyard.domain.idleness import Requests
from modelyard.domain.names import name_key
from modelyard.domain.strategies import StrategyType, UpdateStrategy
from modelyard.domain.traffic import Progress, Steering
from modelyard.errors import Conflict, InvalidValue, NotFound

A, B, C = EndpointSpec("a"), EndpointSpec("b", replicas=2, environment={"X": "1"}), EndpointSpec("c")

STATUS = EndpointStatus(
    EndpointState.UPDATING,
    "version 2: 1 of 2 replicas ready",
    serving_version=1,
    ready=1,
    requested=2,
    up_to_date=1,
    updated_at=12.5,
    replicas=(
        ReplicaStatus("r1", 1, "ready", 4711, 10.0, forked=True),
        ReplicaStatus("r2", 2, "starting", None, 11.0, forked=False, reason="it hung"),
    ),
)


def deploy(store, name="price", spec=A, project="shop", now=1.0):
    (outcome,) = store.deployments.apply(project, Wanted({name: spec}), now)
    return outcome


def deploy_all(store, *names):
    for name in names:
        deploy(store, name)


def test_a_deploy_creates_then_is_up_to_date_then_updates(store):
    assert deploy(store).change is Change.CREATING
    assert deploy(store).change is Change.UP_TO_DATE
    outcome = deploy(store, spec=B, now=2.0)
    assert (outcome.change, outcome.version) == (Change.UPDATING, 2)
    found = store.endpoints.get("price")
    assert [(one.number, one.spec, one.created_at) for one in found.versions] == [(1, A, 1.0), (2, B, 2.0)]
    assert found.wished.state is VersionState.NEW


def test_names_are_compared_without_case_and_keep_their_first_spelling(store):
    deploy(store, "Price")
    assert deploy(store, "pRICE", B).name == "Price"
    assert store.endpoints.get("price").name == "Price"
    assert len(store.endpoints.select()) == 1


def test_a_deploy_happens_whole_or_not_at_all(store):
    deploy(store, "taken", project="other")
    with pytest.raises(Conflict, match="cannot deploy endpoint taken"):
        store.deployments.apply("shop", Wanted({"fine": A, "taken": A}), 1.0)
    with pytest.raises(InvalidValue):
        store.deployments.apply("shop", Wanted({"fine": A, "not a label": A}), 1.0)
    with pytest.raises(InvalidValue, match="case does not tell names apart"):
        store.deployments.apply("shop", Wanted({"fine": A, "FINE": B}), 1.0)
    assert [one.name for one in store.endpoints.select()] == ["taken"]


def test_several_endpoints_are_deployed_together(store):
    outcomes = store.deployments.apply("shop", Wanted({"b": B, "a": A}), 1.0)
    assert [(one.name, one.version) for one in outcomes] == [("b", 1), ("a", 1)]
    assert [one.name for one in store.endpoints.select()] == ["a", "b"]


def test_a_missing_endpoint_is_refused_with_the_nearest_name(store):
    deploy(store, "price")
    with pytest.raises(NotFound) as refused:
        store.endpoints.get("prise")
    assert refused.value.hint == "did you mean price?"
    with pytest.raises(NotFound):
        store.endpoints.delete("prise", 1.0)


def test_endpoints_are_selected_by_project(store):
    deploy(store, "a", project="one")
    deploy(store, "b", project="two")
    assert [one.name for one in store.endpoints.select("two")] == ["b"]
    assert store.endpoints.select("three") == []


def test_deleting_is_a_wish_that_may_be_repeated_and_refuses_a_deploy(store):
    deploy(store)
    assert store.endpoints.delete("PRICE", 2.0).deleting
    assert store.endpoints.delete("price", 3.0).deleting
    with pytest.raises(Conflict, match="being deleted"):
        deploy(store)


def test_only_an_endpoint_marked_as_deleting_can_be_forgotten(store):
    deploy(store)
    store.endpoints.remove("price")
    assert store.endpoints.get("price").name == "price"
    store.endpoints.delete("price", 2.0)
    store.endpoints.put_statuses({"price": STATUS})
    store.endpoints.remove("price")
    store.endpoints.remove("price")
    assert store.endpoints.select() == []
    assert store.endpoints.status("price") is None


def test_numbers_of_a_deleted_endpoint_are_never_used_again(store):
    deploy(store)
    deploy(store, spec=B)
    for last in (2, 3):
        store.endpoints.delete("price", 2.0)
        store.endpoints.remove("price")
        outcome = deploy(store, "PRICE", project="another")
        assert (outcome.change, outcome.version) == (Change.CREATING, last + 1)
        assert [one.number for one in store.endpoints.get("price").versions] == [last + 1]


def test_marking_a_version_writes_state_and_reason(store):
    deploy(store)
    store.endpoints.mark_version("price", 1, VersionState.FAILED, "it raised")
    found = store.endpoints.get("price").wished
    assert (found.state, found.reason) == (VersionState.FAILED, "it raised")


def test_marking_what_is_gone_does_nothing(store):
    deploy(store)
    store.endpoints.mark_version("price", 7, VersionState.READY, None)
    store.endpoints.mark_version("gone", 1, VersionState.READY, None)
    assert store.endpoints.get("price").wished.state is VersionState.NEW


def test_a_failed_version_is_deployed_again_as_a_new_one(store):
    deploy(store)
    store.endpoints.mark_version("price", 1, VersionState.FAILED, "it raised")
    assert deploy(store).version == 2


def test_the_newest_versions_are_kept_and_the_one_to_fall_back_to(store):
    for number in range(1, 41):
        deploy(store, spec=EndpointSpec(f"p{number}"))
        if number in (3, 5):
            store.endpoints.mark_version("price", number, VersionState.READY, None)
    newest = list(range(41 - VERSIONS_KEPT, 41))
    for found in (store.endpoints.get("price"), *store.endpoints.select()):
        assert [one.number for one in found.versions] == [5, *newest]
        assert found.fallback.number == 5
    store.endpoints.mark_version("price", 30, VersionState.READY, None)
    assert [one.number for one in store.endpoints.get("price").versions] == newest


def test_a_status_comes_back_as_it_was_put(store):
    deploy(store, "Price")
    assert store.endpoints.status("price") is None
    store.endpoints.put_statuses({"PRICE": STATUS})
    store.endpoints.put_statuses({"price": STATUS})
    assert store.endpoints.status("price") == STATUS
    assert store.endpoints.statuses() == {"price": STATUS}


def test_a_status_of_an_endpoint_that_is_gone_is_not_kept(store):
    store.endpoints.put_statuses({"price": STATUS})
    assert store.endpoints.statuses() == {}


def test_a_rollback_is_a_new_version_that_remembers_what_it_repeats_and_who_asked(store):
    deploy(store)
    store.endpoints.mark_version("price", 1, VersionState.READY, None)
    deploy(store, spec=B, now=2.0)
    outcome = store.endpoints.roll_back("PRICE", None, 3.0, "ada@desk")
    assert outcome.sentence == "rolling back price (endpoint) to version 1 as version 3"
    made = store.endpoints.get("price").wished
    assert (made.number, made.spec, made.created_at, made.state) == (3, A, 3.0, VersionState.NEW)
    assert (made.origin.cause, made.origin.source, made.origin.by) == (Cause.ROLLBACK, 1, "ada@desk")
    assert store.endpoints.roll_back("price", 1, 4.0).change is Change.UP_TO_DATE
    assert store.endpoints.get("price").wished.number == 3
    with pytest.raises(NotFound):
        store.endpoints.roll_back("prize", None, 5.0)


def test_the_version_that_a_rollback_leaves_is_remembered_with_the_reason(store):
    deploy(store)
    store.endpoints.mark_version("price", 1, VersionState.READY, None)
    deploy(store, spec=B, now=2.0)
    store.endpoints.mark_version("price", 2, VersionState.READY, None)
    store.endpoints.roll_back("price", None, 3.0, "alarm errors", "alarm errors: too many")
    left = store.endpoints.get("price").version(2)
    assert (left.state, left.reason) == (VersionState.READY, "alarm errors: too many")
    store.endpoints.roll_back("price", 1, 4.0, None, "asked twice")
    assert store.endpoints.get("price").version(3).reason is None


def test_a_refresh_is_a_new_version_of_the_same(store):
    deploy(store, spec=B)
    assert store.endpoints.refresh("price", 1, 2.0).version == 2
    assert store.endpoints.refresh("price", 1, 2.0).change is Change.UP_TO_DATE
    made = store.endpoints.get("price").wished
    assert (made.number, made.spec, made.origin.cause, made.origin.source) == (2, B, Cause.REFRESH, 1)
    with pytest.raises(Conflict):
        store.endpoints.refresh("price", 7, 3.0)


def test_a_version_remembers_that_it_ran_out_of_memory(store):
    deploy(store)
    store.endpoints.mark_version("price", 1, VersionState.FAILED, "out of memory", out_of_memory=True)
    assert store.endpoints.get("price").wished.out_of_memory


def test_what_changed_since_is_told_and_nothing_else(store):
    deploy_all(store, "a", "b", "c")
    revision, keys = store.endpoints.changed_since(0)
    assert keys == ["a", "b", "c"]
    assert store.endpoints.changed_since(revision) == (revision, [])
    store.endpoints.mark_version("B", 1, VersionState.READY, None)
    revision, keys = store.endpoints.changed_since(revision)
    assert keys == ["b"]
    store.endpoints.delete("c", 9.0)
    assert store.endpoints.changed_since(revision)[1] == ["c"]
    store.endpoints.remove("c")
    revision, keys = store.endpoints.changed_since(0)
    assert keys == ["a", "b"]
    store.endpoints.put_statuses({"a": STATUS})
    store.endpoints.put_requests({"a": Requests(1.0)})
    assert store.endpoints.changed_since(revision) == (revision, [])


def test_a_change_after_a_removal_is_seen(store):
    deploy_all(store, "a", "b")
    revision, _ = store.endpoints.changed_since(0)
    store.endpoints.delete("b", 9.0)
    revision, _ = store.endpoints.changed_since(revision)
    store.endpoints.remove("b")
    store.endpoints.mark_version("a", 1, VersionState.READY, None)
    assert store.endpoints.changed_since(revision)[1] == ["a"]


def test_some_are_found_by_key_and_all_are_counted(store):
    deploy_all(store, "A", "b")
    assert {key: one.name for key, one in store.endpoints.find(["a", "c"]).items()} == {"a": "A"}
    assert store.endpoints.find([]) == {}
    assert store.endpoints.count() == 2
    store.endpoints.put_statuses({"A": STATUS, "gone": STATUS})
    assert store.endpoints.statuses(["a", "b"]) == {"a": STATUS}


def test_when_an_endpoint_was_asked_is_remembered_until_it_is_removed(store):
    deploy_all(store, "a", "b")
    store.endpoints.put_requests({"a": Requests(5.0), "b": Requests(6.0, 7.0)})
    store.endpoints.put_requests({"a": Requests(8.0)})
    assert store.endpoints.requests() == {"a": Requests(8.0), "b": Requests(6.0, 7.0)}
    assert store.endpoints.requests_of("B") == Requests(6.0, 7.0)
    store.endpoints.delete("b", 9.0)
    store.endpoints.remove("b")
    assert store.endpoints.requests_of("b") == Requests()


def test_a_deletion_of_a_version_that_is_no_longer_wished_does_nothing(store):
    deploy_all(store, "a")
    assert not store.endpoints.delete("a", 9.0, version=7).deleting
    assert store.endpoints.delete("a", 9.0, version=1).deleting


def test_headlines_say_what_the_documents_say(store):
    function = EndpointSpec("f", function=Function())
    for name, spec in (("price", EndpointSpec("a", model="price:3")), ("Greet", function), ("new", A), ("gone", A)):
        deploy(store, name, spec)
    long = "cannot start: " + "x" * 1000
    error = EndpointStatus(EndpointState.ERROR, long, 1, 0, 1, 0, 5.0)
    store.endpoints.put_statuses({"price": STATUS, "greet": error, "gone": STATUS})
    deploy(store, "greet", replace(function, replicas=2), now=4.0)
    deploy(store, "price", EndpointSpec("a", model="price:4"), now=9.0)
    store.endpoints.mark_version("price", 2, VersionState.READY, None)
    store.endpoints.delete("gone", 10.0)
    store.endpoints.put_requests({"price": Requests(8.0)})
    statuses, requests = store.endpoints.statuses(), store.endpoints.requests()
    assert list(store.endpoints.headlines()) == [
        headline(one, statuses.get(key), requests.get(key, Requests()))
        for key, one in sorted((name_key(one.name), one) for one in store.endpoints.select())
    ]
    assert [(one.name, one.kind, one.state, one.model) for one in store.endpoints.headlines()] == [
        ("gone", "endpoint", "deleting", None),
        ("Greet", "function", "error", None),
        ("new", "endpoint", "updating", None),
        ("price", "endpoint", "updating", "price:4"),
    ]


# -- steps of a rollout ----------------------------------------------------------------------------------------------

STAGED = replace(B, update_strategy=UpdateStrategy(StrategyType.CANARY, steps=(10.0, 50.0)))


def deploy_in_steps(store):
    """Version 2 is on its way in three steps, after a version that was ready."""
    deploy(store)
    store.endpoints.mark_version("price", 1, VersionState.READY, None)
    deploy(store, spec=STAGED, now=2.0)
    return store.endpoints


def test_what_people_wish_for_a_rollout_is_kept_with_its_version(store):
    endpoints = deploy_in_steps(store)
    outcome = endpoints.steer("PRICE", Change.PAUSING, 2)
    assert (outcome.name, outcome.change, outcome.version) == ("price", Change.PAUSING, 2)
    assert endpoints.steer("price", Change.PAUSING, 2).change is Change.UP_TO_DATE
    assert endpoints.steer("price", Change.PROMOTING, step=True).change is Change.PROMOTING
    assert endpoints.get("price").wished.steering.promoted_to == 1
    assert endpoints.steer("price", Change.PROMOTING).change is Change.PROMOTING
    assert endpoints.get("price").wished.steering.promoted_to == 3
    assert endpoints.get("price").version(1).steering == Steering()


def test_a_wish_for_a_rollout_that_there_is_not_changes_nothing(store):
    endpoints = deploy_in_steps(store)
    revision, _ = endpoints.changed_since(0)
    with pytest.raises(Conflict, match="version 2 is on its way"):
        endpoints.steer("price", Change.PAUSING, 1)
    with pytest.raises(NotFound, match="cannot find endpoint"):
        endpoints.steer("rent", Change.PAUSING)
    endpoints.mark_version("price", 2, VersionState.READY, None)
    with pytest.raises(Conflict, match="no new version is on its way in steps"):
        endpoints.steer("price", Change.RESUMING)
    assert endpoints.get("price").wished.steering == Steering()
    assert endpoints.changed_since(revision)[1] == ["price"]


def test_how_far_a_rollout_has_come_is_kept_beside_what_people_wish(store):
    endpoints = deploy_in_steps(store)
    endpoints.steer("price", Change.PAUSING)
    far = Progress(step=1, percent=10.0, began_at=12.5, held_since=13.0, held_seconds=0.25)
    endpoints.put_progress("price", 2, far)
    wished = endpoints.get("price").wished
    assert (wished.progress, wished.steering.paused) == (far, True)
    endpoints.steer("price", Change.RESUMING)
    assert endpoints.get("price").wished.progress == far
    assert endpoints.get("price").version(1).progress == Progress()


def test_steps_and_wishes_are_changes_that_a_controller_hears_of(store):
    endpoints = deploy_in_steps(store)
    for change in (
        lambda: endpoints.steer("price", Change.PAUSING),
        lambda: endpoints.put_progress("price", 2, Progress(percent=10.0)),
    ):
        revision, _ = endpoints.changed_since(0)
        change()
        assert endpoints.changed_since(revision)[1] == ["price"]


def test_progress_of_a_version_that_is_gone_has_no_effect(store):
    endpoints = deploy_in_steps(store)
    endpoints.put_progress("price", 7, Progress(percent=10.0))
    endpoints.put_progress("gone", 1, Progress(percent=10.0))
    assert [one.progress for one in endpoints.get("price").versions] == [Progress(), Progress()]
