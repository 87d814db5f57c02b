"""Linear and logistic regression: `python -m modelyard_worker.algorithms.linear_learner`.

Names of hyperparameters are those of SageMaker's linear learner where it has them. Columns are scaled for learning and
the scaling is folded into the weights, so that the model is one matrix; a missing value counts as the column's mean.
"""

# NumPy's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import sys
from typing import Any, Dict

from modelyard_worker.algorithms.hyperparameters import Choice, Flag, Hyperparameter, Real, Whole
from modelyard_worker.algorithms.port import Algorithm, Trained, labels_of, run
from modelyard_worker.algorithms.port import Model as Port
from modelyard_worker.algorithms.refusal import BadInput
from modelyard_worker.algorithms.tables import Table

REGRESSOR, BINARY, MULTICLASS = "regressor", "binary_classifier", "multiclass_classifier"


class LinearLearner(Algorithm):
    name = "linear-learner"
    about = "Linear regression, and logistic regression for two or more classes."
    hyperparameters = (
        Hyperparameter("predictor_type", Choice(REGRESSOR, BINARY, MULTICLASS), REGRESSOR, "What is learned."),
        Hyperparameter("num_classes", Whole(2), None, "How many classes there are; by default as many as are seen."),
        Hyperparameter("l1", Real(0), 0.0, "Weight of the L1 penalty on the mean loss."),
        Hyperparameter("wd", Real(0), 1e-4, "Weight of the L2 penalty (weight decay) on the mean loss."),
        Hyperparameter("epochs", Whole(1), 1000, "Most iterations of the solver."),
        Hyperparameter("normalize_data", Flag(), True, "Whether columns are scaled to a variance of 1 for learning."),
        Hyperparameter("binary_classifier_threshold", Real(0, 1), 0.5, "Score from which the label is 1."),
        Hyperparameter("seed", Whole(0), 0, "Where random numbers begin, for solvers that use any."),
    )

    def train(self, tables: Dict[str, Table], values: Dict[str, Any]) -> Trained:
        import numpy as np

        features = np.asarray(tables["train"].features, np.float64)
        labels = _checked(tables, values)
        mean = np.nan_to_num(np.nanmean(np.where(np.isnan(features).all(0), 0.0, features), axis=0))
        filled = np.where(np.isnan(features), mean, features)
        scale = filled.std(axis=0) if values["normalize_data"] else np.ones(len(mean))
        scale[scale == 0] = 1.0
        weights, bias = _solve((filled - mean) / scale, labels, tables["train"].weights, values)
        weights = weights / scale
        arrays = {
            "predictor_type": np.array(values["predictor_type"]),
            "weights": weights,
            "bias": bias - weights @ mean,
            "mean": mean,
            "threshold": np.array(values["binary_classifier_threshold"]),
        }
        model = Model(arrays)
        return Trained(arrays, {k: v for name, table in tables.items() for k, v in _measure(model, name, table)})


def _checked(tables: Dict[str, Table], values: Dict[str, Any]) -> Any:
    labels = {name: labels_of(table, name) for name, table in tables.items()}
    if values["predictor_type"] == REGRESSOR:
        return labels["train"]
    classes = 2 if values["predictor_type"] == BINARY else values["num_classes"] or int(labels["train"].max()) + 1
    for name, ones in labels.items():
        if (ones % 1).any() or ones.min() < 0 or ones.max() >= classes:
            raise BadInput(
                f"cannot train: {values['predictor_type']} needs whole labels from 0 to {classes - 1}, and channel "
                f"{name} has labels from {ones.min():g} to {ones.max():g}"
            )
    if len(set(labels["train"])) < 2:
        raise BadInput("cannot train: all labels of channel train are the same")
    return labels["train"]


