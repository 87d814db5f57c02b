"""How well scores tell anomalies: what every detector logs where rows have labels, 1 for an anomaly."""

# NumPy's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any, Dict


def measures(channel: str, scores: Any, threshold: float, labels: Any) -> Dict[str, float]:
    """The share of rows that score `threshold` or more and, where there are labels of both kinds, precision, recall,
    F1 and the area under the ROC curve."""
    import numpy as np

    flagged = np.asarray(scores) >= threshold
    found = {f"{channel}-anomalies": float(flagged.sum()), f"{channel}-share": float(flagged.mean())}
    truth = np.asarray(labels) > 0
    if len(truth) == 0 or truth.all() or not truth.any():
        return found
    hits = float((flagged & truth).sum())
    precision = hits / flagged.sum() if flagged.any() else 0.0
    recall = hits / truth.sum()
    found[f"{channel}-precision"] = float(precision)
    found[f"{channel}-recall"] = float(recall)
    found[f"{channel}-f1"] = float(2 * precision * recall / (precision + recall)) if hits else 0.0
    found[f"{channel}-auc"] = area(scores, truth)
    return found


def area(scores: Any, truth: Any) -> float:
    """The area under the ROC curve: how often an anomaly scores above a row that is none, ties counting half."""
    import numpy as np

    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def best_threshold(scores: Any, truth: Any) -> float:
    """The score from which rows are to be flagged for the highest F1."""
    import numpy as np

    order = np.argsort(-np.asarray(scores), kind="stable")
    hits = np.cumsum(truth[order])
    flagged = np.arange(1, len(order) + 1)
    f1 = 2 * hits / (flagged + truth.sum())
    sorted_scores = np.asarray(scores)[order]
    # Equal scores are flagged together.
    last = np.append(sorted_scores[1:] != sorted_scores[:-1], True)
    return float(sorted_scores[int(np.argmax(np.where(last, f1, -1.0)))])
