"""The error of what a transform wrote, beside plain XGBoost's on the same split: `compare.py [FOLDER]`."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

ROUNDS = 100


def main(folder: Path) -> None:
    truth = np.loadtxt(folder / "data" / "truth.csv")
    scored = dict(line.split(",") for line in (folder / "predictions" / "test.csv.out").read_text().splitlines())
    rows = [line.split(",") for line in (folder / "data" / "test.csv").read_text().splitlines()]
    ours = np.array([float(scored[row[0]]) for row in rows])
    features = np.array([row[1:] for row in rows], np.float64)
    train = np.loadtxt(folder / "data" / "train.csv", delimiter=",")
    plain: Any = xgb.train({"seed": 7}, xgb.DMatrix(train[:, 1:], train[:, 0]), ROUNDS)
    others: np.ndarray = plain.predict(xgb.DMatrix(features))
    mean = np.full(len(truth), train[:, 0].mean())
    print(f"test RMSE of the yard's model: {rmse(ours, truth):.3f}")
    print(f"test RMSE of plain XGBoost, its defaults, {ROUNDS} rounds: {rmse(others, truth):.3f}")
    print(f"test RMSE of always saying the training rows' mean: {rmse(mean, truth):.3f}")


def rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
