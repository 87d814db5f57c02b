"""MLServer's runtime for any case: `mlserver start FOLDER`, where the settings name this class."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# The library is in the environment of the peer alone, and pyright takes this folder for it.
import os
from pathlib import Path

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.serving.work import CASE_VARIABLE, MODELS_VARIABLE, load_work


class Peer(MLModel):
    async def load(self) -> bool:
        self.work = load_work(os.environ[CASE_VARIABLE], Path(os.environ[MODELS_VARIABLE]))
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        values = np.asarray(self.work(rows))
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("values", values)])
