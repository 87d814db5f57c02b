"""Which values of a series are anomalies: how far each is from its half year, and DBSCAN calls noise what is far from
what most are."""

# scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from typing import Any

import numpy as np
from sklearn.cluster import DBSCAN


class Predictor:
    def __init__(self, config: dict[str, Any]) -> None:
        self.weeks = int(config["weeks"])
        self.min_samples = int(config["min_samples"])
        self.reach = float(config["reach"])

    def predict(self, payload: list[float]) -> list[bool]:
        """One truth value for each value of the series."""
        values = np.asarray(payload, dtype=float)
        distances = values - self.levels(values)
        spread = float(np.median(np.abs(distances - np.median(distances)))) or 1.0
        cluster = DBSCAN(eps=self.reach * spread, min_samples=self.min_samples)
        return [bool(label == -1) for label in cluster.fit_predict(distances.reshape(-1, 1))]

    def levels(self, values: np.ndarray) -> np.ndarray:
        """The median of the weeks around each value; at the ends of the series, of its mirror image too."""
        side = min(self.weeks // 2, len(values) - 1)
        padded = np.pad(values, side, mode="reflect")
        return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * side + 1), axis=1)
