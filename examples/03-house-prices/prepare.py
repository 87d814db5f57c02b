"""Splits house prices into train, validation and test, the label first: `prepare.py [--into FOLDER]`.

The table is Boston's of 1978 where it lies in `shared/data` beside the checkout, or below the folder that
MODELYARD_DATA names; else scikit-learn's diabetes stands in its place, so that every step of the lesson can be done
anywhere. What a transform is given has an id before the features: `data/test.csv`; the truth lies apart:
`data/truth.csv`.
"""

import argparse
import os
from pathlib import Path
from typing import Any, cast

import numpy as np

HERE = Path(__file__).parent.resolve()
SEED = 7
VALIDATION_SHARE, TEST_SHARE = 0.15, 0.2


def shared_data(name: str) -> Path | None:
    """Where real data lies, if it does."""
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def read_table() -> tuple[str, np.ndarray, np.ndarray]:
    """What it is called, features, labels."""
    place = shared_data("boston/boston_house_prices.csv")
    if place is not None:
        table = np.loadtxt(place, delimiter=",", skiprows=1)
        return "boston", table[:, :-1], table[:, -1]
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 (only where the real data is not there)

    found = cast("Any", load_diabetes(scaled=False))
    return "diabetes, in place of boston", found.data, found.target


def main(into: Path) -> None:
    called, features, labels = read_table()
    order = np.random.default_rng(SEED).permutation(len(labels))
    tests, validations = round(len(order) * TEST_SHARE), round(len(order) * VALIDATION_SHARE)
    test, validation, train = np.split(order, [tests, tests + validations])
    folder = into / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("validation", validation)):
        np.savetxt(folder / f"{name}.csv", np.column_stack([labels[part], features[part]]), "%.10g", ",")
    lines = (f"house-{place}," + ",".join(f"{value:.10g}" for value in features[place]) for place in test)
    (folder / "test.csv").write_text("".join(f"{line}\n" for line in lines))
    np.savetxt(folder / "truth.csv", labels[test], "%.10g")
    print(f"prepare: {called}, seed {SEED}: {len(train)} rows to train, {len(validation)} to validate, {tests} to test")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
