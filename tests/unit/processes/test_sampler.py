"""The process that chooses what tunings try next: within its ranges, the same for the same question, killed or not."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.controller.tunings import Sampler
from modelyard.errors import StartFailed
from modelyard.processes.sampler import choose


def a_range(name: str, kind: str, low: float = 0.0, high: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "low": low, "high": high, "values": [], "scaling": "Linear", **more}


RANGES = [
    a_range("eta", "continuous", 0.001, 1.0, scaling="Logarithmic"),
    a_range("momentum", "continuous", 0.5, 0.999, scaling="ReverseLogarithmic"),
    a_range("depth", "integer", 2, 10),
    a_range("booster", "categorical", values=["gbtree", "dart"]),
]


def question(count: int = 1, trials: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    asked = {"ranges": RANGES, "minimize": True, "strategy": "Bayesian", "seed": 3, "trials": trials or []}
    return {**asked, "count": count, **changes}


def tried(found: list[dict[str, Any]], value: float) -> list[dict[str, Any]]:
    return [{"parameters": one, "value": value + place, "state": "complete"} for place, one in enumerate(found)]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), strategy=st.sampled_from(["Bayesian", "Random"]), count=st.integers(1, 12))
def test_whatever_is_chosen_lies_in_its_range(seed: int, strategy: str, count: int) -> None:
    first = choose(question(count, seed=seed, strategy=strategy))
    after = choose(question(2, tried(first, 1.0), seed=seed, strategy=strategy))
    assert len(first) == count
    for one in first + after:
        assert 0.001 <= one["eta"] <= 1.0
        assert 0.5 <= one["momentum"] <= 0.999
        assert one["depth"] in range(2, 11)
        assert isinstance(one["depth"], int)
        assert one["booster"] in ("gbtree", "dart")


def test_the_same_question_has_the_same_answer_and_the_next_another() -> None:
    first = choose(question())
    assert choose(question()) == first
    assert choose(question(trials=tried(first, 1.0))) != first


@pytest.mark.parametrize("state", ["complete", "pruned"])
def test_it_learns_where_values_are_good(state: str) -> None:
    """Of a slope, better to the left: what is asked next lies left of the middle more often than not, also where most
    trials were stopped in the middle."""
    ranges = [a_range("x", "continuous", 0.0, 1.0)]
    states = ["complete" if place % 7 == 0 else state for place in range(21)]
    told = [{"parameters": {"x": place / 20}, "value": place / 20, "state": states[place]} for place in range(21)]
    asked = [choose(question(1, told, ranges=ranges, seed=seed))[0]["x"] for seed in range(20)]
    assert sum(x < 0.5 for x in asked) > 13


def test_a_process_that_is_killed_between_questions_is_started_again_and_says_the_same() -> None:
    async def story() -> None:
        sampler = Sampler()
        try:
            first = await sampler(question())
            assert sampler._process is not None
            sampler._process.kill()
            await sampler._process.wait()
            assert await sampler(question()) == first
        finally:
            await sampler.close()

    asyncio.run(story())


def test_a_question_without_an_answer_is_refused_and_the_next_one_is_answered() -> None:
    async def story() -> None:
        sampler = Sampler()
        try:
            with pytest.raises(StartFailed, match="cannot choose what to try next"):
                await sampler(question(ranges=[a_range("x", "continuous", 2.0, 1.0)]))
            assert await sampler(question())
        finally:
            await sampler.close()

    asyncio.run(story())
