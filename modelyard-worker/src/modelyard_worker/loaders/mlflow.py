"""MLflow: a model folder with its `MLmodel` file.

With MLflow installed, `mlflow.pyfunc` loads it, and its signature says what it takes: columns by name, or arrays.
Without, the model's own file is loaded where its flavor is one that is known here - unless MLflow would have answered
something else: a wrapper class's labels where the file itself gives probabilities.
"""

import importlib.util
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, cast

from modelyard_worker.loaders import LOAD_AFTER, Input, Loader, LoadFailed, import_library, loader_named
from modelyard_worker.loaders.files import MLMODEL, describe_file, framework_of

MLMODEL_BYTES_MAX = 2**20
_FLAVORS = {
    "xgboost": ("xgboost", "data"),
    "lightgbm": ("lightgbm", "data"),
    "catboost": ("catboost", "data"),
    "onnx": ("onnx", "data"),
    "sklearn": ("sklearn", "pickled_model"),
}
"""Flavor -> loader, and the flavor's key with the path of its file."""

_COLUMN_TYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "str",
}


class _Pyfunc:
    """A model as MLflow loads it."""

    def __init__(self, model: Any, folder: str) -> None:
        self.model = model
        self.columns = False
        self.inputs: Optional[Tuple[Input, ...]] = None
        schema: Any = model.metadata.get_input_schema()
        if schema is None:
            return
        self.columns = not schema.is_tensor_spec()
        if not self.columns:
            self.inputs = tuple(
                Input(one.name or f"input_{place}", _dtype(one.type), tuple(_size(size) for size in one.shape[1:]))
                for place, one in enumerate(schema.inputs)
            )
            return
        unknown = [
            str(one.name) for one in schema.inputs if str(getattr(one.type, "name", "")).lower() not in _COLUMN_TYPES
        ]
        if unknown:
            raise LoadFailed(
                f"cannot load {folder}: its columns {', '.join(unknown)} are neither numbers nor texts; "
                "write a predictor that loads it with mlflow.pyfunc.load_model"
            )
        if schema.has_input_names():
            self.inputs = tuple(Input(str(one.name), _COLUMN_TYPES[one.type.name.lower()], ()) for one in schema.inputs)


class _Delegated(NamedTuple):
    """A model that one of the other loaders loaded."""

    loader: Loader
    model: Any


def _size(size: int) -> Optional[int]:
    return None if size < 0 else int(size)


def _dtype(kind: Any) -> str:
    return "str" if kind.kind in "USO" else str(kind)


class MlflowLoader(Loader):
    name = "mlflow"
    fork = LOAD_AFTER
    # Not imported before: whatever the model is made of comes with it, and may start threads.
    libraries = ()

    def load(self, path: str) -> Any:
        folder = self.file(path)
        if framework_of(folder) != self.name:
            raise LoadFailed(f"cannot load {folder}: it is {describe_file(folder)}, not an MLflow model's folder")
        if importlib.util.find_spec("mlflow") is None:
            return _load_own_file(folder)
        pyfunc = import_library("mlflow.pyfunc", "mlflow")
        try:
            return _Pyfunc(pyfunc.load_model(folder), folder)
        except LoadFailed:
            raise
        except ModuleNotFoundError as error:
            raise LoadFailed(
                f"cannot load: library {error.name} is not installed in this package's environment; "
                "add it to requirements.txt"
            ) from error
        except Exception as error:  # a flavor's loader raises what its library raises
            reason = " ".join(str(error).split())
            raise LoadFailed(f"cannot load {folder}: MLflow says {type(error).__name__}: {reason}") from error

    def predict(self, model: Any, rows: Any) -> Any:
        if isinstance(model, _Delegated):
            return model.loader.predict(model.model, rows)
        if isinstance(rows, dict):
            columns = cast("Dict[str, Any]", rows)
            rows = _table(columns) if model.columns else _single(columns)
        return _plain(model.model.predict(rows))

    def features(self, model: Any) -> Optional[int]:
        if isinstance(model, _Delegated):
            return model.loader.features(model.model)
        schema: Any = model.model.metadata.get_input_schema()
        return len(schema.inputs) if schema is not None and model.columns else None

    def inputs(self, model: Any) -> Optional[Tuple[Input, ...]]:
        return model.loader.inputs(model.model) if isinstance(model, _Delegated) else model.inputs

    def set_threads(self, model: Any, count: int) -> None:
        # A flavor's own library is behind MLflow's wall; it keeps to the limits in the environment.
        if isinstance(model, _Delegated):
            model.loader.set_threads(model.model, count)


def _table(columns: Dict[str, Any]) -> Any:
    return import_library("pandas").DataFrame(columns)


def _single(arrays: Dict[str, Any]) -> Any:
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _plain(found: Any) -> Any:
    """A table of several columns becomes outputs by name."""
    kind = type(found).__name__
    if kind == "DataFrame":
        return {str(name): found[name].to_numpy() for name in found.columns}
    return found.to_numpy() if kind == "Series" else found


# Without MLflow


def _load_own_file(folder: str) -> _Delegated:
    flavors = read_flavors(os.path.join(folder, MLMODEL))
    for flavor, (framework, key) in _FLAVORS.items():
        found = flavors.get(flavor)
        if found is None or key not in found or "sklearn" in found.get("model_class", ""):
            continue
        loader = loader_named("skops" if found.get("serialization_format") == "skops" else framework)
        return _Delegated(loader, loader.load(os.path.join(folder, *found[key].split("/"))))
    raise LoadFailed(
        "cannot load: library mlflow is not installed in this package's environment; add it to requirements.txt "
        f"(the model's flavors are {', '.join(flavors) or 'none'})"
    )


def read_flavors(file: str) -> Dict[str, Dict[str, str]]:
    """What an MLmodel file says of each flavor: its plain values by key. The file is YAML as MLflow writes it.

    Raises LoadFailed where it cannot be read.
    """
    try:
        with open(file, encoding="utf-8") as opened:
            lines: List[str] = opened.read(MLMODEL_BYTES_MAX).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LoadFailed(f"cannot load {file}: {error}") from error
    flavors: Dict[str, Dict[str, str]] = {}
    inside, flavor = False, ""
    for line in lines:
        if re.match(r"\S", line):
            inside = line.rstrip() == "flavors:"
            continue
        found = re.fullmatch(r"( +)([\w.-]+):(?: (.*))?", line) if inside else None
        if found is None:
            continue
        depth, key, value = len(found[1]), found[2], (found[3] or "").strip().strip("'\"")
        if depth == 2:
            flavor = key
            flavors[flavor] = {}
        elif depth == 4 and flavor and value:
            flavors[flavor][key] = value
    return flavors
