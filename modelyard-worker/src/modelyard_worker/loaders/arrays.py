"""What loaders of array libraries have in common: a model takes arrays by name and answers arrays by name.

One with a single input of rows takes rows, and one with a single output answers it without its name. A model that was
made for a fixed number of rows is given so many at a time.
"""

from typing import Any, Dict, List, Optional, Tuple, cast

from modelyard_worker.loaders import Input, Loader

Arrays = Dict[str, Any]

_FLOATS = frozenset(("float16", "float32", "float64", "bfloat16"))


class Taken:
    """What a model takes."""

    def __init__(self, inputs: Tuple[Input, ...], rows_at_once: Optional[int] = None) -> None:
        self.inputs = inputs
        self.rows_at_once = rows_at_once
        """None is any number."""
        first = inputs[0]
        self.as_rows = len(inputs) == 1 and first.dtype in _FLOATS and first.shape is not None and len(first.shape) == 1
        self.row_dtype = "float32" if first.dtype == "bfloat16" else first.dtype


class ArrayLoader(Loader):
    """A loader whose models have `taken`. It says how they are loaded and called."""

    def call(self, model: Any, given: Arrays) -> Arrays:
        """What the model answers by the names of its outputs."""
        raise NotImplementedError

    def predict(self, model: Any, rows: Any) -> Any:
        """Raises ValueError where the rows do not make whole pieces."""
        taken: Taken = model.taken
        given: Arrays = cast("Arrays", rows) if isinstance(rows, dict) else _as_only_input(rows, taken)
        outputs = self._in_pieces(model, given, taken.rows_at_once)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def features(self, model: Any) -> Optional[int]:
        taken: Taken = model.taken
        shape = taken.inputs[0].shape
        return shape[0] if taken.as_rows and shape else None

    def inputs(self, model: Any) -> Optional[Tuple[Input, ...]]:
        taken: Taken = model.taken
        return None if taken.as_rows else taken.inputs

    def _in_pieces(self, model: Any, given: Arrays, size: Optional[int]) -> Arrays:
        count = len(next(iter(given.values())))
        if size is None or size == count:
            return self.call(model, given)
        if count % size:
            raise ValueError(f"cannot predict {count} rows: the model was made for {size} at a time")
        pieces = [
            self.call(model, {name: array[begin : begin + size] for name, array in given.items()})
            for begin in range(0, count, size)
        ]
        return {name: _joined([piece[name] for piece in pieces]) for name in pieces[0]}


def _as_only_input(rows: Any, taken: Taken) -> Arrays:
    return {taken.inputs[0].name: rows.astype(taken.row_dtype, copy=False)}


def _joined(parts: List[Any]) -> Any:
    import numpy as np

    if hasattr(parts[0], "dtype"):
        return np.concatenate(parts)
    return [one for part in parts for one in part]


def sizes(shape: Any) -> Tuple[Optional[int], ...]:
    """A shape where names and symbols stand for any length."""
    return tuple(size if isinstance(size, int) else None for size in shape)
