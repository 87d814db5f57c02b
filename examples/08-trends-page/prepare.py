"""Writes the series that the page plots, `data/spiky.json`: `prepare.py [--into FOLDER]`.

A weekly Google Trends export lies in `shared/data` beside the checkout, or below the folder that MODELYARD_DATA names.
Where it is not there, a series of the same kind is made: a level with noise of 2, and spikes of 20 to 70.
"""

import argparse
import csv
import json
import os
import random
from pathlib import Path

HERE = Path(__file__).parent.resolve()
EXPORT = "google-trends/yeezy_us_weekly.csv"
SEED = 8


def read_export() -> list[float] | None:
    """Three lines before the values, a week and a value from 0 to 100 a line."""
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    place = next((folder / EXPORT for folder in folders if (folder / EXPORT).exists()), None)
    if place is None:
        return None
    with place.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row][2:]
    return [0.5 if row[1] == "<1" else float(row[1]) for row in rows]


def make_series() -> list[float]:
    chance = random.Random(SEED)
    values = [15 + chance.gauss(0, 2) for _ in range(260)]
    for place in chance.sample(range(260), 12):
        values[place] += chance.uniform(20, 70)
    return [round(value, 2) for value in values]


def main(into: Path) -> None:
    found = read_export()
    (into / "data").mkdir(parents=True, exist_ok=True)
    (into / "data" / "spiky.json").write_text(json.dumps(found or make_series()), encoding="utf-8")
    print(f"prepare: spiky.json, {'made, in place of' if found is None else 'from'} {EXPORT}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
