"""TensorFlow: a SavedModel folder with a signature to serve, as `model.export` and TensorFlow Serving have it."""

from typing import Any, Dict

from modelyard_worker.loaders import LOAD_AFTER, Input, LoadFailed, import_library
from modelyard_worker.loaders.arrays import ArrayLoader, Arrays, Taken, sizes
from modelyard_worker.loaders.files import describe_file, framework_of

SIGNATURE = "serving_default"


class _Served:
    def __init__(self, loaded: Any, call: Any) -> None:
        self.loaded = loaded
        """Held, because the signature does not hold the variables."""
        self.call = call
        tensors: Dict[str, Any] = call.structured_input_signature[1]
        self.types = {name: one.dtype for name, one in tensors.items()}
        first = next(iter(tensors.values())).shape
        inputs = tuple(Input(name, _dtype(one), _row_shape(one)) for name, one in tensors.items())
        self.taken = Taken(inputs, first[0] if first.rank else None)


def _dtype(tensor: Any) -> str:
    return "str" if tensor.dtype.name == "string" else str(tensor.dtype.name)


def _row_shape(tensor: Any) -> Any:
    return sizes(tensor.shape.as_list()[1:]) if tensor.shape.rank is not None else None


class TensorflowLoader(ArrayLoader):
    name = "tensorflow"
    fork = LOAD_AFTER
    libraries = ("numpy", "tensorflow")

    def load(self, path: str) -> Any:
        folder = self.file(path)
        if framework_of(folder) != self.name:
            raise LoadFailed(f"cannot load {folder}: it is {describe_file(folder)}, not the folder of a SavedModel")
        tensorflow = import_library("tensorflow")
        try:
            loaded = tensorflow.saved_model.load(folder)
        except Exception as error:  # its errors have no class of their own in common
            reason = " ".join(str(error).split())
            raise LoadFailed(f"cannot load {folder}: TensorFlow {tensorflow.__version__} says {reason}") from error
        call = loaded.signatures.get(SIGNATURE)
        if call is None:
            known = ", ".join(loaded.signatures) or "none"
            raise LoadFailed(
                f"cannot load {folder}: it has no signature {SIGNATURE} (it has {known}); save it with model.export"
            )
        if not call.structured_input_signature[1]:
            raise LoadFailed(f"cannot load {folder}: its signature {SIGNATURE} takes nothing; write a predictor")
        return _Served(loaded, call)

    def call(self, model: Any, given: Arrays) -> Arrays:
        tensorflow = import_library("tensorflow")
        tensors = {name: tensorflow.constant(array, model.types[name]) for name, array in given.items()}
        return {str(name): _plain(one.numpy()) for name, one in model.call(**tensors).items()}

    def set_threads(self, model: Any, count: int) -> None:
        """The library takes its threads when it first computes, in `load`; see `numeric`, which names them for it."""


def _plain(array: Any) -> Any:
    """Text comes as bytes."""
    if array.dtype != object:
        return array
    import numpy as np

    return np.array([one.decode() if isinstance(one, bytes) else one for one in array.ravel()]).reshape(array.shape)
