"""Asks the endpoint for each held-out wine: how many it told right, and how many it was not sure of."""

import csv
from pathlib import Path

from modelyard.sdk.client import Client

HERE = Path(__file__).parent.resolve()


def main() -> None:
    with (HERE / "data" / "test.csv").open(newline="") as file:
        wines = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    truths = [int(wine.pop("cultivar")) for wine in wines]
    with Client() as yard:
        answers = [yard.predict("wine", wine) for wine in wines]
    right = sum(answer["cultivar"] == truth for answer, truth in zip(answers, truths, strict=True))
    unsure = sum(not answer["sure"] for answer in answers)
    print(f"told right of {len(wines)} held-out wines: {right}")
    print(f"not sure of: {unsure}")


if __name__ == "__main__":
    main()
