"""A client may be slow, but not for ever, and not by being just fast enough to be overlooked."""

from dataclasses import dataclass

import pytest

from modelyard.gateway.patience import Limits, Sight, outstayed
from modelyard.gateway.prediction import failure_sentence

LIMITS = Limits()
IDLE = Sight(
    heard_at=100.0,
    idle_since=100.0,
    begun_at=None,
    body_bytes=None,
    answering=False,
    client_is_slow=False,
    reading=True,
)


@dataclass
class Case:
    name: str
    sight: Sight
    stays_until: float | None
    """The last whole second at which it may stay; None for ever."""


CASES = [
    Case("idle between requests", IDLE, 175.0),
    Case("sends blank lines for ever", IDLE._replace(heard_at=174.9), 175.0),
    Case("sends a header byte now and then", IDLE._replace(begun_at=110.0, heard_at=124.0), 125.0),
    Case("pauses within its body", IDLE._replace(begun_at=110.0, heard_at=112.0, body_bytes=100_000), 127.0),
    Case("sends its body drop by drop", IDLE._replace(begun_at=110.0, heard_at=129.9, body_bytes=100), 130.0),
    Case("waits for its answer", IDLE._replace(answering=True), None),
    Case("waits while it sends the next request", IDLE._replace(answering=True, begun_at=110.0), None),
    Case("takes nothing of its answer", IDLE._replace(answering=True, client_is_slow=True), 160.0),
    Case("is not read by us", IDLE._replace(begun_at=110.0, body_bytes=0, reading=False, answering=True), None),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_client_stays_as_long_as_its_limit_says(case: Case) -> None:
    if case.stays_until is None:
        assert not outstayed(case.sight, 1e9, LIMITS)
        return
    assert not outstayed(case.sight, case.stays_until, LIMITS)
    assert outstayed(case.sight, case.stays_until + 0.1, LIMITS)


def test_a_long_body_that_keeps_its_rate_may_take_any_time() -> None:
    sight = IDLE._replace(begun_at=100.0, heard_at=1099.0, body_bytes=1_000_000)
    assert not outstayed(sight, 1100.0, LIMITS)


def test_strangers_hear_an_exceptions_type_and_owners_all_of_it() -> None:
    said = "KeyError: 'customer 4711' (from ValueError: x)"
    assert failure_sentence(said, knows_all=True) == f"cannot predict: the predictor raised {said}"
    assert failure_sentence(said, knows_all=False) == "cannot predict: the predictor raised KeyError"
    assert failure_sentence("xgboost.core.XGBoostError: secret", knows_all=False).endswith("XGBoostError")
    assert failure_sentence("no type here", knows_all=False) == "cannot predict: the predictor raised an exception"
