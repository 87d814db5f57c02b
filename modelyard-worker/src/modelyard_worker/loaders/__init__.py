"""How a model file of a known framework becomes something that predicts: a loader per framework.

What each declares about forking is proved by the suite in tests/contract/worker: load, fork, predict with one thread
and with two, within a limit. Frameworks are imported inside functions only, so that knowing the loaders costs nothing.
"""

from typing import Any, Dict, List, Optional, Tuple

SHARE = "share"
"""A template may load the model; replicas forked from it share its memory."""
LOAD_AFTER = "load_after"
"""The library may be imported before a fork, but the model must be loaded after it."""
NEVER = "never"
"""Not even the library may be imported before a fork: fresh processes only."""


class LoadFailed(Exception):  # noqa: N818 (reads as what happened, like the rest of the project's tree)
    """A model cannot be loaded; the message names the file and what it is, and ends with the remedy."""


class Loader:
    """The port. A model is whatever `load` returned; rows are a float64 array (rows, values)."""

    name: str
    """What a package's `model.framework` says."""
    fork: str
    """SHARE, LOAD_AFTER or NEVER."""
    libraries: Tuple[str, ...]
    """What a template imports before it forks for such a model."""

    def recognise(self, path: str) -> bool:
        """Whether the file, or the folder's only file, looks like this framework's. Does not load it."""
        raise NotImplementedError

    def load(self, path: str) -> Any:
        """Raises LoadFailed where the file is something else."""
        raise NotImplementedError

    def predict(self, model: Any, rows: Any) -> Any:
        """An array with one value, or one row of values, for each row."""
        raise NotImplementedError

    def features(self, model: Any) -> Optional[int]:
        """How many values a row must have; None where the model does not say."""
        raise NotImplementedError

    def set_threads(self, model: Any, count: int) -> None:
        """Lets one call of `predict` use so many threads. Called after the fork."""
        raise NotImplementedError

    def probe(self, model: Any) -> None:
        """Predicts one row of zeros where the model says how long a row is. Raises whatever the model raises."""
        import numpy as np

        features = self.features(model)
        if features is not None:
            self.predict(model, np.zeros((1, features)))


def loaders() -> Dict[str, Loader]:
    """Every loader by its name."""
    from modelyard_worker.loaders.sklearn import SklearnLoader
    from modelyard_worker.loaders.xgboost import XgboostLoader

    known: List[Loader] = [XgboostLoader(), SklearnLoader()]
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
