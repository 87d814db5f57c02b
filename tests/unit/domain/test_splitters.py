"""Who answers under a name that several endpoints share."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.splitters import (
    SplitMember,
    TrafficSplitter,
    check_splitter,
    member_for,
    shares_of,
    splitter_document,
    splitter_from,
)
from modelyard.errors import InvalidValue, NotFound

WEIGHTS = st.lists(st.floats(0, 1e6), min_size=1, max_size=10).filter(lambda some: sum(some) > 0)


def splitter_of(weights: list[float]) -> TrafficSplitter:
    shares = shares_of(weights)
    return TrafficSplitter(tuple(SplitMember(f"e{n}", share, f"v{n}", owned=True) for n, share in enumerate(shares)))


@given(WEIGHTS)
def test_shares_add_up_whatever_the_weights_are(weights: list[float]) -> None:
    check_splitter(splitter_of(weights))


@given(WEIGHTS, st.text(max_size=20))
def test_a_request_is_always_the_same_members_and_never_one_without_a_share(weights: list[float], name: str) -> None:
    splitter = splitter_of(weights)
    chosen = member_for(splitter, None, name)
    assert chosen.weight > 0
    assert member_for(splitter, "AllTraffic", name) == chosen
    assert member_for(splitter_from(splitter_document(splitter)), None, name) == chosen


def test_requests_are_spread_by_the_shares() -> None:
    counted = Counter(member_for(splitter_of([1, 3]), None, str(n)).variant for n in range(2000))
    assert 400 < counted["v0"] < 600
    assert counted.total() == 2000


def test_a_variant_that_is_asked_for_answers_even_without_a_share() -> None:
    splitter = splitter_of([0, 1])
    assert member_for(splitter, "V0", "any").endpoint == "e0"
    with pytest.raises(NotFound, match="cannot find variant 'v7'"):
        member_for(splitter, "v7", "any")


def test_a_shadow_is_nobodys_answer() -> None:
    dark = SplitMember("dark", 0.0, "dark", shadow=True)
    with pytest.raises(NotFound):
        member_for(TrafficSplitter((SplitMember("a", 100.0, "a"), dark)), "dark", "any")


def test_no_weight_at_all_is_no_split() -> None:
    with pytest.raises(InvalidValue):
        shares_of([0.0, 0.0])
