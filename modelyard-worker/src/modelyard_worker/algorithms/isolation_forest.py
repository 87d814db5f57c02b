"""Isolation forest: `python -m modelyard_worker.algorithms.isolation_forest`.

Learned by scikit-learn; the model is its trees as arrays, which score as the paper has it (Liu, Ting, Zhou 2008): near
1 is an anomaly, below 0.5 is none. Rows have no labels, or labels (1 is an anomaly) that only measure.
"""

# NumPy's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import sys
from typing import Any, Dict

from modelyard_worker.algorithms.detection import measures
from modelyard_worker.algorithms.hyperparameters import Hyperparameter, Real, Whole
from modelyard_worker.algorithms.port import Algorithm, Trained, run
from modelyard_worker.algorithms.port import Model as Port
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table

_EULER = 0.5772156649015329


class IsolationForest(Algorithm):
    name = "isolation-forest"
    about = "Anomalies among rows: how few random cuts part a row from all others."
    label_sizes = ("0", "1")
    hyperparameters = (
        Hyperparameter("num_trees", Whole(1, 10_000), 100, "How many trees are grown."),
        Hyperparameter("num_samples_per_tree", Whole(2), 256, "How many rows each tree sees."),
        Hyperparameter(
            "contamination", Real(above=0, high=0.5), None,
            "Share of the rows that are taken for anomalies; by default those that score 0.5 or more.",
        ),
        Hyperparameter("seed", Whole(0), 0, "Where random numbers begin."),
    )  # fmt: skip

    def train(self, tables: Dict[str, Table], values: Dict[str, Any]) -> Trained:
        import numpy as np
        from sklearn.ensemble import IsolationForest as Forest

        rows = np.asarray(tables["train"].features, np.float64)
        if np.isnan(rows).any():
            raise BadInput("cannot train: channel train has empty cells; fill them in first")
        samples = min(values["num_samples_per_tree"], len(rows))
        forest: Any = Forest(n_estimators=values["num_trees"], max_samples=samples, random_state=values["seed"])
        forest.fit(rows)
        arrays = {**_trees(forest), "samples": np.array(samples), "columns": np.array(rows.shape[1])}
        scores = Model({**arrays, "threshold": np.array(0.5)}).score(rows)
        share = values["contamination"]
        threshold = 0.5 if share is None else float(np.quantile(scores, 1 - share))
        arrays["threshold"] = np.array(threshold)
        metrics = {"threshold": threshold}
        for name, table in tables.items():
            metrics.update(measures(name, Model(arrays).score(np.asarray(table.features)), threshold, table.labels))
        return Trained(arrays, metrics)


def _trees(forest: Any) -> Dict[str, Any]:
    """All trees after each other; children are places among all nodes, a leaf's are its own."""
    import numpy as np

    features, thresholds, lefts, rights, lengths, roots = [], [], [], [], [], []
    begin = 0
    for estimator in forest.estimators_:
        tree = estimator.tree_
        own = np.arange(tree.node_count) + begin
        leaf = tree.children_left < 0
        features.append(np.where(leaf, 0, tree.feature))
        thresholds.append(tree.threshold)
        lefts.append(np.where(leaf, own, tree.children_left + begin))
        rights.append(np.where(leaf, own, tree.children_right + begin))
        lengths.append(_depths(tree) + _unsplit_length(tree.n_node_samples))
        roots.append(begin)
        begin += tree.node_count
    joined = {"feature": features, "threshold_of_node": thresholds, "left": lefts, "right": rights, "length": lengths}
    return {**{name: np.concatenate(parts) for name, parts in joined.items()}, "root": np.array(roots)}


def _depths(tree: Any) -> Any:
    import numpy as np

    depths = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # a parent comes before its children
        if tree.children_left[node] >= 0:
            depths[tree.children_left[node]] = depths[tree.children_right[node]] = depths[node] + 1
    return depths


def _unsplit_length(count: Any) -> Any:
    """c(n): the mean length of the paths that n rows would still have."""
    import numpy as np

    count = np.asarray(count, np.float64)
    more = np.maximum(count - 1, 1.0)
    return np.select(
        [count <= 1, count <= 2], [0.0, 1.0], 2 * (np.log(more) + _EULER) - 2 * more / np.maximum(count, 1)
    )


class Model(Port):
    def __init__(self, arrays: Dict[str, Any]) -> None:
        self._arrays = arrays
        self._threshold = float(arrays["threshold"])
        self._longest = float(_unsplit_length(arrays["samples"]))
        self.features = int(arrays["columns"])

    def score(self, rows: Any) -> Any:
        import numpy as np

        a = self._arrays
        # The library compares 32-bit floats with its thresholds.
        rows = np.asarray(rows, np.float32)
        total = np.zeros(len(rows))
        numbers = np.arange(len(rows))
        for root in a["root"]:
            node = np.full(len(rows), root)
            while True:
                below = rows[numbers, a["feature"][node]] <= a["threshold_of_node"][node]
                following = np.where(below, a["left"][node], a["right"][node])
                if (following == node).all():
                    break
                node = following
            total += a["length"][node]
        return 2.0 ** (-total / (len(a["root"]) * self._longest))

    def predict(self, rows: Any) -> Any:
        score = self.score(rows)
        return {"score": score, "anomaly": (score >= self._threshold).astype(int)}


if __name__ == "__main__":
    sys.exit(run(IsolationForest()))
