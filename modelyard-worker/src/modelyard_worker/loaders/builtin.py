"""What the yard's own algorithms learned: arrays in one file, without a pickle (see `algorithms.port`)."""

import importlib
import zipfile
from typing import Any, Optional

from modelyard_worker.algorithms.port import NAME
from modelyard_worker.job_environment import ALGORITHMS
from modelyard_worker.loaders import SHARE, Loader, LoadFailed


class BuiltinLoader(Loader):
    name = "builtin"
    fork = SHARE
    libraries = ("numpy",)

    def load(self, path: str) -> Any:
        import numpy as np

        file = self.file(path)
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise LoadFailed(f"cannot load {file}: {error}") from error
        algorithm = str(arrays.pop(NAME, ""))
        if algorithm not in ALGORITHMS:
            raise LoadFailed(
                f"cannot load {file}: it names the algorithm {algorithm!r}; known are {', '.join(ALGORITHMS)}"
            )
        return importlib.import_module(ALGORITHMS[algorithm]).Model(arrays)

    def predict(self, model: Any, rows: Any) -> Any:
        return model.predict(rows)

    def features(self, model: Any) -> Optional[int]:
        return model.features

    def set_threads(self, model: Any, count: int) -> None:
        """One call is one thread's work."""
