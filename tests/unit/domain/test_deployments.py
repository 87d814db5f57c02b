import pytest

from modelyard.domain.deployments import Change, decide_deployment
from modelyard.domain.endpoints import Endpoint, EndpointSpec, EndpointVersion, VersionState
from modelyard.errors import Conflict, InvalidValue

A, B = EndpointSpec("a"), EndpointSpec("b")


def present(state=VersionState.READY, deleting=False):
    return {"price": Endpoint("Price", "shop", (EndpointVersion(4, A, 0.0, state),), deleting)}


def decide(wanted, there=None, removed=None):
    return [(one.change, one.version) for one in decide_deployment("shop", wanted, there or {}, removed)]


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
    sentences = [one.sentence for one in decide_deployment("shop", {"new": A, "PRICE": A}, present())]
    assert sentences == ["creating new (endpoint)", "Price (endpoint) is up to date"]
    (updating,) = decide_deployment("shop", {"price": B}, present())
    assert updating.sentence == "updating Price (endpoint)"


def test_another_projects_name_is_refused_with_the_way_out():
    with pytest.raises(Conflict, match="project shop has one of that name") as refused:
        decide_deployment("other", {"price": A}, present())
    assert "--project shop" in (refused.value.hint or "")


def test_an_endpoint_that_is_being_deleted_is_refused():
    with pytest.raises(Conflict, match="it is being deleted"):
        decide({"price": B}, present(deleting=True))


def test_bad_names_and_names_that_differ_only_in_case_are_refused():
    with pytest.raises(InvalidValue):
        decide({"no label": A})
    with pytest.raises(InvalidValue, match="cannot deploy endpoints a and A together"):
        decide({"a": A, "A": A})