def _solve(features: Any, labels: Any, sample_weights: Any, values: Dict[str, Any]) -> Any:
    """Weights (outputs, columns) and biases (outputs,)."""
    import numpy as np
    from sklearn.linear_model import ElasticNet, Ridge

    l1, wd, count = values["l1"], values["wd"], len(labels)
    if values["predictor_type"] != REGRESSOR:
        return _solve_classes(features, labels, sample_weights, values)
    if l1 == 0:
        found: Any = Ridge(alpha=wd * count).fit(features, labels, sample_weight=sample_weights)
    else:
        # The library's loss is half the mean square, so both penalties count half here too.
        total = l1 / 2 + wd
        solver = ElasticNet(
            alpha=total, l1_ratio=(l1 / 2) / total, max_iter=values["epochs"], random_state=values["seed"]
        )
        found = solver.fit(features, labels, sample_weight=sample_weights)
    return np.atleast_2d(found.coef_), np.atleast_1d(found.intercept_)


def _solve_classes(features: Any, labels: Any, sample_weights: Any, values: Dict[str, Any]) -> Any:
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    total = values["l1"] + values["wd"]
    regression: Any = LogisticRegression(
        C=1 / (total * len(labels)) if total else np.inf,
        l1_ratio=values["l1"] / total if total else 0.0,
        solver="saga" if values["l1"] else "lbfgs",
        max_iter=values["epochs"],
        random_state=values["seed"],
    )
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        regression.fit(features, labels, sample_weight=sample_weights)
    if any(issubclass(one.category, ConvergenceWarning) for one in told):
        print(f"note: not converged after {values['epochs']} epochs", flush=True)
    if values["predictor_type"] == BINARY:
        return regression.coef_, regression.intercept_
    # Two classes have one row of weights in the library, and classes that were not seen have none.
    count = values["num_classes"] or int(labels.max()) + 1
    weights, bias = np.zeros((count, features.shape[1])), np.full(count, -np.inf)
    seen = regression.classes_.astype(int)
    if len(seen) == 2:
        weights[seen[0]], weights[seen[1]] = -regression.coef_[0] / 2, regression.coef_[0] / 2
        bias[seen[0]], bias[seen[1]] = -regression.intercept_[0] / 2, regression.intercept_[0] / 2
    else:
        weights[seen], bias[seen] = regression.coef_, regression.intercept_
    return weights, bias


class Model(Port):
    def __init__(self, arrays: Dict[str, Any]) -> None:
        self._type = str(arrays["predictor_type"])
        self._weights, self._bias, self._mean = arrays["weights"], arrays["bias"], arrays["mean"]
        self._threshold = float(arrays["threshold"])
        self.features = int(self._weights.shape[1])

    def predict(self, rows: Any) -> Any:
        """A regressor's values; a classifier's scores and labels by SageMaker's names."""
        import numpy as np

        rows = np.where(np.isnan(rows), self._mean, rows)
        found = rows @ self._weights.T + self._bias
        if self._type == REGRESSOR:
            return found[:, 0]
        if self._type == BINARY:
            # exp of a number that large is infinity, and 1 / infinity is the right answer.
            with np.errstate(over="ignore"):
                score = 1 / (1 + np.exp(-found[:, 0]))
            return {"score": score, "predicted_label": (score >= self._threshold).astype(np.int64)}
        share = np.exp(found - found.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        return {"score": share, "predicted_label": share.argmax(axis=1)}


def _measure(model: Model, channel: str, table: Table) -> Any:
    import numpy as np

    labels = labels_of(table, channel)
    found = model.predict(np.asarray(table.features, np.float64))
    if not isinstance(found, dict):
        yield f"{channel}-rmse", float(np.sqrt(np.mean((found - labels) ** 2)))
        yield f"{channel}-mae", float(np.mean(np.abs(found - labels)))
        return
    score, predicted = found["score"], found["predicted_label"]
    of_label = (
        score[np.arange(len(labels)), labels.astype(int)] if score.ndim == 2 else np.where(labels, score, 1 - score)
    )
    yield f"{channel}-accuracy", float(np.mean(predicted == labels))
    yield f"{channel}-logloss", float(-np.mean(np.log(np.clip(of_label, 1e-15, 1.0))))


if __name__ == "__main__":
    sys.exit(run(LinearLearner()))
