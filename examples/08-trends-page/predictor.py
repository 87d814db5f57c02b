"""Which values of a series are anomalies: DBSCAN calls noise what is far from everything else."""

from typing import Any

import numpy as np
from sklearn.cluster import DBSCAN


class Predictor:
    def __init__(self, config: dict[str, Any]) -> None:
        self.min_samples = int(config["min_samples"])

    def predict(self, payload: list[float]) -> list[bool]:
        """One truth value for each value of the series."""
        values = np.asarray(payload, dtype=float)
        spread = float(np.median(np.abs(values - np.median(values)))) or 1.0
        cluster: Any = DBSCAN(eps=1.5 * spread, min_samples=self.min_samples)
        labels: Any = cluster.fit_predict(values.reshape(-1, 1))
        return [bool(one == -1) for one in labels]
