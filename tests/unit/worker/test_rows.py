import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker.request import Refusal
from modelyard_worker.rows import read_rows, write_rows

WIDTH = 3
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
requests = st.lists(st.lists(st.lists(numbers, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=4), min_size=1)


@given(requests)
def test_a_batch_is_every_bodys_rows_in_order(batch: list[list[list[float]]]) -> None:
    rows, counts = read_rows("application/json", [json.dumps(one).encode() for one in batch], WIDTH)
    assert counts == [len(one) for one in batch]
    assert rows.dtype == np.float64
    assert rows.tolist() == [[float(value) for value in row] for one in batch for row in one]


@given(requests)
def test_every_answer_is_cut_where_its_request_was(batch: list[list[list[float]]]) -> None:
    counts = [len(one) for one in batch]
    answers = write_rows("application/json", np.arange(sum(counts)), counts)
    ends = np.cumsum([0, *counts])
    assert [json.loads(answer) for answer in answers] == [list(range(begin, end)) for begin, end in pairwise(ends)]


@given(requests)
def test_json_and_csv_and_npy_of_the_same_rows_are_the_same_array(batch: list[list[list[float]]]) -> None:
    as_json, _ = read_rows("application/json", [json.dumps(one).encode() for one in batch], WIDTH)
    lines = [b"\n".join(",".join(map(repr, row)).encode() for row in one) for one in batch]
    as_csv, _ = read_rows("text/csv", lines, WIDTH)
    assert np.array_equal(as_json, as_csv)


@pytest.mark.parametrize("value", [True, False])
def test_truth_values_are_numbers(value: bool) -> None:
    rows, _ = read_rows("application/json", [json.dumps([[value]]).encode()], None)
    assert rows.tolist() == [[float(value)]]


def test_a_number_beyond_the_range_of_floats_is_refused_by_place() -> None:
    with pytest.raises(Refusal, match="row 0, column 1"):
        read_rows("application/json", [b'[[1, "%s"]]' % (b"9" * 400)], 2)


def test_rows_that_were_read_can_be_written_to() -> None:
    # Compiled estimators refuse memory that is read-only.
    for kind, body in (("application/json", b"[[1,2]]"), ("text/csv", b"1,2")):
        rows, _ = read_rows(kind, [body], None)
        assert rows.flags.writeable
        assert rows.flags.c_contiguous
