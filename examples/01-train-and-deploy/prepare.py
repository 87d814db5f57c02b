"""Writes data/train.csv, data/validation.csv and data/test.csv: the label first, no header.

Without arguments it takes scikit-learn's diabetes set. For a table of your own:

    python prepare.py --data houses.csv --target price

Every column must be a number; text with few different values becomes one column of 0 and 1 per value.
"""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np

HERE = Path(__file__).parent
SEED = 7
VALIDATION_SHARE = 0.15
TEST_SHARE = 0.15
ROWS_MIN = 20
CATEGORIES_MAX = 20


def main() -> None:
    given = _read_arguments()
    labels, columns = _read_table(given.data, given.target) if given.data else _diabetes()
    table = np.column_stack([labels, *columns.values()])
    order = np.random.default_rng(SEED).permutation(len(table))
    tests = max(1, round(len(table) * TEST_SHARE))
    validations = max(1, round(len(table) * VALIDATION_SHARE))
    parts = np.split(table[order], [tests, tests + validations])
    folder = given.into / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in zip(("test", "validation", "train"), parts, strict=True):
        _write(folder / f"{name}.csv", part)
        print(f"prepare: data/{name}.csv, {len(part)} rows")
    print(f"prepare: {len(columns)} features: {', '.join(columns)}")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Splits a table into train, validation and test.")
    parser.add_argument("--data", type=Path, help="a CSV file with a header line; default: scikit-learn's diabetes")
    parser.add_argument("--target", help="the column to predict")
    parser.add_argument("--into", type=Path, default=HERE, help="where data/ is written; default: beside this file")
    given = parser.parse_args()
    if given.data and not given.target:
        parser.error("--data needs --target, the name of the column to predict")
    if given.target and not given.data:
        parser.error("--target needs --data, the table that has this column")
    return given


def _diabetes() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    from sklearn.datasets import load_diabetes  # noqa: PLC0415 (a second to import; a table of one's own spares it)

    found = cast("Any", load_diabetes(scaled=False))
    return found.target, {name: found.data[:, index] for index, name in enumerate(found.feature_names)}


def _read_table(path: Path, target: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    header, lines = _read_lines(path)
    if target not in header:
        _refuse(f"cannot find column {target!r} in {path}", f"it has {', '.join(header)}")
    texts = {name: [line[index].strip() for line in lines] for index, name in enumerate(header)}
    labels = _numbers(texts.pop(target))
    if labels is None or np.isnan(labels).any():
        line = 2 + next(index for index, text in enumerate(_column(lines, header, target)) if not _is_number(text))
        _refuse(f"cannot learn column {target!r}: line {line} of {path} has no number there", "remove or fill that row")
    columns: dict[str, np.ndarray] = {}
    for name, column in texts.items():
        columns |= _features(path, name, column)
    if not columns:
        _refuse(f"cannot learn from {path}: there is no column beside {target!r}", "add columns to predict from")
    return labels, columns


def _read_lines(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except OSError as error:
        _refuse(f"cannot read {path}: {error.strerror}", "give the path of a CSV file")
    except (UnicodeDecodeError, csv.Error) as error:
        _refuse(f"cannot read {path}: {error}", "save it as CSV in UTF-8")
    if len(rows) < ROWS_MIN + 1:
        _refuse(f"cannot split {path}: it has {max(len(rows) - 1, 0)} rows", f"give at least {ROWS_MIN} and a header")
    header = [name.strip() for name in rows[0]]
    if any(_is_number(name) for name in header):
        _refuse(f"cannot name the columns of {path}: its first line has numbers", "add a line with the columns' names")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        _refuse(f"cannot tell two columns of {path} apart: both are called {twice!r}", "rename one")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            _refuse(
                f"cannot read row {number} of {path}: it has {len(row)} values, the header {len(header)}",
                "give every row the same number of values",
            )
    return header, rows[1:]


def _features(path: Path, name: str, column: list[str]) -> dict[str, np.ndarray]:
    """The column itself where it is numbers (an empty value is a missing one), else a column of 0 and 1 per value."""
    numbers = _numbers(column)
    if numbers is not None:
        return {name: numbers}
    values = sorted(set(column))
    if len(values) > CATEGORIES_MAX:
        line, text = next(
            (number, text) for number, text in enumerate(column, start=2) if text and not _is_number(text)
        )
        _refuse(
            f"cannot use column {name!r} of {path}: row {line} has {text!r}, which is no number, and there are "
            f"{len(values)} different values",
            f"remove the column, or give it numbers or at most {CATEGORIES_MAX} different values",
        )
    return {f"{name}={value or 'empty'}": np.array([float(text == value) for text in column]) for value in values}


def _numbers(column: list[str]) -> np.ndarray | None:
    if not all(text == "" or _is_number(text) for text in column):
        return None
    return np.array([float(text) if text else np.nan for text in column])


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _column(lines: list[list[str]], header: list[str], name: str) -> list[str]:
    index = header.index(name)
    return [line[index].strip() for line in lines]


def _write(path: Path, part: np.ndarray) -> None:
    # A missing value is an empty one, as the built-in algorithms read it.
    lines = (",".join("" if np.isnan(value) else f"{value:.15g}" for value in row) for row in part)
    path.write_text("".join(f"{line}\n" for line in lines))


def _refuse(message: str, hint: str) -> NoReturn:
    print(f"{message}\n  hint: {hint}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
