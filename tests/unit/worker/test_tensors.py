"""Tensors of the Open Inference Protocol, with NumPy and without it."""

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modelyard_worker.frames import TENSORS_PREFIX
from modelyard_worker.request import Refusal
from modelyard_worker.tensors import Asked, Tensors, read_asked, write_answer

shapes = st.lists(st.integers(0, 4), min_size=1, max_size=3)
numbers = {
    "BOOL": st.booleans(),
    "UINT8": st.integers(0, 255),
    "INT32": st.integers(-(2**31), 2**31 - 1),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FP64": st.floats(allow_nan=False, allow_infinity=False),
    "BYTES": st.text(max_size=5),
}


@pytest.fixture(params=[True, False], ids=["with NumPy", "without"])
def _numpy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setitem(sys.modules, "numpy", None)


def body(document: dict[str, Any], raw: bytes = b"") -> bytes:
    header = json.dumps(document).encode()
    return TENSORS_PREFIX.pack(len(header) if raw else 0) + header + raw


def nested(flat: list[Any], shape: list[int]) -> Any:
    if not shape:
        return flat[0]
    step = math.prod(shape[1:])
    return [nested(flat[one * step : (one + 1) * step], shape[1:]) for one in range(shape[0])]


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, list[int], list[Any]]:
    datatype = draw(st.sampled_from(sorted(numbers)))
    shape = draw(shapes)
    count = math.prod(shape)
    return datatype, shape, draw(st.lists(numbers[datatype], min_size=count, max_size=count))


@given(tensors())
def test_values_are_what_the_shape_says_whether_they_come_flat_or_nested(one: tuple[str, list[int], list[Any]]) -> None:
    datatype, shape, flat = one
    expected = nested(flat, shape) if flat else None
    for data in (flat, expected if expected is not None else flat):
        given_one = {"name": "x", "datatype": datatype, "shape": shape, "data": data}
        found = read_asked(body({"inputs": [given_one]})).tensors[0].values()
        if expected is not None:
            assert found == expected


@pytest.mark.usefixtures("_numpy")
@pytest.mark.parametrize(
    "value", [[1, 2], [[1.5], [2.5]], [True], ["a", "\u00fc"], 7, [{"a": 1}], {"k": [1], "l": ["x"]}]
)
@pytest.mark.parametrize("binary", [True, False])
def test_an_answer_in_either_form_reads_as_what_it_was(value: Any, binary: bool) -> None:
    length, written = write_answer(Asked("7", Tensors(), [], binary), "m", 3, value)
    header = json.loads(written[: length or len(written)])
    assert (header["model_name"], header["model_version"], header["id"]) == ("m", "3", "7")
    again = body({"inputs": header["outputs"]}, written[length:] if length else b"")
    found = read_asked(again).tensors.by_name()
    expected = value if isinstance(value, dict) else {"output": value if isinstance(value, list) else [value]}
    if value == [{"a": 1}]:
        expected = {"output": ['{"a":1}']}
    assert found == expected


@pytest.mark.parametrize(
    ("document", "raw", "said"),
    [
        ({}, b"", "no list `inputs`"),
        ({"inputs": []}, b"", "no input"),
        ({"inputs": [{"name": "x", "datatype": "FP99", "shape": [1], "data": [1]}]}, b"", "datatype 'FP99'"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1], "data": [1]}]}, b"", "no shape"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}, b"", "no data"),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}]},
            b"123",
            "binary_data_size",
        ),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}]},
            b"12345",
            "1 bytes follow",
        ),
        (
            {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "parameters": {"shared_memory_region": "r"}}]},
            b"",
            "shared memory",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_naming_it(document: dict[str, Any], raw: bytes, said: str) -> None:
    with pytest.raises(Refusal, match=said):
        read_asked(body(document, raw))


@pytest.mark.usefixtures("_numpy")
def test_data_that_do_not_fill_the_shape_are_refused() -> None:
    asked = read_asked(body({"inputs": [{"name": "x", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3]}]}))
    with pytest.raises(Refusal, match="4 elements, the data have 3"):
        asked.tensors[0].values()


@pytest.mark.usefixtures("_numpy")
def test_raw_data_that_do_not_fill_the_shape_are_refused() -> None:
    one = {"name": "x", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 9}}
    with pytest.raises(Refusal, match="9 bytes are not 1 elements of 8 bytes"):
        read_asked(body({"inputs": [one]}, b"123456789")).tensors[0].values()


@given(st.binary(max_size=200))
def test_no_body_does_more_than_be_refused(data: bytes) -> None:
    try:
        for one in read_asked(data).tensors:
            one.values()
    except Refusal:
        pass
