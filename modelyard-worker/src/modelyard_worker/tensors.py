"""Tensors as the Open Inference Protocol has them: a JSON description, and data in it or as raw bytes after it.

    {"id"?, "inputs": [{"name", "datatype", "shape", "data"? , "parameters": {"binary_data_size"?}}],
     "outputs"?: [{"name", "parameters": {"binary_data"?}}], "parameters"?: {"binary_data_output"?}}

Raw data follows the JSON, tensor by tensor, little-endian, row-major; of BYTES each element has its length before it in
four bytes. NumPy is used where the environment has it; without it tensors are nested lists.
"""

import json
import math
import struct
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, cast

from modelyard_worker import bodies
from modelyard_worker.frames import TENSORS_PREFIX
from modelyard_worker.request import Refusal, unreadable

Shape = Tuple[int, ...]

DIMENSIONS_MAX = 32
"""NumPy's own limit in its older versions."""

_FORMATS = {
    "BOOL": ("?", "bool"),
    "UINT8": ("B", "uint8"),
    "UINT16": ("H", "uint16"),
    "UINT32": ("I", "uint32"),
    "UINT64": ("Q", "uint64"),
    "INT8": ("b", "int8"),
    "INT16": ("h", "int16"),
    "INT32": ("i", "int32"),
    "INT64": ("q", "int64"),
    "FP16": ("e", "float16"),
    "FP32": ("f", "float32"),
    "FP64": ("d", "float64"),
}
"""The protocol's name of a number's type -> what `struct` calls it, and NumPy."""

_BYTES = "BYTES"
_BFLOAT = "BF16"
DATATYPES = (*_FORMATS, _BYTES, _BFLOAT)

_NAMES = {numpy_name: name for name, (_, numpy_name) in _FORMATS.items()}

OUTPUT = "output"
"""What an output is called that the predictor did not name."""


def _numpy() -> Optional[Any]:
    try:
        import numpy as np
    except ImportError:
        return None
    return np


def datatype_of(numpy_name: str) -> Optional[str]:
    """The protocol's name of NumPy's `float64`, `str`; None where it has none."""
    return _BYTES if numpy_name in ("str", "object") else _NAMES.get(numpy_name)


class Tensor:
    """One tensor as it came: raw bytes, or the values that its JSON had."""

    __slots__ = ("_data", "datatype", "name", "shape")

    def __init__(self, name: str, datatype: str, shape: Shape, data: Any) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self._data = data

    def array(self) -> Any:
        """A NumPy array; texts as objects. Raises Refusal where NumPy is not there or the data do not fit."""
        np = bodies.library("numpy", "tensors")
        if isinstance(self._data, bytes) and self.datatype in _FORMATS:
            self._check_size(self._data, struct.calcsize(_FORMATS[self.datatype][0]))
            little = np.dtype(_FORMATS[self.datatype][1]).newbyteorder("<")
            return np.frombuffer(self._data, little).astype(little.newbyteorder("="), copy=False).reshape(self.shape)
        flat = self._flat()
        if self.datatype == _BYTES:
            array = np.empty(len(flat), dtype=object)
            array[:] = flat
            return array.reshape(self.shape)
        try:
            return np.array(flat, _FORMATS.get(self.datatype, ("", "float32"))[1]).reshape(self.shape)
        except (ValueError, TypeError, OverflowError) as error:
            raise unreadable(f"cannot read input {self.name} as {self.datatype}: {error}") from error

    def values(self) -> Any:
        """Nested lists, as JSON would have them."""
        if _numpy() is not None and self.datatype != _BYTES:
            return self.array().tolist()
        found: List[Any] = self._flat()
        for size in reversed(self.shape[1:]):
            found = [found[begin : begin + size] for begin in range(0, len(found), size)] if size else []
        return found

    def one(self) -> Any:
        """The only element. Raises Refusal where there are several."""
        flat = self._flat()
        if len(flat) != 1:
            raise unreadable(f"cannot read input {self.name}: one element is expected, not {len(flat)}")
        return flat[0]

    def _flat(self) -> List[Any]:
        flat = self._unpacked(self._data) if isinstance(self._data, bytes) else list(_flattened(self._data))
        self._check_count(len(flat))
        return flat

    def _unpacked(self, data: bytes) -> List[Any]:
        if self.datatype == _BYTES:
            return [_text(one) for one in _elements(self.name, data)]
        self._check_size(data, 2 if self.datatype == _BFLOAT else struct.calcsize(_FORMATS[self.datatype][0]))
        if self.datatype == _BFLOAT:
            halves = struct.unpack(f"<{len(data) // 2}H", data)
            return list(struct.unpack(f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(h << 16 for h in halves))))
        form = _FORMATS[self.datatype][0]
        return list(struct.unpack(f"<{len(data) // struct.calcsize(form)}{form}", data))

    def _check_size(self, data: bytes, element_bytes: int) -> None:
        if len(data) != math.prod(self.shape) * element_bytes:
            raise unreadable(
                f"cannot read input {self.name}: {len(data)} bytes are not {math.prod(self.shape)} elements of "
                f"{element_bytes} bytes"
            )

    def _check_count(self, count: int) -> None:
        if count != math.prod(self.shape):
            raise unreadable(
                f"cannot read input {self.name}: shape {list(self.shape)} has {math.prod(self.shape)} elements, "
                f"the data have {count}"
            )


