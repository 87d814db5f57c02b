"""Writes the series that the page plots, `data/NAME.json`: `prepare.py [--into FOLDER]`.

Weekly exports of Google Trends lie in `shared/data` beside the checkout, or below the folder that MODELYARD_DATA names.
Where they are not there, series of the same kind are made: a level with noise of 2, and spikes of 20 to 70.
"""

import argparse
import csv
import datetime as dt
import json
import os
import random
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.resolve()
EXPORTS = {"yeezy": "yeezy_us_weekly.csv", "bitcoin": "bitcoin_worldwide_weekly.csv"}
SEED = 8
FIRST_WEEK = dt.date(2021, 1, 3)


def find_exports() -> dict[str, Path]:
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    places = {name: [folder / "google-trends" / file for folder in folders] for name, file in EXPORTS.items()}
    found = {name: next((one for one in among if one.exists()), None) for name, among in places.items()}
    return {name: one for name, one in found.items() if one is not None}


def read_export(place: Path) -> dict[str, Any]:
    """Three lines before the values; then a week and a value from 0 to 100 a line."""
    with place.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row][2:]
    return {"weeks": [row[0] for row in rows], "values": [0.5 if row[1] == "<1" else float(row[1]) for row in rows]}


def make_series(chance: random.Random) -> dict[str, Any]:
    values = [15 + chance.gauss(0, 2) for _ in range(260)]
    for place in chance.sample(range(260), 12):
        values[place] += chance.uniform(20, 70)
    weeks = [(FIRST_WEEK + dt.timedelta(weeks=week)).isoformat() for week in range(260)]
    return {"weeks": weeks, "values": [round(value, 2) for value in values]}


def main(into: Path) -> None:
    chance = random.Random(SEED)
    found = {name: read_export(place) for name, place in find_exports().items()}
    series = found or {name: make_series(chance) for name in ("made-1", "made-2")}
    folder = into / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name, one in series.items():
        (folder / f"{name}.json").write_text(json.dumps(one), encoding="utf-8")
    source = "from Google Trends" if found else f"made with seed {SEED}, in place of Google Trends"
    print(
        "prepare: " + ", ".join(f"{name} ({len(one['values'])} weeks)" for name, one in series.items()) + f", {source}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
