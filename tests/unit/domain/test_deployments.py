import pytest

from modelyard.domain.deployments import Change, Present, Wanted, decide_deployment
from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointVersion, VersionState
from modelyard.domain.resources import Resource, ResourceName, ResourceVersion
from modelyard.errors import Conflict, InvalidValue

A, B = EndpointSpec("a"), EndpointSpec("b")


def present(state=VersionState.READY, deleting=False):
    return {"price": Endpoint("Price", "shop", (EndpointVersion(4, A, 0.0, state),), deleting)}


def decide(wanted, there=None, removed=None):
    found = decide_deployment("shop", Wanted(wanted), Present(there or {}, {}, removed or {}))
    return [(one.change, one.version) for one in found]


def test_a_new_endpoint_is_created_with_version_one():
    assert decide({"price": A}) == [(Change.CREATING, 1)]


def test_an_endpoint_that_comes_again_counts_on():
    assert decide({"Price": A}, removed={"price": 7}) == [(Change.CREATING, 8)]


def test_the_same_spec_is_up_to_date_and_another_one_updates():
    assert decide({"price": A}, present()) == [(Change.UP_TO_DATE, 4)]
    assert decide({"price": B}, present()) == [(Change.UPDATING, 5)]


def test_the_same_spec_is_tried_again_after_it_failed():
    assert decide({"price": A}, present(VersionState.FAILED)) == [(Change.UPDATING, 5)]


def test_outcomes_say_what_happens_in_cortex_words():
    sentences = [
        one.sentence for one in decide_deployment("shop", Wanted({"new": A, "PRICE": A}), Present(present(), {}))
    ]
    assert sentences == ["creating new (endpoint)", "Price (endpoint) is up to date"]
    (updating,) = decide_deployment("shop", Wanted({"price": B}), Present(present(), {}))
    assert updating.sentence == "updating Price (endpoint)"


def test_another_projects_name_is_refused_with_the_way_out():
    with pytest.raises(Conflict, match="project shop has one of that name") as refused:
        decide_deployment("other", Wanted({"price": A}), Present(present(), {}))
    assert "--project shop" in (refused.value.hint or "")


def test_an_endpoint_that_is_being_deleted_is_refused():
    with pytest.raises(Conflict, match="it is being deleted"):
        decide({"price": B}, present(deleting=True))


def test_bad_names_and_names_that_differ_only_in_case_are_refused():
    with pytest.raises(InvalidValue):
        decide({"no label": A})
    with pytest.raises(InvalidValue, match="cannot deploy endpoints a and A together"):
        decide({"a": A, "A": A})


ALARM, SPLIT = ResourceName("alarm", "Slow"), ResourceName("traffic_splitter", "price")


def resource(name, project="shop", spec=None):
    return {name.key: Resource(name, project, (ResourceVersion(3, spec or {"a": 1}, 0.0),))}


def decide_others(wanted, there=None, endpoints=None, **fields):
    found = decide_deployment("shop", Wanted({}, wanted, **fields), Present(endpoints or {}, there or {}))
    return [(one.change, one.version) for one in found]


def test_a_resource_is_created_updated_or_up_to_date():
    assert decide_others({ALARM: {"a": 1}}) == [(Change.CREATING, 1)]
    assert decide_others({ALARM: {"a": 1}}, resource(ALARM)) == [(Change.UP_TO_DATE, 3)]
    assert decide_others({ALARM: {"a": 2}}, resource(ALARM)) == [(Change.UPDATING, 4)]


def test_a_resource_that_comes_again_counts_on():
    there = Present({}, {}, removed_resources={ALARM.key: 5})
    (created,) = decide_deployment("shop", Wanted({}, {ALARM: {}}), there)
    assert (created.change, created.version) == (Change.CREATING, 6)


def test_another_projects_resource_is_refused():
    with pytest.raises(Conflict, match="cannot deploy alarm Slow: project other has one of that name"):
        decide_others({ALARM: {}}, resource(ALARM, "other"))


def test_kinds_may_share_a_name_but_for_those_that_answer_as_an_endpoint():
    assert decide_others({ResourceName("alarm", "price"): {}}, endpoints=present()) == [(Change.CREATING, 1)]
    with pytest.raises(Conflict, match="an endpoint has that name"):
        decide_others({SPLIT: {}}, endpoints=present())
    with pytest.raises(Conflict, match="a traffic_splitter has that name"):
        decide_deployment("shop", Wanted({"price": A}), Present({}, resource(SPLIT)))
    with pytest.raises(Conflict, match="has that name"):
        decide_deployment("shop", Wanted({"price": A}, {SPLIT: {}}), Present({}, {}))


def test_pruning_deletes_what_the_file_once_wished_and_nothing_else():
    there = Present(
        {**present(), "by-hand": Endpoint("by-hand", "shop", (EndpointVersion(1, A, 0.0),))},
        {**resource(ALARM), **resource(SPLIT, "other")},
        from_file={("endpoint", "price"), ALARM.key, SPLIT.key, ("alarm", "gone")},
    )
    kept = decide_deployment("shop", Wanted({"new": A}, from_file=True), there)
    assert [one.sentence for one in kept] == ["creating new (endpoint)"]
    pruned = decide_deployment("shop", Wanted({"new": A}, from_file=True, prune=True), there)
    assert [one.sentence for one in pruned] == [
        "creating new (endpoint)",
        "deleting Slow (alarm)",
        "deleting Price (endpoint)",
    ]


def splitter_of(*endpoints):
    members = [{"endpoint": one, "weight": 100 / len(endpoints), "variant": one, "owned": True} for one in endpoints]
    return {"members": members}


def test_a_variant_that_a_file_has_no_more_is_deleted_with_the_same_deploy():
    endpoints = {one: Endpoint(one, "shop", (EndpointVersion(1, A, 0.0, VersionState.READY),)) for one in ("a", "b")}
    there = Present(endpoints, resource(SPLIT, spec=splitter_of("a", "b")))
    outcomes = decide_deployment("shop", Wanted({"a": A}, {SPLIT: splitter_of("a")}), there)
    assert [(one.change, one.name) for one in outcomes] == [
        (Change.UP_TO_DATE, "a"),
        (Change.UPDATING, "price"),
        (Change.DELETING, "b"),
    ]


def test_a_variant_that_becomes_an_endpoint_of_its_own_stays():
    endpoints = {one: Endpoint(one, "shop", (EndpointVersion(1, A, 0.0, VersionState.READY),)) for one in ("a", "b")}
    there = Present(endpoints, resource(SPLIT, spec=splitter_of("a", "b")))
    outcomes = decide_deployment("shop", Wanted({"a": A, "b": A}, {SPLIT: splitter_of("a")}), there)
    assert Change.DELETING not in [one.change for one in outcomes]
