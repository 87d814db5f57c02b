"""The quick readers of CSV give what the plain one gives, or nothing."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from modelyard_worker import bodies, csv_numbers
from modelyard_worker.request import Refusal
from modelyard_worker.rows import read_rows

CELLS = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        ["", " 1.5", "1.5 ", "1_000", "nan", "-inf", "Infinity", "+2", "0x10", '"3"', "1e5", ".5", "x", "nan(1)"]
    ),
)


def plain(body: bytes) -> "np.ndarray | None":
    try:
        numbers, count = bodies.read_csv_numbers(body)
    except Refusal:
        return None
    return np.frombuffer(numbers, np.float64).reshape(count, -1)


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1)))
@example([["1", "2"], ["3"]])
def test_numpy_reads_what_the_plain_reader_reads_to_the_last_bit_or_leaves_it(rows: list[list[str]]) -> None:
    body = "\n".join(",".join(row) for row in rows).encode()
    found = csv_numbers.read(body, None)
    if found is not None:
        expected = plain(body)
        assert expected is not None
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes() or np.array_equal(found, expected, equal_nan=True)


def test_plain_numbers_are_read_quickly() -> None:
    found = csv_numbers.read(b"1,2.5\n-3,4e-3\n", None)
    assert found.tolist() == [[1, 2.5], [-3, 0.004]]


@pytest.mark.parametrize("body", [b"1,2\n3\n", b"1,2\n3\n4,5,6\n", b"1,2\n\n", b"1,x\n", b'"1",2\n', b"1,2\r\n"])
def test_what_is_not_plainly_numbers_is_left_to_the_plain_reader(body: bytes) -> None:
    assert csv_numbers.read(body, None) is None


def test_rows_of_a_large_body_are_the_same_whoever_reads_them() -> None:
    values = np.random.default_rng(5).normal(size=(4000, 3))
    body = "\n".join(",".join(map(repr, row)) for row in values.tolist()).encode()
    assert len(body) > csv_numbers.FAST_BYTES_MIN
    rows, counts = read_rows("text/csv", [body], 3)
    assert rows.tobytes() == values.tobytes()
    assert counts == [4000]
    with_hole, _ = read_rows("text/csv", [body + b"\n,1,2"], 3)
    assert math.isnan(with_hole[-1, 0])
