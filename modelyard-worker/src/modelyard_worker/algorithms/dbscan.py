"""DBSCAN: `python -m modelyard_worker.algorithms.dbscan`.

Clusters are what is dense; what lies in none is noise, -1, the anomalies. The model keeps the core points: a new row
belongs to the cluster of the nearest within `eps`, as it would have had it been among the rows that were learned from.
"""

# NumPy's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import sys
from typing import Any, Dict

from modelyard_worker.algorithms.detection import measures
from modelyard_worker.algorithms.hyperparameters import Flag, Hyperparameter, Real, Whole
from modelyard_worker.algorithms.port import Algorithm, Trained, run
from modelyard_worker.algorithms.port import Model as Port
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table


class Dbscan(Algorithm):
    name = "dbscan"
    about = "Clusters of any shape among rows, and the rows that belong to none."
    label_sizes = ("0", "1")
    hyperparameters = (
        Hyperparameter(
            "eps", Real(above=0), None,
            "How near neighbours are; by default where the curve of distances to the `min_samples`-th neighbour bends.",
        ),
        Hyperparameter("min_samples", Whole(1), 5, "Neighbours, itself among them, that make a row a core point."),
        Hyperparameter("normalize_data", Flag(), True, "Whether columns are scaled to a variance of 1 first."),
    )  # fmt: skip

    def train(self, tables: Dict[str, Table], values: Dict[str, Any]) -> Trained:
        import numpy as np
        from sklearn.cluster import DBSCAN

        rows = np.asarray(tables["train"].features, np.float64)
        if np.isnan(rows).any():
            raise BadInput("cannot train: channel train has empty cells; fill them in first")
        mean, scale = np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        if values["normalize_data"]:
            mean, scale = rows.mean(axis=0), rows.std(axis=0)
            scale[scale == 0] = 1.0
        scaled = (rows - mean) / scale
        eps = values["eps"] or _bend(scaled, values["min_samples"])
        found: Any = DBSCAN(eps=eps, min_samples=values["min_samples"]).fit(scaled)
        if not len(found.core_sample_indices_):
            raise BadInput(f"cannot train: no row has {values['min_samples']} neighbours within {eps:g}; raise eps")
        core = found.core_sample_indices_
        arrays = {
            "mean": mean, "scale": scale, "eps": np.array(eps), "core": scaled[core], "cluster": found.labels_[core],
        }  # fmt: skip
        metrics = {"eps": float(eps), "clusters": float(found.labels_.max() + 1)}
        model = Model(arrays)
        for name, table in tables.items():
            noise = model.predict(np.asarray(table.features, np.float64)) < 0
            metrics.update(measures(name, noise.astype(float), 1.0, table.labels))
        return Trained(arrays, metrics)


def _bend(rows: Any, neighbours: int) -> float:
    """The distance where the sorted curve of distances lies farthest below the line between its ends."""
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    count = min(neighbours, len(rows))
    distances: Any = NearestNeighbors(n_neighbors=count).fit(rows).kneighbors(rows)[0][:, -1]
    distances = np.sort(distances)
    line = np.linspace(distances[0], distances[-1], len(distances))
    return float(distances[int(np.argmax(line - distances))]) or 1e-9


class Model(Port):
    def __init__(self, arrays: Dict[str, Any]) -> None:
        from scipy.spatial import KDTree

        self._mean, self._scale, self._eps = arrays["mean"], arrays["scale"], float(arrays["eps"])
        self._cluster = arrays["cluster"]
        self._core: Any = KDTree(arrays["core"])
        self.features = len(self._mean)

    def predict(self, rows: Any) -> Any:
        """The cluster of each row; -1 is noise."""
        import numpy as np

        distance, place = self._core.query((rows - self._mean) / self._scale)
        # A bound of the tree's own leaves out what lies exactly at it.
        near = distance <= self._eps * (1 + 1e-12)
        return np.where(near, self._cluster[np.where(near, place, 0)], -1)


if __name__ == "__main__":
    sys.exit(run(Dbscan()))
