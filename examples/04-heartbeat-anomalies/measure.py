"""F1 and AUC on the held-out beats, from what a transform wrote: `measure.py [FOLDER]`."""

# scikit-learn's and joblib's values get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score


def main(folder: Path) -> None:
    truth = np.loadtxt(folder / "data" / "truth.csv")
    scored = np.loadtxt(folder / "predictions" / "test.csv.out", delimiter=",")
    found = scored[:, 1]
    print(f"held-out beats: {len(truth)}, of them abnormal: {int(truth.sum())}")
    print(f"abnormal F1: {f1_score(truth, found):.3f}")
    print(f"precision: {precision_score(truth, found):.3f}, recall: {recall_score(truth, found):.3f}")
    print(f"AUC: {roc_auc_score(truth, scored[:, 0]):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
