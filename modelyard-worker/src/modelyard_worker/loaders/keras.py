"""Keras 3: whole models saved as `.keras`. The answer is what `predict_on_batch` gives.

Which library computes is what the environment variable KERAS_BACKEND says, else Keras's own choice, TensorFlow; where
that is not installed, the one that is.
"""

import importlib.util
import os
from typing import Any, List, cast

from modelyard_worker.loaders import LOAD_AFTER, Input, LoadFailed, import_library
from modelyard_worker.loaders.arrays import ArrayLoader, Arrays, Taken, sizes
from modelyard_worker.loaders.files import describe_file, framework_of

_BACKENDS = ("tensorflow", "torch", "jax")


class _Model:
    def __init__(self, model: Any) -> None:
        self.model = model
        # A Sequential has no output_names.
        self.names = [str(name) for name in getattr(model, "output_names", None) or ["output"]]
        inputs = tuple(
            Input(str(one.name), "str" if one.dtype == "string" else str(one.dtype), sizes(one.shape[1:]))
            for one in model.inputs
        )
        self.taken = Taken(inputs, model.inputs[0].shape[0])


class KerasLoader(ArrayLoader):
    name = "keras"
    fork = LOAD_AFTER
    # Not imported before: which backend it takes is decided when it is imported, and jax then has threads.
    libraries = ()

    def load(self, path: str) -> Any:
        file = self.file(path)
        if framework_of(file) != self.name:
            raise LoadFailed(
                f'cannot load {file}: it is {describe_file(file)}, not a Keras model; use model.save("model.keras")'
            )
        _choose_backend()
        keras = import_library("keras")
        try:
            return _Model(keras.saving.load_model(file, compile=False))
        except Exception as error:  # a layer's own class, when it is missing, fails in many ways
            reason = " ".join(str(error).split())
            raise LoadFailed(f"cannot load {file}: Keras {keras.__version__} says {reason}") from error

    def call(self, model: Any, given: Arrays) -> Arrays:
        arrays = [given[one.name] for one in model.taken.inputs]
        found: Any = model.model.predict_on_batch(arrays[0] if len(arrays) == 1 else arrays)
        if isinstance(found, dict):
            return cast("Arrays", found)
        outputs = list(cast("List[Any]", found)) if isinstance(found, (list, tuple)) else [found]
        return dict(zip(model.names, outputs))

    def set_threads(self, model: Any, count: int) -> None:  # noqa: ARG002 (the backend has one count for the process)
        if import_library("keras").backend.backend() == "torch":
            import_library("torch").set_num_threads(count)


def _choose_backend() -> None:
    if os.environ.get("KERAS_BACKEND"):
        return
    installed = [name for name in _BACKENDS if importlib.util.find_spec(name) is not None]
    if not installed:
        raise LoadFailed(
            "cannot load: Keras computes with TensorFlow, PyTorch or JAX, and none is installed in this package's "
            "environment; add one to requirements.txt"
        )
    os.environ["KERAS_BACKEND"] = installed[0]
