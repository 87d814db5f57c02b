"""Splits heartbeats into train, validation and test: `prepare.py [--into FOLDER]`.

ECG5000: 140 samples a beat, 2919 normal and 2081 abnormal ones, from `shared/data` beside the checkout or below the
folder that MODELYARD_DATA names. Where it is not there, beats are made: a normal one is a sum of three bells, an
abnormal one has its second bell upside down and later, both with noise. Normal beats alone are learned from; validation
and test hold both kinds. Rows of train and validation begin with their label, 1 for abnormal.
"""

import argparse
import gzip
import os
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent.resolve()
SEED = 13
MADE = 1200
LENGTH = 140


def shared_data(name: str) -> Path | None:
    """Where real data lies, if it does."""
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def read_beats() -> tuple[str, np.ndarray, np.ndarray]:
    """What it is called, beats, labels."""
    place = shared_data("ecg5000/ecg5000_5000beats_binary.csv.gz")
    if place is not None:
        with gzip.open(place, "rt") as file:
            table = np.loadtxt(file, delimiter=",", skiprows=1)
        return "ECG5000", table[:, 1:], table[:, 0]
    return f"{MADE} beats that were made, in place of ECG5000", *make_beats()


def make_beats() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(SEED)
    labels = (random.random(MADE) < 0.4).astype(float)
    time = np.linspace(0, 1, LENGTH)

    def bell(centre: np.ndarray, width: float) -> np.ndarray:
        return np.exp(-(((time - centre[:, None]) / width) ** 2))

    jitter = random.normal(0, 0.015, (3, MADE))
    sign, late = np.where(labels, -0.6, 1.0), np.where(labels, 0.12, 0.0)
    beats = 2 * bell(0.15 + jitter[0], 0.03) + sign[:, None] * bell(0.5 + late + jitter[1], 0.1)
    beats += 0.8 * bell(0.8 + jitter[2], 0.05) + random.normal(0, 0.15, (MADE, LENGTH))
    return (beats - beats.mean(axis=1, keepdims=True)) / beats.std(axis=1, keepdims=True), labels


def main(into: Path) -> None:
    called, beats, labels = read_beats()
    random = np.random.default_rng(SEED)
    normal, abnormal = (random.permutation(np.flatnonzero(labels == kind)) for kind in (0, 1))
    train, *normals = np.split(normal, [round(len(normal) * 0.6), round(len(normal) * 0.8)])
    validation, test = (np.concatenate(pair) for pair in zip(normals, np.array_split(abnormal, 2), strict=True))
    folder = into / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("validation", validation)):
        np.savetxt(folder / f"{name}.csv", np.column_stack([labels[part], beats[part]]), "%.6g", ",")
    np.savetxt(folder / "test.csv", beats[test], "%.6g", ",")
    np.savetxt(folder / "truth.csv", labels[test], "%g")
    counts = f"{len(train)} normal beats to train, {len(validation)} to validate, {len(test)} to test"
    print(f"prepare: {called}, seed {SEED}: {counts}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
