"""What a servable takes and gives as tensors, for the model metadata of the Open Inference Protocol.

    {"inputs": [{"name", "datatype", "shape"}], "outputs": [the same]}       -1 in a shape is any length

Empty lists say that nothing is known: any tensors are taken, and the predictor decides.
"""

from typing import Any, Dict, List, Optional, Sequence

from modelyard_worker.loaders import Input
from modelyard_worker.tensors import OUTPUT, datatype_of, outputs_of

INPUT = "input"
"""What the one input of a model is called that names none; any other name is taken as well."""

_SCALARS = {"number": "FP64", "integer": "INT64", "boolean": "BOOL", "string": "BYTES"}
"""JSON Schema's types that are one element of a tensor."""


def of_rows(width: Optional[int]) -> List[Dict[str, Any]]:
    return [_described(INPUT, "FP64", [-1, -1 if width is None else width])]


def of_inputs(inputs: Sequence[Input]) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = []
    for one in inputs:
        shape = [-1, *(-1 if size is None else size for size in one.shape or ())]
        found.append(_described(one.name, datatype_of(one.dtype or "float32") or "FP32", shape))
    return found


def of_schema(schema: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Of JSON Schema: the fields of an object, or rows."""
    if schema.get("type") == "array":
        return of_rows(None)
    properties: Dict[str, Any] = schema.get("properties") or {}
    known = {name: _SCALARS.get(str(one.get("type"))) for name, one in properties.items()}
    if not known or None in known.values():
        return []
    return [_described(name, str(datatype), [1]) for name, datatype in known.items()]


def of_prediction(value: Any) -> List[Dict[str, Any]]:
    """Of what a model predicted for one row."""
    return [_described(one.name, one.datatype, [-1, *one.shape[1:]]) for one in outputs_of(value, OUTPUT)]


def _described(name: str, datatype: str, shape: List[int]) -> Dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}
