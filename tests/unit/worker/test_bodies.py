import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker import bodies
from modelyard_worker.request import Refusal

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


READS_WITH_LITTLE = """
import sys
from modelyard_worker import bodies, limits
body = b'"' + b"x" * (16 * 2**20) + b'"'
limits.MAPPED_BYTES_SPARE = 0
assert limits.hold_to(int(float(sys.argv[1]) * len(body)))
try:
    print(len(bodies.read_json(body)) == len(body) - 2)
except MemoryError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("times", "said"),
    [("30", "True"), ("6", "True"), ("0.5", "there is not enough memory to read a body of 16 MiB as JSON")],
    ids=["plenty", "less than orjson asks for", "too little"],
)
def test_a_long_body_is_read_with_the_memory_that_there_is_and_where_it_is_too_little_says_so(
    times: str, said: str
) -> None:
    done = subprocess.run([sys.executable, "-c", READS_WITH_LITTLE, times], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, said)


@given(json_values)
def test_json_means_the_same_with_and_without_the_fast_library(value: Any) -> None:
    for write in (bodies._dumps_fast, bodies._dumps_plain):
        for parse in (bodies.parse_json, bodies._loads_plain):
            if not _has_infinity(value):
                assert parse(write(value)) == value


def _has_infinity(value: Any) -> bool:
    return "Infinity" in json.dumps(value)


@given(st.lists(st.floats(), min_size=1))
def test_nan_and_infinity_are_null_either_way(values: list[float]) -> None:
    expected = [value if math.isfinite(value) else None for value in values]
    assert json.loads(bodies._dumps_fast(values)) == expected
    assert json.loads(bodies._dumps_plain({"nested": values})) == {"nested": expected}


@pytest.mark.parametrize("parse", [bodies.parse_json, bodies._loads_plain])
@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"[1,]", b"\xff", b"Infinity"])
def test_what_is_not_json_is_refused_either_way(parse: Any, body: bytes) -> None:
    with pytest.raises(ValueError):
        parse(body)


rows_of_numbers = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.floats(allow_nan=False), min_size=width, max_size=width), min_size=1, max_size=6)
)


@given(rows_of_numbers, st.sampled_from(["\n", "\r\n"]))
def test_csv_numbers_come_back_as_they_were_written(rows: list[list[float]], end: str) -> None:
    body = end.join(",".join(map(repr, row)) for row in rows).encode()
    numbers, count = bodies.read_csv_numbers(body, len(rows[0]))
    assert count == len(rows)
    assert list(numbers) == [value for row in rows for value in row]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "an empty body"),
        (b"\n\n", "an empty body"),
        (b"1,2\n3\n", "row 1: it has 1 values instead of 2"),
        (b"1,2\n3,x\n", "row 1, column 1: 'x' is not a number"),
        (b"1,2\n\n3,4\n", "row 1: it has 1 values instead of 2"),
    ],
)
def test_csv_that_is_not_rows_of_numbers_is_refused_by_place(body: bytes, told: str) -> None:
    with pytest.raises(Refusal, match="cannot read") as caught:
        bodies.read_csv_numbers(body)
    assert told in caught.value.message


def test_empty_and_quoted_cells_are_read() -> None:
    numbers, count = bodies.read_csv_numbers(b'1,,"3"\n')
    assert count == 1
    assert numbers[0] == 1
    assert math.isnan(numbers[1])
    assert numbers[2] == 3


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8"), min_size=1), min_size=2, max_size=2
        ),
        min_size=1,
    )
)
def test_text_in_csv_is_quoted_so_that_it_comes_back(rows: list[list[str]]) -> None:
    read = bodies.read_csv_rows(bodies.write_csv(rows) + b"\n")
    assert [[str(cell) for cell in row] for row in read] == [[str(_number(cell)) for cell in row] for row in rows]


def _number(cell: str) -> Any:
    return bodies._number_or_text(cell)
