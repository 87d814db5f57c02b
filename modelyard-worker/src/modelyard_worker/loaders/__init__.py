"""How a model file of a known framework becomes something that predicts: a loader per framework.

What each declares about forking is proved by the suites in tests/contract/worker and tests/guests: load, fork, predict
with one thread and with two, within a limit. Frameworks are imported inside functions only, so that knowing the loaders
costs nothing.
"""

import importlib
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from modelyard_worker.loaders.files import framework_of, model_file

SHARE = "share"
"""A template may load the model; replicas forked from it share its memory."""
LOAD_AFTER = "load_after"
"""The library may be imported before a fork, but the model must be loaded after it."""
NEVER = "never"
"""Not even the library may be imported before a fork: fresh processes only."""


class LoadFailed(Exception):  # noqa: N818 (reads as what happened, like the rest of the project's tree)
    """A model cannot be loaded; the message names the file and what it is, and ends with the remedy."""


class Input(NamedTuple):
    """One of the arrays that a model takes where it takes more than rows of numbers. The first axis is the rows'."""

    name: str
    dtype: str
    """NumPy's name of a number's type, or `str`; empty takes float32, and from NPY what it holds."""
    shape: Optional[Tuple[Optional[int], ...]]
    """Of one row: () is one value a row, None in it any length. None as a whole is not known."""

    @property
    def numeric(self) -> bool:
        return self.dtype != "str"

    @property
    def row_shape(self) -> Optional[Tuple[int, ...]]:
        """The shape where every length of it is known."""
        if self.shape is None:
            return None
        known = tuple(size for size in self.shape if size is not None)
        return known if len(known) == len(self.shape) else None


class Loader:
    """The port. A model is whatever `load` returned; rows are a float64 array (rows, values)."""

    name: str
    """What a package's `model.framework` says."""
    fork: str
    """SHARE, LOAD_AFTER or NEVER."""
    libraries: Tuple[str, ...]
    """What a template imports before it forks for such a model."""

    def recognise(self, path: str) -> bool:
        """Whether the file, or the folder, looks like this framework's. Does not load it."""
        try:
            return framework_of(model_file(path)) == self.name
        except FileNotFoundError:
            return False

    def load(self, path: str) -> Any:
        """Raises LoadFailed where the file is something else."""
        raise NotImplementedError

    def predict(self, model: Any, rows: Any) -> Any:
        """An array with one value, or one row of values, for each row; or several by the names of the model's outputs.

        `rows` is a dict of arrays by name where `inputs` names any.
        """
        raise NotImplementedError

    def features(self, model: Any) -> Optional[int]:
        """How many values a row must have; None where the model does not say."""
        raise NotImplementedError

    def inputs(self, model: Any) -> Optional[Tuple[Input, ...]]:  # noqa: ARG002 (for those that have any)
        """What the model takes by name, in order; None where it takes rows of numbers."""
        return None

    def set_threads(self, model: Any, count: int) -> None:
        """Lets one call of `predict` use so many threads. Called after the fork."""
        raise NotImplementedError

    def probe(self, model: Any) -> None:
        """Predicts one row of zeros where the model says what a row is. Raises whatever the model raises."""
        zeros = self.zeros(model)
        if zeros is not None:
            self.predict(model, zeros)

    def rehearse(self) -> None:
        """Runs in a template, once, what the first prediction of every replica would run: the interpreter writes into
        code that it runs for the first time, and what was written before the fork is shared. Must leave no thread."""

    def zeros(self, model: Any) -> Optional[Any]:
        """One row of zeros, as `predict` takes it; None where the model does not say what a row is."""
        import numpy as np

        inputs = self.inputs(model)
        if inputs is not None:
            if not all(one.numeric and one.row_shape is not None for one in inputs):
                return None
            return {one.name: np.zeros((1, *(one.row_shape or ())), one.dtype or "float32") for one in inputs}
        features = self.features(model)
        return np.zeros((1, features)) if features is not None else None

    def file(self, path: str) -> str:
        """The model's file, or its folder. Raises LoadFailed where it is not there, or is another framework's."""
        try:
            file = model_file(path)
        except FileNotFoundError as error:
            raise LoadFailed(str(error)) from error
        other = framework_of(file)
        if other is not None and other != self.name:
            raise LoadFailed(
                f"cannot load {file}: {os.path.basename(file)} is {FRAMEWORKS[other]}; "
                f"it does not load as {self.name}, but as {other}"
            )
        return file


FRAMEWORKS = {
    "builtin": "a model of an algorithm that is built in",
    "catboost": "a CatBoost model",
    "keras": "a Keras model",
    "lightgbm": "a LightGBM model",
    "mlflow": "an MLflow model",
    "onnx": "an ONNX model",
    "pytorch": "a PyTorch file",
    "skops": "a skops file",
    "tensorflow": "a TensorFlow SavedModel",
    "xgboost": "an XGBoost model",
}
"""What is recognised by its content, in words. Pickles are not: any library's objects may be in them."""


def import_library(name: str, distribution: Optional[str] = None) -> Any:
    """The module. Raises LoadFailed where the library is not installed; `distribution` is its name in requirements."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        top = name.partition(".")[0]
        if error.name not in (name, top):
            raise
        raise LoadFailed(
            f"cannot load: library {distribution or top} is not installed in this package's environment; "
            "add it to requirements.txt"
        ) from error


def loaders() -> Dict[str, Loader]:
    """Every loader by its name."""
    from modelyard_worker.loaders.builtin import BuiltinLoader
    from modelyard_worker.loaders.catboost import CatboostLoader
    from modelyard_worker.loaders.keras import KerasLoader
    from modelyard_worker.loaders.lightgbm import LightgbmLoader
    from modelyard_worker.loaders.mlflow import MlflowLoader
    from modelyard_worker.loaders.onnx import OnnxLoader
    from modelyard_worker.loaders.pytorch import PytorchLoader
    from modelyard_worker.loaders.sklearn import SklearnLoader
    from modelyard_worker.loaders.skops import SkopsLoader
    from modelyard_worker.loaders.tensorflow import TensorflowLoader
    from modelyard_worker.loaders.xgboost import XgboostLoader

    known: List[Loader] = [
        XgboostLoader(),
        LightgbmLoader(),
        CatboostLoader(),
        OnnxLoader(),
        PytorchLoader(),
        KerasLoader(),
        TensorflowLoader(),
        MlflowLoader(),
        SkopsLoader(),
        BuiltinLoader(),
        SklearnLoader(),
    ]
    return {one.name: one for one in known}


def loader_named(name: str) -> Loader:
    """Raises LoadFailed where there is no such loader."""
    known = loaders()
    if name not in known:
        raise LoadFailed(
            f"cannot load a model of framework {name!r}: known are {', '.join(sorted(known))}; "
            "write a predictor class that loads it"
        )
    return known[name]


def loader_for(path: str) -> Loader:
    """The loader that recognises the file. Raises LoadFailed where none does."""
    from modelyard_worker.loaders.files import describe_file

    found = next((one for one in loaders().values() if one.recognise(path)), None)
    if found is None:
        raise LoadFailed(f"cannot load {path}: it is {describe_file(path)}; write a predictor class that loads it")
    return found
