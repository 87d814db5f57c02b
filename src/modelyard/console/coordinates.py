"""Parallel coordinates: runs as lines through what they were given and what came of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelyard.console.formats import number

AXIS_PIXELS = 150.0
"""Least distance of two axes."""
AXIS_PIXELS_MAX = 300.0
WIDTH = 900.0
"""Of the whole, where few axes would take less."""
HEIGHT = 260.0
TOP, BOTTOM = 34.0, 16.0
SIDE = 60.0

AXES_MAX = 10
RANKS = 5
"""Colours from the best to the worst."""

MARKS_MAX = 8
"""Values of an axis that are written beside it."""


@dataclass(frozen=True, slots=True)
class Mark:
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Axis:
    name: str
    x: float
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class Thread:
    """One run."""

    name: str
    path: str
    rank: int
    """0 are the best."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    width: float
    height: float
    axes: Sequence[Axis]
    threads: Sequence[Thread]


@dataclass(frozen=True, slots=True)
class Row:
    """One run: values by axis, as they were written, and how good it was."""

    name: str
    values: Mapping[str, str]
    worth: float | None
    """Of the metric that the runs are compared by; None where it gave none."""


def coordinates(rows: Sequence[Row], metric: str, *, minimize: bool) -> Coordinates | None:
    """The axes are what differs between the runs, the last is the metric. None where nothing differs."""
    names = [name for name in _names(rows) if len({row.values.get(name) for row in rows}) > 1][: AXES_MAX - 1]
    if not names or len(rows) < 2:
        return None
    axes = [*names, metric]
    places = {name: _places([_value(row, name, metric) for row in rows]) for name in axes}
    apart = max(AXIS_PIXELS, min(AXIS_PIXELS_MAX, (WIDTH - 2 * SIDE) / (len(axes) - 1)))
    drawn = [Axis(name, SIDE + index * apart, _marks(places[name])) for index, name in enumerate(axes)]
    ranks = _ranks(rows, minimize=minimize)
    threads = [Thread(row.name, _path(row, drawn, places, metric), ranks[row.name]) for row in rows]
    # The best are drawn last, above the others.
    threads.sort(key=lambda thread: -thread.rank)
    return Coordinates(2 * SIDE + (len(axes) - 1) * apart, HEIGHT, drawn, [one for one in threads if one.path])


def _names(rows: Sequence[Row]) -> list[str]:
    found: dict[str, None] = {}
    for row in rows:
        found |= dict.fromkeys(row.values)
    return list(found)


def _value(row: Row, name: str, metric: str) -> str | None:
    if name == metric and name not in row.values:
        return None if row.worth is None else repr(row.worth)
    return row.values.get(name)


def _places(values: Sequence[str | None]) -> dict[str, float]:
    """Where each value stands on its axis: numbers by size, words in order."""
    known = list(dict.fromkeys(value for value in values if value is not None))
    numbers = {value: _number(value) for value in known}
    sizes = [size for size in numbers.values() if size is not None]
    if known and len(sizes) == len(known):
        low, high = min(sizes), max(sizes)
        shares = {
            value: (size - low) / (high - low) if high > low else 0.5
            for value, size in numbers.items()
            if size is not None
        }
    else:
        ordered = sorted(known)
        shares = {value: index / (len(ordered) - 1) if len(ordered) > 1 else 0.5 for index, value in enumerate(ordered)}
    return {value: HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM) for value, share in shares.items()}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _marks(places: Mapping[str, float]) -> list[Mark]:
    """Every value where they are few, else the ends."""
    ordered = sorted(places.items(), key=lambda item: item[1])
    apart = all(later[1] - earlier[1] >= 12 for earlier, later in pairwise(ordered))
    shown = ordered if len(ordered) <= MARKS_MAX and apart else [ordered[0], ordered[-1]] if ordered else []
    return [Mark(round(y, 1), _short(value)) for value, y in shown]


def _short(text: str) -> str:
    size = _number(text)
    written = number(size) if size is not None else text
    return written if len(written) <= 12 else f"{written[:9]}..."


def _path(row: Row, axes: Sequence[Axis], places: Mapping[str, Mapping[str, float]], metric: str) -> str:
    parts: list[str] = []
    for axis in axes:
        value = _value(row, axis.name, metric)
        if value is not None:
            parts.append(f"{'L' if parts else 'M'}{axis.x:.0f},{places[axis.name][value]:.1f}")
    return "".join(parts) if len(parts) > 1 else ""


def _ranks(rows: Sequence[Row], *, minimize: bool) -> dict[str, int]:
    """Fifths, the best first; whoever gave no value is among the worst."""
    valued = sorted(
        (row for row in rows if row.worth is not None), key=lambda row: row.worth or 0.0, reverse=not minimize
    )
    ranks = {row.name: index * RANKS // len(valued) for index, row in enumerate(valued)}
    return {row.name: ranks.get(row.name, RANKS - 1) for row in rows}
