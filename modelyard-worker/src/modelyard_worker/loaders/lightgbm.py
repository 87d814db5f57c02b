"""LightGBM: boosters saved with `save_model`, a text file whatever it is called.

The answer is what `Booster.predict` gives: probabilities for classifiers, values for regression.
"""

from typing import Any, Optional

from modelyard_worker.loaders import SHARE, Loader, LoadFailed, import_library
from modelyard_worker.loaders.files import describe_file, framework_of


class _Boosted:
    def __init__(self, booster: Any) -> None:
        self.booster = booster
        self.features = int(booster.num_feature())
        self.threads = 1


class LightgbmLoader(Loader):
    name = "lightgbm"
    fork = SHARE
    libraries = ("numpy", "lightgbm")

    def load(self, path: str) -> Any:
        file = self.file(path)
        if framework_of(file) != self.name:
            # The library is not asked: over some files it ends the process.
            raise LoadFailed(f"cannot load {file}: it is {describe_file(file)}, not a LightGBM model; use save_model")
        lightgbm = import_library("lightgbm")
        try:
            # Parameters in the file hold for its training; its threads would be taken here otherwise.
            return _Boosted(lightgbm.Booster(model_file=file))
        except (lightgbm.basic.LightGBMError, ValueError) as error:
            raise LoadFailed(f"cannot load {file}: LightGBM {lightgbm.__version__} says {error}") from error

    def predict(self, model: Any, rows: Any) -> Any:
        return model.booster.predict(rows, num_threads=model.threads)

    def features(self, model: Any) -> Optional[int]:
        return model.features

    def set_threads(self, model: Any, count: int) -> None:
        model.threads = count
