"""XGBoost: boosters saved with `save_model`, as UBJSON, JSON or, where the library still reads it, the old binary form.

The answer is what the library's own `Booster.predict` gives: probabilities for `binary:logistic` and `multi:softprob`,
classes for `multi:softmax`, values for regression; also for a file that `XGBClassifier.save_model` wrote, because the
file does not say which classes there were. Where training stopped early, the trees up to the best iteration count, as
in XGBoost's scikit-learn classes and in SageMaker's container.
"""

import json
import os
from typing import Any, NamedTuple, Optional, Tuple

from modelyard_worker.loaders import SHARE, Loader, LoadFailed, import_library
from modelyard_worker.loaders.files import describe_file, head, model_file

_OLD_BINARY = b"binf"
_COMPARED_ROWS = 16


class _Boosted(NamedTuple):
    booster: Any
    iterations: Tuple[int, int]
    """Trees that count; (0, 0) is all."""
    features: int
    in_place: bool
    """Whether the quicker call answers for this booster exactly as `predict` does."""


class XgboostLoader(Loader):
    name = "xgboost"
    fork = SHARE
    libraries = ("numpy", "xgboost")

    def recognise(self, path: str) -> bool:
        try:
            file = model_file(path)
        except FileNotFoundError:
            return False
        begins = head(file)
        return begins.startswith((b"{L", _OLD_BINARY)) or (begins.lstrip().startswith(b"{") and b'"learner"' in begins)

    def load(self, path: str) -> Any:
        file = self.file(path)
        xgboost = import_library("xgboost")
        if not _may_be_a_model(file):
            raise LoadFailed(_refusal(file, "", xgboost.__version__))
        booster: Any = xgboost.Booster({"nthread": 1})
        try:
            # The bytes, not the path: the library tells formats apart by file names, and SageMaker's has no ending.
            with open(file, "rb") as opened:
                booster.load_model(bytearray(opened.read()))
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise LoadFailed(_refusal(file, str(error), xgboost.__version__)) from error
        best = booster.attr("best_iteration")
        iterations = (0, int(best) + 1) if best is not None else (0, 0)
        features = int(booster.num_features())
        return _Boosted(booster, iterations, features, _same_in_place(booster, iterations, features))

    def predict(self, model: Any, rows: Any) -> Any:
        if model.in_place:
            return model.booster.inplace_predict(rows, iteration_range=model.iterations)
        return _predict_whole(model.booster, model.iterations, rows)

    def features(self, model: Any) -> Optional[int]:
        return model.features

    def set_threads(self, model: Any, count: int) -> None:
        model.booster.set_param({"nthread": count})


def _may_be_a_model(file: str) -> bool:
    """Whether the library may be asked: it ends the process over some files that are not models."""
    begins = head(file)
    if begins.startswith((b"{", _OLD_BINARY)):
        return True
    # Models of its first versions begin with numbers, like nothing that is known here.
    return describe_file(file).startswith("a file that begins with")


def _refusal(file: str, reason: str, version: str) -> str:
    begins = head(file)
    if begins.startswith(_OLD_BINARY) or ("binary" in reason and "deprecated" in reason):
        return (
            f"cannot load {file}: it is in XGBoost's old binary format, which XGBoost {version} does not read; "
            "load it with the version that wrote it and save it as .ubj"
        )
    if begins.startswith((b"{L", b"{")):
        lines = reason.strip().splitlines()
        return f"cannot load {file}: XGBoost {version} says {lines[-1] if lines else 'nothing'}"
    return (
        f"cannot load {file}: it is {describe_file(file)}, not an XGBoost model; save one with save_model, "
        f"or name the framework that wrote {os.path.basename(file)}"
    )


def _predict_whole(booster: Any, iterations: Tuple[int, int], rows: Any) -> Any:
    import xgboost

    # Rows arrive without names, also where the booster was trained with them.
    return booster.predict(xgboost.DMatrix(rows, nthread=1), iteration_range=iterations, validate_features=False)


def _same_in_place(booster: Any, iterations: Tuple[int, int], features: int) -> bool:
    """Whether the quicker call gives the same bits. Linear boosters refuse it, and DART adds its trees up otherwise."""
    import numpy as np

    if json.loads(booster.save_config())["learner"]["gradient_booster"]["name"] != "gbtree":
        return False
    rows = np.random.default_rng(0).normal(size=(_COMPARED_ROWS, features))
    rows[0] = np.nan
    expected = _predict_whole(booster, iterations, rows)
    try:
        found = booster.inplace_predict(rows, iteration_range=iterations)
    except (ValueError, NotImplementedError):  # XGBoostError is a ValueError
        return False
    return found.shape == expected.shape and bool(np.array_equal(found, expected, equal_nan=True))
