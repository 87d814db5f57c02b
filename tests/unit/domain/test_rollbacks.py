"""Going back and starting over are new versions, and asking twice is asking once."""

from dataclasses import replace

import pytest

from modelyard.domain.deployments import (
    Change,
    Present,
    Wanted,
    decide_deployment,
    decide_refresh,
    decide_rollback,
    previous_ready,
)
from modelyard.domain.endpoints import Cause, Endpoint, EndpointVersion, Origin, VersionState
from modelyard.errors import Conflict, NotFound
from tests.unit.domain.world import endpoint, version

READY, FAILED = VersionState.READY, VersionState.FAILED


def followed(before: Endpoint, outcome_version: int, source: int, cause: Cause) -> Endpoint:
    """The endpoint with the version that an outcome brings about, ready."""
    spec = before.version(source).spec
    made = EndpointVersion(outcome_version, spec, 1.0, READY, origin=Origin(cause, source))
    return replace(before, versions=(*before.versions, made))


def test_a_rollback_goes_to_the_newest_other_version_that_was_ready_and_numbers_count_on() -> None:
    one = endpoint(version(1, READY), version(2, READY), version(3, READY))
    outcome = decide_rollback(one)
    assert (outcome.change, outcome.version, outcome.source) == (Change.ROLLING_BACK, 4, 2)
    assert outcome.sentence == "rolling back price (endpoint) to version 2 as version 4"
    assert outcome.origin("ada@desk") == Origin(Cause.ROLLBACK, 2, "ada@desk")


def test_a_failed_version_is_left_for_the_newest_that_was_ready() -> None:
    one = endpoint(version(1, READY), version(2, FAILED), version(3, FAILED))
    assert decide_rollback(one).source == 1


def test_a_refreshed_version_is_not_another_one() -> None:
    one = endpoint(version(1, READY), version(2, READY))
    refreshed = followed(one, 3, 2, Cause.REFRESH)
    assert previous_ready(refreshed).number == 1


def test_a_rollback_to_what_is_wished_already_does_nothing() -> None:
    one = endpoint(version(1, READY), version(2, READY))
    back = followed(one, 3, 1, Cause.ROLLBACK)
    again = decide_rollback(back, 1)
    assert (again.change, again.version) == (Change.UP_TO_DATE, 3)


def test_a_rollback_that_cannot_be_says_why() -> None:
    with pytest.raises(Conflict, match="no earlier version was ready"):
        decide_rollback(endpoint(version(1, READY)))
    with pytest.raises(NotFound, match="there is no version 7") as refused:
        decide_rollback(endpoint(version(1, READY), version(2, READY)), 7)
    assert refused.value.hint == "there are 1, 2"
    with pytest.raises(Conflict, match="version 1: it was never ready"):
        decide_rollback(endpoint(version(1, FAILED), version(2, READY)), 1)
    with pytest.raises(Conflict, match="it is being deleted"):
        decide_rollback(replace(endpoint(version(1, READY), version(2, READY)), deleting=True))


def test_a_refresh_is_the_same_again_and_asked_twice_is_done_once() -> None:
    one = endpoint(version(1, READY), version(2, READY))
    outcome = decide_refresh(one, 2)
    assert (outcome.change, outcome.version, outcome.source) == (Change.REFRESHING, 3, 2)
    assert outcome.sentence == "refreshing price (endpoint) as version 3"
    refreshed = followed(one, 3, 2, Cause.REFRESH)
    again = decide_refresh(refreshed, 2)
    assert (again.change, again.version) == (Change.UP_TO_DATE, 3)
    with pytest.raises(Conflict, match="version 3 is wished"):
        decide_refresh(refreshed, 1)


def test_the_same_deploy_after_a_refresh_is_up_to_date() -> None:
    refreshed = followed(endpoint(version(1, READY)), 2, 1, Cause.REFRESH)
    (outcome,) = decide_deployment("shop", Wanted({"price": refreshed.wished.spec}), Present({"price": refreshed}, {}))
    assert outcome.change is Change.UP_TO_DATE
