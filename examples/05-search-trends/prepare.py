"""Writes series of search interest, and labelled ones that are made: `prepare.py [--into FOLDER]`.

Google Trends exports lie in `shared/data` beside the checkout, or below the folder that MODELYARD_DATA names: a monthly
one with a season (diet), a weekly one with spikes (yeezy). Where they are not there, series of the same kind are made.
The labelled ones are always made, from one seed: how well a method finds anomalies can be said only where they are
known.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent.resolve()
SEED = 5
PERIOD = 12


def shared_data(name: str) -> Path | None:
    """Where real data lies, if it does."""
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    return next((folder / name for folder in folders if (folder / name).exists()), None)


def read_export(name: str) -> np.ndarray | None:
    """The first term of an export: three lines before the values, a period and a value from 0 to 100 a line."""
    place = shared_data(f"google-trends/{name}")
    if place is None:
        return None
    with place.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row][2:]
    return np.array([0.5 if row[1] == "<1" else float(row[1]) for row in rows])


def make_seasonal(random: np.random.Generator, count: int, anomalies: int) -> tuple[np.ndarray, np.ndarray]:
    """A season of twelve, a slow trend, noise of 2, and shifts of 12 to 25 up or down: values and labels."""
    time = np.arange(count)
    values = 50 + 15 * np.sin(2 * np.pi * time / PERIOD) + 0.03 * time + random.normal(0, 2, count)
    places = random.choice(np.arange(PERIOD, count - PERIOD), anomalies, replace=False)
    values[places] += random.uniform(12, 25, anomalies) * random.choice([-1, 1], anomalies)
    return values, np.isin(time, places).astype(float)


def make_spiky(random: np.random.Generator, count: int, anomalies: int) -> tuple[np.ndarray, np.ndarray]:
    """A level with noise of 2, and spikes of 20 to 70: values and labels."""
    values = 15 + random.normal(0, 2, count)
    places = random.choice(count, anomalies, replace=False)
    values[places] += random.uniform(20, 70, anomalies)
    return values, np.isin(np.arange(count), places).astype(float)


def main(into: Path) -> None:
    random = np.random.default_rng(SEED)
    folder = into / "data"
    folder.mkdir(parents=True, exist_ok=True)
    seasonal, spiky = make_seasonal(random, 240, 10), make_spiky(random, 260, 12)
    for name, (values, labels) in (("seasonal-labelled", seasonal), ("spiky-labelled", spiky)):
        np.savetxt(folder / f"{name}.csv", np.column_stack([labels, values]), "%.6g", ",")
    found = {"seasonal": "diet_gym_finance_worldwide_monthly.csv", "spiky": "yeezy_us_weekly.csv"}
    for name, made in (("seasonal", seasonal), ("spiky", spiky)):
        real = read_export(found[name])
        np.savetxt(folder / f"{name}.csv", made[0] if real is None else real, "%.6g")
        print(f"prepare: {name}.csv, {'made, in place of' if real is None else 'from'} {found[name]}")
    print(f"prepare: labelled series from seed {SEED}: 10 anomalies in 240 values, 12 in 260")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
