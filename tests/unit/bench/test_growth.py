"""What grows for ever is told from what fills up once and from what comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from bench.soak.growth import Sample, growth_of

MIB = 2**20


def growing(memory: list[float], files: list[int]) -> tuple[bool, bool]:
    found = growth_of(
        [Sample(float(at), round(one * MIB), two) for at, (one, two) in enumerate(zip(memory, files, strict=True))]
    )
    assert found is not None
    return found.memory_grows, found.files_grow


def test_a_process_that_takes_more_and_more_grows_however_slowly() -> None:
    assert growing([40 + 0.2 * at for at in range(100)], [10 + at // 4 for at in range(100)]) == (True, True)


def test_what_fills_up_in_the_beginning_and_stays_is_flat() -> None:
    assert growing([min(40 + 2 * at, 80) for at in range(100)], [min(10 + at, 30) for at in range(100)]) == (
        False,
        False,
    )


@given(st.lists(st.tuples(st.floats(40, 45), st.integers(20, 28)), min_size=8, max_size=200))
def test_what_comes_and_goes_within_bounds_is_flat(samples: list[tuple[float, int]]) -> None:
    assert growing([one for one, _ in samples], [two for _, two in samples]) == (False, False)


def test_too_few_samples_say_nothing() -> None:
    assert growth_of([Sample(0.0, MIB, 1)] * 7) is None
