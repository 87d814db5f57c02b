"""BentoML with its adaptive batching: `bentoml serve app:Peer`."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# The library is in the environment of the peer alone, and pyright takes this folder for it.
import os
from pathlib import Path

import bentoml
import numpy as np

from bench.serving.work import BATCH_ROWS_MAX, CASE_VARIABLE, MODELS_VARIABLE, load_work


@bentoml.service(workers=1, traffic={"timeout": 30, "max_concurrency": 1024})
class Peer:
    def __init__(self) -> None:
        self.work = load_work(os.environ[CASE_VARIABLE], Path(os.environ[MODELS_VARIABLE]))

    @bentoml.api(batchable=True, max_batch_size=BATCH_ROWS_MAX, max_latency_ms=1000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.work(rows))
