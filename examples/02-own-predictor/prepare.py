"""Splits the wines into train, validation and test: `prepare.py [--into FOLDER]`.

178 wines of three cultivars from one region of Italy with 13 measurements each (Forina et al., PARVUS, 1988), as they
come with scikit-learn. The first line of each file has the names; the last column says which cultivar it is.
"""

# scikit-learn's functions get their types only as they run.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

HERE = Path(__file__).parent.resolve()
SEED = 2


def main(into: Path) -> None:
    wines: Any = load_wine()
    table = np.column_stack([wines.data, wines.target])
    # What is a name in Python can be a field of a request.
    header = ",".join([name.replace("/", "_") for name in wines.feature_names] + ["cultivar"])
    rest: Any
    train, rest = train_test_split(table, test_size=0.4, random_state=SEED, stratify=wines.target)
    validation, test = train_test_split(rest, test_size=0.5, random_state=SEED, stratify=rest[:, -1])
    folder = into / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        np.savetxt(folder / f"{name}.csv", part, "%.6g", ",", header=header, comments="")
    counts = f"{len(train)} wines to train, {len(validation)} to validate, {len(test)} to test"
    print(f"prepare: wine, seed {SEED}: {counts}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
