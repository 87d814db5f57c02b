"""An autoencoder: a network that gives normal beats back through a narrow layer, and abnormal ones badly.

It learns from normal beats alone. How badly a beat comes back is its score; the threshold is the score that separates
the labelled beats of the validation channel best, by F1. What is saved is the network with its threshold.
"""

# scikit-learn's and joblib's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
import os
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from modelyard_worker.metrics import log_metric
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.neural_network import MLPRegressor

SEED = 13


def read(channel: str) -> tuple[np.ndarray, np.ndarray]:
    """Beats and labels."""
    folder = Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    table = np.concatenate([np.loadtxt(file, delimiter=",") for file in sorted(folder.glob("*.csv"))])
    return table[:, 1:], table[:, 0]


def main(narrowest: int, epochs: int) -> None:
    normal, _ = read("train")
    beats, labels = read("validation")
    layers = (64, narrowest, 64)
    network: Any = MLPRegressor(
        hidden_layer_sizes=layers, random_state=SEED, max_iter=epochs, early_stopping=True, n_iter_no_change=20
    )
    # That it would go on learning after the epochs that were asked for is no news.
    warnings.simplefilter("ignore", ConvergenceWarning)
    network.fit(normal, normal)
    scores = np.mean((network.predict(beats) - beats) ** 2, axis=1)
    candidates = np.quantile(scores, np.linspace(0.01, 0.99, 99))
    threshold = max(candidates, key=lambda one: f1_score(labels, scores > one))
    log_metric("validation:f1", float(f1_score(labels, scores > threshold)))
    log_metric("validation:auc", float(roc_auc_score(labels, scores)))
    print(f"narrowest layer {narrowest}: threshold {threshold:.4f} after {network.n_iter_} epochs")
    joblib.dump({"network": network, "threshold": float(threshold)}, Path(os.environ["SM_MODEL_DIR"]) / "beats.joblib")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--narrowest", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=200)
    given = parser.parse_args()
    main(given.narrowest, given.epochs)
