"""The quick way from JSON to an array gives what the ordinary way gives, or leaves the body to it."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker import json_arrays
from modelyard_worker.json_arrays import LARGE_BYTES, read_numbers

number = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
value = number | st.booleans() | st.none() | st.text(max_size=3)
tree = st.recursive(value, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def large(document: Any) -> bytes:
    """The document with so much white space after it that it counts as large."""
    return json.dumps(document).encode() + b" " * LARGE_BYTES


def table(wide: int) -> st.SearchStrategy[list[list[Any]]]:
    return st.lists(st.lists(number, min_size=wide, max_size=wide), min_size=1, max_size=6)


@given(st.lists(tree, max_size=6) | st.integers(1, 4).flatmap(table))
def test_what_is_read_quickly_is_what_numpy_makes_of_the_document(document: list[Any]) -> None:
    found = read_numbers(large(document))
    if found is not None:
        expected = np.array(document)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(found, expected)
        assert found.flags.writeable


@pytest.mark.parametrize("document", [[1.5, 2], [[0.1, 2], [3, 4.25]], [[1e300], [-0.0]]])
def test_rows_of_floats_are_read_quickly(document: list[Any]) -> None:
    assert read_numbers(large(document)) is not None


@pytest.mark.parametrize(
    "document",
    [
        [],
        [[]],
        [[1.5, 2.5], [3.5]],
        [[[1.5], 2.5], [3.5, 4.5]],
        [[1.5], 2.5],
        [[[1.5]]],
        [1, 2],
        [True, 1.5],
        [None, 1.5],
        ["1.5"],
        [1.5, 2**64],
        {"a": 1.5},
    ],
)
def test_anything_else_is_left_to_the_ordinary_way(document: Any) -> None:
    assert read_numbers(large(document)) is None


@pytest.mark.parametrize("body", [b"[1.5", b"[1.5] x", b"[NaN, 1.5]", b"\xef\xbb\xbf[1.5]", b"[1.5,]", b""])
def test_what_is_not_json_is_left_to_the_ordinary_way(body: bytes) -> None:
    assert read_numbers(body + b" " * LARGE_BYTES) is None


def test_small_bodies_take_the_ordinary_way() -> None:
    assert read_numbers(b"[1.5]") is None


def test_without_simdjson_everything_takes_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_arrays, "_own", type("Own", (), {"parser": None}))
    assert read_numbers(large([1.5])) is None
