"""scikit-learn, and whatever else predicts rows and was saved with joblib or pickle: any object with `predict`."""

import inspect
import pickle
import sys
import warnings
from typing import Any, Optional, cast

from modelyard_worker.loaders import SHARE, Loader, LoadFailed
from modelyard_worker.loaders.files import COMPRESSED, PICKLES, describe_file, model_file

_SEARCHED_BYTES = 2**20
"""How much of a file is searched for joblib's name."""

REHEARSALS = 12
"""After so many runs the interpreter has done with adapting code to what it is used for (PEP 659)."""


class SklearnLoader(Loader):
    name = "sklearn"
    fork = SHARE
    libraries = ("numpy", "sklearn.ensemble", "joblib")

    def recognise(self, path: str) -> bool:
        try:
            return describe_file(model_file(path)) in PICKLES
        except FileNotFoundError:
            return False

    def load(self, path: str) -> Any:
        file = self.file(path)
        print(f"loading {file}: {_named(file)} runs the code that it names, as this user", flush=True)
        try:
            model = _unpickle(file)
        except ModuleNotFoundError as error:
            raise LoadFailed(
                f"cannot load {file}: it needs the module {error.name}, which is not installed; "
                "add it to the requirements"
            ) from error
        except Exception as error:  # a file that is no pickle fails in whatever way its bytes lead to
            kind = describe_file(file)
            reason = f"unpickling it fails with {type(error).__name__}: {error}" if kind in PICKLES else f"it is {kind}"
            raise LoadFailed(f"cannot load {file} as a scikit-learn model: {reason}") from error
        return check_predicts(file, model)

    def predict(self, model: Any, rows: Any) -> Any:
        return model.predict(rows)

    def features(self, model: Any) -> Optional[int]:
        try:
            found = getattr(model, "n_features_in_", None)
        except Exception:  # noqa: BLE001 (a property of the user's class, which may raise anything)
            return None
        return int(found) if found is not None else None

    def set_threads(self, model: Any, count: int) -> None:
        # Estimators that were saved with n_jobs=-1 would take every core of the machine for each small batch.
        parameters = getattr(model, "get_params", None)
        if not callable(parameters):
            return
        found = cast("dict[str, Any]", parameters(deep=True))
        wanted = {name: count for name in found if name.rpartition("__")[2] == "n_jobs" and found[name] != count}
        if wanted:
            model.set_params(**wanted)

    def rehearse(self) -> None:
        import io

        import joblib
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        model: Any = LogisticRegression()
        model.coef_, model.intercept_ = np.zeros((2, 2)), np.zeros(2)
        model.classes_, model.n_features_in_ = np.arange(2), 2
        for _ in range(REHEARSALS):
            written = io.BytesIO()
            cast("Any", joblib).dump(model, written)
            written.seek(0)
            again = cast("Any", joblib).load(written)
            self.set_threads(again, 1)
            self.predict(again, np.zeros((1, 2)))

    def probe(self, model: Any) -> None:
        try:
            super().probe(model)
        except (ValueError, TypeError) as error:
            # A pipeline may rightly refuse a row of zeros (unknown categories): that it could say so is proof enough.
            print(f"the model refuses a row of zeros: {error}", file=sys.stderr)


def check_predicts(file: str, model: Any) -> Any:
    """The model itself. Raises LoadFailed where it is an object that does not predict."""
    if not callable(getattr(model, "predict", None)) or inspect.isclass(model):
        held = type(cast("object", model))
        raise LoadFailed(
            f"cannot load {file}: it holds an object of type {held.__module__}.{held.__qualname__}, which has no "
            "predict method; save the fitted estimator"
        )
    return model


def _named(file: str) -> str:
    """What the log calls it. Arrays make the difference: joblib writes them beside the pickle's own stream."""
    if describe_file(file) == COMPRESSED:
        return "a compressed joblib file, which is a pickle,"
    try:
        with open(file, "rb") as opened:
            begins = opened.read(_SEARCHED_BYTES)
    except OSError:
        begins = b""
    return "a joblib file, which is a pickle," if b"joblib.numpy_pickle" in begins else "a pickle"


def _unpickle(file: str) -> Any:
    # The rows that arrive have no column names; saying so at every prediction would help nobody.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    try:
        import joblib
    except ImportError:
        with open(file, "rb") as opened:
            return pickle.load(opened)  # noqa: S301 (the model is the user's own code, and the log says so)
    return cast("Any", joblib).load(file)