class Tensors(Tuple[Tensor, ...]):
    """The inputs of one request: what a reader of bodies gets in a body's place."""

    __slots__ = ()

    def only(self) -> Tensor:
        """Raises Refusal where there are several."""
        if len(self) != 1:
            raise unreadable(f"cannot read the inputs as one: there are {len(self)}: {self.names}")
        return self[0]

    @property
    def names(self) -> str:
        return ", ".join(one.name for one in self)

    def by_name(self) -> Dict[str, Any]:
        """Nested lists by name, as a JSON object would have them."""
        return {one.name: one.values() for one in self}

    def rows(self) -> Any:
        """One array (rows, values): the only tensor, or a column for each. Raises Refusal where they are no rows."""
        np = bodies.library("numpy", "tensors")
        if len(self) == 1:
            return self[0].array()
        try:
            return np.column_stack([one.array() for one in self])
        except ValueError as error:
            raise unreadable(f"cannot read the inputs {self.names} as columns: {error}") from error


class Wanted(NamedTuple):
    """One output that was asked for."""

    name: str
    binary: bool


class Asked(NamedTuple):
    """What a request says beside its tensors."""

    id: Optional[str]
    tensors: Tensors
    outputs: Sequence[Wanted]
    """Empty where everything is wanted."""
    binary: bool
    """How outputs are wanted that were not asked for by name."""


# Reading


def read_asked(body: bytes) -> Asked:
    """The request in `body`: the length of its JSON (0 for all of it), the JSON, raw data. Raises Refusal."""
    if len(body) < TENSORS_PREFIX.size:
        raise unreadable("cannot read an empty body")
    (length,) = TENSORS_PREFIX.unpack_from(body)
    begin = TENSORS_PREFIX.size
    end = begin + length if length else len(body)
    if end > len(body):
        raise unreadable(f"cannot read the body: its header is to have {length} bytes, it has {len(body) - begin}")
    document: Any = bodies.read_json(body[begin:end])
    if not isinstance(document, dict) or not isinstance(cast("Any", document).get("inputs"), list):
        raise unreadable("cannot read the body: it has no list `inputs`")
    request = cast("Dict[str, Any]", document)
    identifier = request.get("id")
    binary = bool(_parameters(request).get("binary_data_output"))
    outputs = [_wanted(one, binary) for one in cast("List[Any]", request.get("outputs") or [])]
    tensors = Tensors(_read_inputs(cast("List[Any]", request["inputs"]), body, end))
    if not tensors:
        raise unreadable("cannot read the body: it has no input")
    return Asked(str(identifier) if identifier is not None else None, tensors, outputs, binary)


def _parameters(document: Dict[str, Any]) -> Dict[str, Any]:
    found = document.get("parameters")
    return cast("Dict[str, Any]", found) if isinstance(found, dict) else {}


