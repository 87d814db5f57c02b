"""Writes the pickups that the dashboard shows, `data/pickups.csv`: `prepare.py [--into FOLDER]`.

Pickups of Uber in New York, September 2014, lie in `shared/data` beside the checkout, or below the folder that
MODELYARD_DATA names: `Date/Time,Lat,Lon,Base`. Where they are not there, pickups of the same form are made: most in a
handful of places, in the rush hours of morning and evening.
"""

import argparse
import csv
import os
import random
import shutil
from pathlib import Path

HERE = Path(__file__).parent.resolve()
SAMPLE = "uber-nyc-sep14/uber_sample.csv"
SEED = 9
ROWS = 8000

PLACES = (
    (40.755, -73.984, 0.012, 6),
    (40.728, -73.995, 0.012, 5),
    (40.645, -73.782, 0.004, 1),
    (40.690, -73.980, 0.02, 2),
)
"""Latitude, longitude, width in degrees, weight."""

HOURS = (2, 1, 1, 1, 1, 2, 4, 6, 6, 5, 4, 4, 4, 5, 6, 7, 8, 9, 9, 8, 7, 6, 5, 3)
"""Weight of each hour of the day."""


def find_sample() -> Path | None:
    folders = [Path(os.environ["MODELYARD_DATA"])] if "MODELYARD_DATA" in os.environ else []
    folders += [parent / "shared" / "data" for parent in HERE.parents]
    return next((folder / SAMPLE for folder in folders if (folder / SAMPLE).exists()), None)


def make_pickups(target: Path) -> None:
    chance = random.Random(SEED)
    with target.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("Date/Time", "Lat", "Lon", "Base"))
        for _ in range(ROWS):
            latitude, longitude, width, _weight = chance.choices(PLACES, [place[3] for place in PLACES])[0]
            hour = chance.choices(range(24), HOURS)[0]
            when = f"9/{chance.randint(1, 30)}/2014 {hour}:{chance.randint(0, 59):02}:00"
            place = (f"{chance.gauss(latitude, width):.4f}", f"{chance.gauss(longitude, width):.4f}")
            rows.writerow((when, *place, chance.choice(("B02512", "B02598", "B02617", "B02682", "B02764"))))


def main(into: Path) -> None:
    found, target = find_sample(), into / "data" / "pickups.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    if found is None:
        make_pickups(target)
    else:
        shutil.copyfile(found, target)
    print(f"prepare: pickups.csv, {'made, in place of' if found is None else 'from'} {SAMPLE}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--into", type=Path, default=HERE)
    main(parser.parse_args().into)
