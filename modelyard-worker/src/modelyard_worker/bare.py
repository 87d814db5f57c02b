"""A model file without code: requests are rows of numbers, or arrays by name; one call answers a whole batch."""

from typing import Any, Dict, List, Sequence, Tuple

from modelyard_worker import media
from modelyard_worker.frames import END, pack_meta
from modelyard_worker.inputs import read_inputs
from modelyard_worker.loaders import Loader
from modelyard_worker.outputs import choose_outputs, cut_outputs, write_outputs
from modelyard_worker.request import Request
from modelyard_worker.rows import READABLE_TYPES, WRITABLE, choose_written, read_rows, write_rows
from modelyard_worker.schemas import describe_rows
from modelyard_worker.servable import Answer
from modelyard_worker.tensor_descriptions import of_inputs, of_prediction, of_rows


class BareModel:
    """Serves `model` through its loader."""

    batches = True
    asynchronous = False
    wants: Tuple[str, ...] = ()

    def __init__(self, loader: Loader, model: Any) -> None:
        self._loader = loader
        self._model = model
        self._features = loader.features(model)
        self._inputs = loader.inputs(model)
        self._metas: Dict[str, bytes] = {kind: pack_meta({"status": 200, "type": kind}) for kind in WRITABLE}
        self._metas[media.AS_IS] = self._metas[media.JSON]

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        import numpy as np

        asked = requests[0].meta
        kind = choose_written(asked.accept)
        bodies = [request.body for request in requests]
        if self._inputs is None:
            given, counts = read_rows(asked.kind, bodies, self._features)
        else:
            given, counts = read_inputs(asked.kind, bodies, self._inputs)
        predicted: Any = self._loader.predict(self._model, given)
        if predicted.__class__ is dict and asked.accept is media.AS_IS:
            return [(END, self._metas[kind], each) for each in cut_outputs(predicted, counts)]
        if predicted.__class__ is dict:
            kind = choose_outputs(asked.accept)
            return [(END, self._metas[kind], body) for body in write_outputs(kind, predicted, counts)]
        if predicted.__class__ is not np.ndarray:
            predicted = np.asarray(predicted)
        if predicted.shape[:1] != (sum(counts),):
            raise ValueError(f"cannot tell rows apart: {sum(counts)} went in and shape {predicted.shape} came out")
        meta = self._metas[kind]
        return [(END, meta, body) for body in write_rows(kind, predicted, counts)]

    async def open(self) -> None:
        """The model is there: nothing is left to do."""

    async def close(self) -> None:
        """Nothing is to be let go of."""

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return self.predict(requests)

    def describe(self) -> Dict[str, Any]:
        inputs = of_rows(self._features) if self._inputs is None else of_inputs(self._inputs)
        described = describe_rows(self._features, READABLE_TYPES)
        return {**described, "tensors": {"inputs": inputs, "outputs": self._outputs()}}

    def _outputs(self) -> List[Dict[str, Any]]:
        """Nothing says what a model gives but a prediction; a model that refuses a row of zeros is not described."""
        try:
            return of_prediction(self._loader.predict(self._model, self._loader.zeros(self._model)))
        except Exception:  # noqa: BLE001 (the user's model raises what it likes)
            return []

    def probe(self) -> None:
        self._loader.probe(self._model)
