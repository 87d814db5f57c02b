"""How badly each beat comes back, and whether that is over the threshold which training chose."""

# scikit-learn's and joblib's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path
from typing import Any

import joblib
import numpy as np


class Predictor:
    def __init__(self, config: dict[str, Any], model_dir: str) -> None:  # noqa: ARG002 (what every predictor is given)
        loaded = joblib.load(Path(model_dir) / "beats.joblib")
        self.network, self.threshold = loaded["network"], loaded["threshold"]

    def predict(self, payload: np.ndarray) -> list[list[float]]:
        scores = np.mean((self.network.predict(payload) - payload) ** 2, axis=1)
        return [[float(score), float(score > self.threshold)] for score in scores]
