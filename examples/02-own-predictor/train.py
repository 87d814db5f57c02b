"""Learns the cultivars of wines by logistic regression. Metrics: validation:accuracy."""

# joblib's and scikit-learn's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import os
from pathlib import Path

import joblib
import numpy as np
from modelyard_worker.metrics import log_metric
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def read(channel: str) -> tuple[np.ndarray, np.ndarray]:
    """Measurements and cultivars."""
    table = np.loadtxt(Path(os.environ[f"SM_CHANNEL_{channel.upper()}"]) / f"{channel}.csv", delimiter=",", skiprows=1)
    return table[:, :-1], table[:, -1]


def main() -> None:
    rows, truth = read("train")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, truth)
    rows, truth = read("validation")
    log_metric("validation:accuracy", float(model.score(rows, truth)))
    joblib.dump(model, Path(os.environ["SM_MODEL_DIR"]) / "wine.joblib")


if __name__ == "__main__":
    main()
