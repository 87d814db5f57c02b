"""Weights are kept, not only on average: whichever requests in a row one looks at."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.errors import NotFound
from modelyard.gateway.split import Option, Split

WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=6).filter(lambda some: sum(some) > 0)


@dataclass
class Service:
    name: str
    ready_here: bool = True


def split_of(weights: list[int], *, ready: list[bool] | None = None, avoids_unready: bool = False) -> Split:
    states = ready or [True] * len(weights)
    services = [cast("Any", Service(f"s{place}", state)) for place, state in enumerate(states)]
    options = [
        Option(service, float(weight), b"v%d" % place, b"v%d" % place)
        for place, (service, weight) in enumerate(zip(services, weights, strict=True))
    ]
    return Split(options, avoids_unready=avoids_unready)


def chosen(split: Split, count: int) -> list[int]:
    return [int(cast("Any", split.choose(None).service).name[1:]) for _ in range(count)]


@given(WEIGHTS, st.integers(1, 300))
def test_after_any_number_of_requests_each_has_its_share_but_for_less_than_its_turn(
    weights: list[int], count: int
) -> None:
    found = Counter(chosen(split_of(weights), count))
    assert found.total() == count
    for place, weight in enumerate(weights):
        assert abs(found[place] - count * weight / sum(weights)) < len(weights)


@given(WEIGHTS)
def test_a_whole_round_is_exact(weights: list[int]) -> None:
    found = Counter(chosen(split_of(weights), sum(weights)))
    assert [found[place] for place in range(len(weights))] == weights


@given(WEIGHTS, st.integers(1, 100))
def test_what_has_no_weight_is_never_chosen_but_when_it_is_asked_for(weights: list[int], count: int) -> None:
    split = split_of([*weights, 0])
    assert len(weights) not in chosen(split, count)
    asked = split.choose(b"V%d" % len(weights))
    assert (asked.variant, asked.shadow) == (b"v%d" % len(weights), None)


@given(WEIGHTS, st.integers(1, 50))
def test_asking_for_one_does_not_change_whose_turn_it_is(weights: list[int], count: int) -> None:
    plain, asked = split_of(weights), split_of(weights)
    for _ in range(count):
        asked.choose(b"v0")
        assert chosen(plain, 1) == chosen(asked, 1)


@given(st.data(), WEIGHTS)
def test_one_that_is_not_ready_is_passed_over_where_another_with_a_weight_is(data: Any, weights: list[int]) -> None:
    ready = data.draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights)))
    split = split_of(weights, ready=ready, avoids_unready=True)
    able = {place for place, weight in enumerate(weights) if weight and ready[place]}
    found = set(chosen(split, 2 * sum(weights)))
    assert found <= able if able else found <= {place for place, weight in enumerate(weights) if weight}


@given(WEIGHTS)
def test_every_one_waits_for_its_own_where_none_is_passed_over(weights: list[int]) -> None:
    split = split_of(weights, ready=[False] * len(weights))
    assert set(chosen(split, sum(weights))) == {place for place, weight in enumerate(weights) if weight}


def test_a_name_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(NotFound) as refused:
        split_of([1, 1]).choose(b"other")
    assert "v0, v1" in (refused.value.hint or "")
    with pytest.raises(NotFound, match="none of the members has any of the traffic"):
        split_of([0, 0]).choose(None)


def test_all_traffic_is_nobodys_name() -> None:
    split = split_of([0, 1])
    assert split.choose(b"AllTraffic").variant == b"v1"
