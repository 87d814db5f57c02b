"""Lays images of pets out by breed, to train and to test: `prepare.py [--into FOLDER]`.

A sample of the Oxford-IIIT Pet set, four images of each of 37 breeds, from `shared/data` beside the checkout or below
the folder that MODELYARD_DATA names: one of each breed is held out. Where it is not there, images are made: a disc, a
square or a cross in one of two colours somewhere on a noisy ground, 16 to learn from and 4 held out of each.
"""

import argparse
import csv
import os
import shutil
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent.resolve()
SEED = 7
SIDE = 32
COLOURS = {"red": (0.8, 0.2, 0.2), "blue": (0.2, 0.3, 0.8)}
SHAPES = ("disc", "square", "cross")
MADE, MADE_HELD_OUT = 20, 4


def shared_data(name: str) -> Path | None:
    """Where real data lies, if it does."""
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def place_real(source: Path, into: Path, random: np.random.Generator) -> str:
    by_breed: dict[str, list[str]] = {}
    with (source / "labels.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            by_breed.setdefault(row["breed"], []).append(row["file"])
    for breed, files in sorted(by_breed.items()):
        held_out = random.integers(len(files))
        for place, name in enumerate(sorted(files)):
            folder = into / ("test" if place == held_out else "train") / breed
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / "images" / name, folder / name)
    return f"{len(by_breed)} breeds of Oxford-IIIT Pet, one image of each held out"


def place_made(into: Path, random: np.random.Generator) -> str:
    for colour, value in COLOURS.items():
        for shape in SHAPES:
            for place in range(MADE):
                folder = into / ("test" if place < MADE_HELD_OUT else "train") / f"{colour}-{shape}"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{place}.ppm").write_bytes(made(shape, value, random))
    return f"{len(COLOURS) * len(SHAPES)} breeds of shapes that were made, in place of pets"


def made(shape: str, colour: tuple[float, float, float], random: np.random.Generator) -> bytes:
    """One image, as PPM has it."""
    y, x = np.mgrid[:SIDE, :SIDE] - random.uniform(11, 20, (2, 1, 1))
    size = random.uniform(5, 8)
    inside = {
        "disc": x**2 + y**2 < size**2,
        "square": np.maximum(abs(x), abs(y)) < size,
        "cross": (np.minimum(abs(x), abs(y)) < size / 3) & (np.maximum(abs(x), abs(y)) < size),
    }[shape]
    ground = random.uniform(0.3, 0.7, 3)
    image = np.where(inside[..., None], colour, ground) + random.normal(0, 0.08, (SIDE, SIDE, 3))
    return b"P6 %d %d 255\n" % (SIDE, SIDE) + (image.clip(0, 1) * 255).astype(np.uint8).tobytes()


def main(into: Path) -> None:
    random = np.random.default_rng(SEED)
    shutil.rmtree(into / "data", ignore_errors=True)
    source = shared_data("oxford-pets-sample")
    place = into / "data"
    called = place_real(source, place, random) if source is not None else place_made(place, random)
    counts = (len(list((place / part).glob("*/*"))) for part in ("train", "test"))
    print("prepare: {}, seed {}: {} images to train, {} to test".format(called, SEED, *counts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