def _wanted(one: Any, binary: bool) -> Wanted:
    if not isinstance(one, dict) or not isinstance(cast("Any", one).get("name"), str):
        raise unreadable("cannot read the body: an output has no name")
    named = cast("Dict[str, Any]", one)
    parameters = _parameters(named)
    for unknown in ("classification", "shared_memory_region"):
        if parameters.get(unknown):
            raise unreadable(f"cannot answer output {named['name']}: {unknown} is not known here")
    return Wanted(named["name"], bool(parameters.get("binary_data", binary)))


def _read_inputs(inputs: List[Any], body: bytes, begin: int) -> Iterator[Tensor]:
    for one in inputs:
        if not isinstance(one, dict):
            raise unreadable("cannot read the body: an input is no object")
        given = cast("Dict[str, Any]", one)
        name, datatype = str(given.get("name", "")), given.get("datatype")
        if datatype not in DATATYPES:
            raise unreadable(f"cannot read input {name}: datatype {bodies.shown(datatype)} is not known")
        parameters = _parameters(given)
        if parameters.get("shared_memory_region"):
            raise unreadable(f"cannot read input {name}: shared memory is not known here; send its data")
        size = parameters.get("binary_data_size")
        data: Any = given.get("data")
        if size is not None:
            if not isinstance(size, int) or size < 0 or begin + size > len(body):
                raise unreadable(f"cannot read input {name}: its binary_data_size is {bodies.shown(size)}")
            data = body[begin : begin + size]
            begin += size
        elif not isinstance(data, list):
            raise unreadable(f"cannot read input {name}: it has no data")
        yield Tensor(name, datatype, _shape(name, given.get("shape")), data)
    if begin != len(body):
        raise unreadable(f"cannot read the body: {len(body) - begin} bytes follow the last input")


def _shape(name: str, shape: Any) -> Shape:
    sizes = cast("List[Any]", shape) if isinstance(shape, list) else [-1]
    if len(sizes) > DIMENSIONS_MAX or not all(type(one) is int and one >= 0 for one in sizes):
        raise unreadable(f"cannot read input {name}: {bodies.shown(shape)} is no shape")
    return tuple(sizes)


def _flattened(data: Any) -> Iterator[Any]:
    for one in data:
        if isinstance(one, list):
            yield from _flattened(one)
        else:
            yield one


