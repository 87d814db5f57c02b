"""Who goes when memory is short."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.eviction import Claims, Loaded, Memory, MemoryLimits, decide_eviction, shortage_bytes

MIB = 2**20
LIMITS = MemoryLimits(free_bytes_min=1000.0 * MIB, free_share_min=0.1, replicas_bytes_max=0.0)
PLENTY = Memory(8000 * MIB, 4000 * MIB)
SHORT = Memory(8000 * MIB, 750 * MIB)
"""Of 8000 MiB a tenth stays free."""


def loaded(key: str, used_at: float, mib: int = 100, *, may_go: bool = True) -> Loaded:
    return Loaded(key, used_at, mib * MIB, may_go)


def claims(every: list[Loaded], coming: int = 0, leaving: int = 0) -> Claims:
    return Claims(sum(one.private_bytes for one in every) + leaving, coming, leaving)


def gone(every: list[Loaded], memory: Memory, limits: MemoryLimits = LIMITS, **beside: int) -> list[str]:
    return [one.key for one in decide_eviction(every, memory, claims(every, **beside), limits, 100.0)]


def test_nobody_goes_while_there_is_enough() -> None:
    assert gone([loaded("a", 0.0)], PLENTY) == []


def test_the_least_recently_used_go_until_there_is_a_margin() -> None:
    every = [loaded("new", 90.0), loaded("old", 10.0), loaded("oldest", 5.0), loaded("middle", 50.0)]
    found = decide_eviction(every, SHORT, claims(every), LIMITS, 100.0)
    assert [one.key for one in found] == ["oldest", "old", "middle"]
    assert found[0].sentence == (
        "evicted, the machine has 750 MiB available of the 800 MiB that stay free,"
        " and nothing asked for it for 95 s: 100 MiB"
    )


def test_what_is_used_or_may_not_be_at_zero_stays_and_so_does_what_would_free_nothing() -> None:
    every = [loaded("pinned", 1.0, may_go=False), loaded("shares-all", 2.0, 0), loaded("one", 3.0, 300)]
    assert gone(every, SHORT) == ["one"]


def test_all_replicas_together_may_have_a_bound_of_their_own() -> None:
    limits = MemoryLimits(1000.0 * MIB, 0.1, replicas_bytes_max=250.0 * MIB)
    every = [loaded("a", 1.0), loaded("b", 2.0), loaded("c", 3.0)]
    (first, second) = decide_eviction(every, PLENTY, claims(every), limits, 10.0)
    assert (first.key, second.key) == ("a", "b")
    assert "replicas hold 300 MiB of the 250 MiB that they may" in first.sentence


def test_place_is_made_for_what_is_coming_before_it_is_there() -> None:
    limits = MemoryLimits(1000.0 * MIB, 0.1, replicas_bytes_max=400.0 * MIB)
    every = [loaded("a", 1.0), loaded("b", 2.0), loaded("c", 3.0)]
    assert gone(every, PLENTY, limits, coming=100 * MIB) == []
    (first, _) = decide_eviction(every, PLENTY, claims(every, 150 * MIB), limits, 10.0)
    assert "replicas hold 300 MiB of the 400 MiB that they may and 150 MiB more are to come" in first.sentence
    enough = Memory(8000 * MIB, 900 * MIB)
    assert gone(every, enough) == []
    assert gone(every, enough, coming=150 * MIB) == ["a", "b", "c"]


def test_what_is_leaving_already_need_not_be_made_up_for_by_others() -> None:
    assert gone([loaded("a", 1.0), loaded("b", 2.0)], SHORT, leaving=200 * MIB) == ["a"]
    assert gone([loaded("a", 1.0)], SHORT, leaving=250 * MIB) == []


LOADED = st.lists(
    st.builds(Loaded, st.text("abc", max_size=6), st.floats(0, 100), st.integers(0, 500 * MIB), st.booleans()),
    max_size=12,
    unique_by=lambda one: one.key,
)


@given(
    LOADED, st.integers(0, 8000 * MIB), st.floats(0, 4000.0 * MIB), st.integers(0, 500 * MIB), st.integers(0, 500 * MIB)
)
def test_no_more_go_than_it_takes_and_none_before_one_that_was_used_longer_ago(
    every: list[Loaded], available: int, bound: float, coming: int, leaving: int
) -> None:
    memory, limits = Memory(8000 * MIB, available), MemoryLimits(1000.0 * MIB, 0.1, bound)
    all_claims = claims(every, coming, leaving)
    keys = {one.key for one in decide_eviction(every, memory, all_claims, limits, 100.0)}
    wanted = shortage_bytes(memory, all_claims, limits) - leaving
    went = sorted((one for one in every if one.key in keys), key=lambda one: (one.last_used_at, one.key))
    assert all(one.may_go and one.private_bytes for one in went)
    assert sum(one.private_bytes for one in went[:-1]) < wanted or not went
    could = [one for one in every if one.may_go and one.private_bytes and one.key not in keys]
    if could and went:
        assert max((one.last_used_at, one.key) for one in went) <= min((one.last_used_at, one.key) for one in could)
    if could:
        assert sum(one.private_bytes for one in went) >= wanted
