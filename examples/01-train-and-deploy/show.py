"""Predicts the held-out rows through the live endpoint and shows how far off it is: `show.py ENDPOINT FOLDER`."""

import math
import statistics
import sys
from pathlib import Path
from typing import Any

from modelyard import sdk

SHOWN = 8


def main(endpoint: str, data: Path) -> None:
    held_out = read_rows(data / "test.csv")
    truth = [label for label, _ in held_out]
    predictions: list[Any] = sdk.predict(endpoint, [features for _, features in held_out])
    mean = statistics.fmean(label for label, _ in read_rows(data / "train.csv"))
    print_beside(truth, predictions)
    print(f"\nroot mean squared error on {len(truth)} held-out rows: {rmse(truth, predictions):.4g}")
    print(f"saying the training rows' mean every time would give: {rmse(truth, [mean] * len(truth)):.4g}")


def read_rows(path: Path) -> list[tuple[float, list[float | None]]]:
    """Label and features of every row; an empty value is a missing one."""
    rows = (line.split(",") for line in path.read_text().splitlines())
    return [(float(row[0]), [float(text) if text else None for text in row[1:]]) for row in rows]


def print_beside(truth: list[float], predictions: list[float]) -> None:
    print(f"{'truth':>10} {'predicted':>10} {'off by':>10}")
    for label, predicted in list(zip(truth, predictions, strict=True))[:SHOWN]:
        print(f"{label:>10.4g} {predicted:>10.4g} {predicted - label:>+10.4g}")
    if len(truth) > SHOWN:
        print(f"{f'... and {len(truth) - SHOWN} more':>32}")


def rmse(truth: list[float], predicted: list[float]) -> float:
    return math.sqrt(statistics.fmean((a - b) ** 2 for a, b in zip(truth, predicted, strict=True)))


if __name__ == "__main__":
    endpoint_given, folder_given = sys.argv[1:] or ("diabetes", Path(__file__).parent)
    main(endpoint_given, Path(folder_given) / "data")
