"""What `mlflow.pyfunc` loads a model of the yard with: the loader that serves it, so both predict alike.

MLflow finds this module in the model's own `code/` folder, wherever the model was downloaded to, and calls
`_load_pyfunc` with the folder that has the files.
"""

from typing import Any, cast

from modelyard_worker.loaders import Loader, loader_for


class YardModel:
    """A model with MLflow's `predict(data)`."""

    def __init__(self, loader: Loader, model: Any) -> None:
        self._loader = loader
        self._model = model

    def predict(self, data: Any, params: Any = None) -> Any:  # noqa: ARG002 (MLflow hands it to each)
        """Rows of numbers, as an array, a table or lists; arrays by name where the model takes several."""
        import numpy as np

        inputs = self._loader.inputs(self._model)
        if inputs is not None:
            rows: Any = cast("Any", data) if isinstance(data, dict) else {inputs[0].name: np.asarray(data)}
        else:
            rows = np.asarray(data)
        return self._loader.predict(self._model, rows)

    def get_raw_model(self) -> Any:
        return self._model


def _load_pyfunc(data_path: str) -> YardModel:  # pyright: ignore[reportUnusedFunction] (MLflow calls it by this name)
    loader = loader_for(data_path)
    return YardModel(loader, loader.load(data_path))
