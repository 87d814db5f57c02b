"""Writes what is scored: `make.py FOLDER ROWS LINES`. A model of 100 trees, CSV rows, JSON lines; all from one seed."""

import sys
from pathlib import Path

import numpy as np
import xgboost as xgb

FEATURES = 13
SEED = 11
BLOCK = 50_000


def main(folder: Path, rows: int, lines: int) -> None:
    random = np.random.default_rng(SEED)
    features = random.normal(size=(20_000, FEATURES))
    target = features[:, 0] * 2 + features[:, 1] ** 2 + random.normal(size=len(features)) * 0.1
    table = xgb.DMatrix(features, target)
    xgb.train({"max_depth": 6, "eta": 0.1, "seed": SEED}, table, 100).save_model(folder / "model.ubj")
    write(folder / "rows.csv", random, rows, "{}\n")
    write(folder / "lines.jsonl", random, lines, "[{}]\n")


def write(path: Path, random: np.random.Generator, count: int, line: str) -> None:
    with path.open("w") as file:
        for begin in range(0, count, BLOCK):
            block = random.normal(size=(min(BLOCK, count - begin), FEATURES)).round(6).tolist()
            file.writelines(line.format(",".join(map(repr, row))) for row in block)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