def _elements(name: str, data: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(data):
        end = begin + 4
        size = int.from_bytes(data[begin:end], "little")
        if end > len(data) or end + size > len(data):
            raise unreadable(f"cannot read input {name}: its last element is cut off")
        yield data[end : end + size]
        begin = end + size


def _text(element: bytes) -> Any:
    """An element as text where it is one."""
    try:
        return element.decode()
    except UnicodeDecodeError:
        return element


# Writing


class Output(NamedTuple):
    """One tensor that goes out."""

    name: str
    datatype: str
    shape: Shape
    flat: List[Any]
    array: Optional[Any]
    """The same as a NumPy array, where it is one of numbers."""


def outputs_of(value: Any, name: str = OUTPUT) -> List[Output]:
    """What a predictor returned, as tensors: one for each key of a dict and each column of a table, else one.

    What is no tensor becomes one of texts: each element, or the whole, as JSON.
    """
    if isinstance(value, dict):
        return [_output(str(key), one) for key, one in cast("Dict[Any, Any]", value).items()]
    if hasattr(value, "columns") and hasattr(value, "to_dict"):
        return [_output(str(key), value[key].to_numpy()) for key in value.columns]
    if hasattr(value, "model_dump"):
        return outputs_of(value.model_dump(), name)
    return [_output(name, value)]


def _output(name: str, value: Any) -> Output:
    np = sys.modules.get("numpy")
    if isinstance(value, (bytes, bytearray, memoryview, str)):
        return Output(name, _BYTES, (1,), [value], None)
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()
    if np is not None and (isinstance(value, (np.ndarray, np.generic)) or _is_rectangular(value)):
        found = _output_of_array(name, np.atleast_1d(np.asarray(value)))
        if found is not None:
            return found
    plain: Any = value.tolist() if hasattr(value, "tolist") else value
    return _output_of_list(name, list(cast("Any", plain)) if isinstance(plain, (list, tuple)) else [plain])


def _is_rectangular(value: Any) -> bool:
    """Whether a list holds numbers in rows of one length: then NumPy does the rest."""
    return isinstance(value, (list, tuple)) and _list_shape(value) is not None


def _output_of_array(name: str, array: Any) -> Optional[Output]:
    datatype = _NAMES.get(array.dtype.name)
    if datatype is None:
        return None
    return Output(name, datatype, tuple(array.shape), array.ravel().tolist(), array)


def _output_of_list(name: str, value: List[Any]) -> Output:
    shape = _list_shape(value)
    flat = list(_flattened(value)) if shape is not None else value
    kinds: Set[Any] = {one.__class__ for one in flat}
    if shape is not None and kinds == {bool}:
        return Output(name, "BOOL", shape, flat, None)
    if shape is not None and kinds == {int}:
        return Output(name, "INT64", shape, flat, None)
    if shape is not None and kinds and kinds <= {int, float}:
        return Output(name, "FP64", shape, flat, None)
    if shape is not None and kinds and kinds <= {str, bytes}:
        return Output(name, _BYTES, shape, flat, None)
    return Output(name, _BYTES, (len(value),), [bodies.write_json(one).decode() for one in value], None)


def _list_shape(value: Any) -> Optional[Shape]:
    """Lengths of nested lists; None where they are not of one length, or hold what is no plain value."""
    if not isinstance(value, (list, tuple)):
        return () if isinstance(value, (bool, int, float, str, bytes)) or hasattr(value, "dtype") else None
    inner = {_list_shape(one) for one in cast("List[Any]", value)}
    if not inner:
        return (0,)
    shape = inner.pop()
    return (len(cast("List[Any]", value)), *shape) if not inner and shape is not None else None


def write_answer(asked: Asked, model: str, version: int, value: Any) -> Tuple[int, bytes]:
    """(length of the JSON, 0 where it is all; the body). Raises Refusal where an output was asked for that is not
    there."""
    chosen = _chosen(asked, value)
    raws: List[bytes] = []
    outputs: List[Dict[str, Any]] = []
    for output, binary in chosen:
        described: Dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if binary:
            raws.append(_raw(output))
            described["parameters"] = {"binary_data_size": len(raws[-1])}
        else:
            described["data"] = [one.decode("latin-1") if isinstance(one, bytes) else one for one in output.flat]
        outputs.append(described)
    document: Dict[str, Any] = {"model_name": model, "model_version": str(version), "outputs": outputs}
    if asked.id is not None:
        document["id"] = asked.id
    header = bodies.write_json(document)
    return (len(header), b"".join([header, *raws])) if raws else (0, header)


def _chosen(asked: Asked, value: Any) -> List[Tuple[Output, bool]]:
    if not asked.outputs:
        return [(one, asked.binary) for one in outputs_of(value)]
    # A predictor that names nothing has the one output that is asked for, whatever the caller calls it.
    found = {one.name: one for one in outputs_of(value, asked.outputs[0].name)}
    for wanted in asked.outputs:
        if wanted.name not in found:
            there = ", ".join(found)
            raise Refusal(400, "invalid_value", f"cannot answer output {wanted.name}: there is none, but {there}")
    return [(found[wanted.name], wanted.binary) for wanted in asked.outputs]


def _raw(output: Output) -> bytes:
    if output.array is not None:
        array = output.array
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    if output.datatype == _BYTES:
        elements = [one if isinstance(one, bytes) else _encoded(one) for one in output.flat]
        return b"".join(len(one).to_bytes(4, "little") + one for one in elements)
    return struct.pack(f"<{len(output.flat)}{_FORMATS[output.datatype][0]}", *output.flat)


def _encoded(one: Any) -> bytes:
    return one.encode() if isinstance(one, str) else json.dumps(one).encode()
