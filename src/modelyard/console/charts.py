"""Charts as SVG that the server draws: they need no script to be seen, and no style of their own in the page.

The plot is stretched to the width that there is; what is written beside it is text of the page, so that it keeps its
size. A chart carries its values once more in words, for those who do not see it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelyard.console.formats import clock_time, number

WIDTH, HEIGHT = 600.0, 140.0
"""Of the plot, in units of its own."""

TOP = 6.0
"""Left free above the highest value, for its stroke."""

DAY_SECONDS = 86400.0

SERIES_MAX = 12
"""Lines of one chart that can be told apart."""

Point = tuple[float, float | None]
"""When or where, and how much; None is a gap."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    label: str
    points: Sequence[Point]
    stepped: bool = False
    """Whether a value lasts until the next, as a number of replicas does."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series as it is drawn."""

    label: str
    colour: int
    """Number of a colour of the style sheet."""
    path: str
    last: str
    """Its newest value, as text."""
    dots: str = ""
    """Points that have no neighbour, and so are in no line."""


@dataclass(frozen=True, slots=True)
class Chart:
    title: str
    lines: Sequence[Line]
    scale: Sequence[str]
    """Marks of the upright axis, from above."""
    marks: Sequence[str]
    """Marks of the level axis, from the left."""
    readout: str
    """JSON: for each point of the level axis its share of the width, its mark, and the values as texts."""

    @property
    def empty(self) -> bool:
        return not any(line.path for line in self.lines)

    @property
    def summary(self) -> str:
        """What somebody is told who cannot see it."""
        said = ", ".join(f"{line.label} {line.last}" for line in self.lines if line.last)
        return f"{self.title}: {f'now {said}' if said else 'nothing yet'}; the scale ends at {self.scale[0]}"


def time_chart(
    title: str,
    series: Sequence[Series],
    begin: float,
    end: float,
    text: Callable[[float | None], str] = number,
) -> Chart:
    """A chart over time, from `begin` to `end` in seconds since the epoch."""
    with_day = end - begin > DAY_SECONDS
    return _chart(title, series, (begin, end), text, lambda at: clock_time(at, with_day=with_day))


def step_chart(title: str, series: Sequence[Series], text: Callable[[float | None], str] = number) -> Chart:
    """A chart over steps, or whatever else is counted."""
    places = [at for one in series for at, _ in one.points]
    begin, end = (min(places), max(places)) if places else (0.0, 1.0)
    return _chart(title, series, (begin, end), text, lambda at: f"{at:g}", from_nought=False)


def _chart(
    title: str,
    series: Sequence[Series],
    width: tuple[float, float],
    text: Callable[[float | None], str],
    mark: Callable[[float], str],
    *,
    from_nought: bool = True,
) -> Chart:
    shown = series[:SERIES_MAX]
    values = [value for one in shown for _, value in one.points if value is not None]
    low = 0.0 if from_nought or not values else min(values)
    high = max(values, default=1.0)
    high = high if high > low else low + (abs(low) or 1.0)
    begin, end = width
    span = end - begin or 1.0

    def place(point: tuple[float, float]) -> tuple[float, float]:
        return min((point[0] - begin) / span, 1.0) * WIDTH, HEIGHT - (point[1] - low) / (high - low) * (HEIGHT - TOP)

    lines = [
        Line(
            one.label,
            number_of,
            _path(one, place),
            text(next((v for _, v in reversed(one.points)), None)),
            _dots(one, place),
        )
        for number_of, one in enumerate(shown)
    ]
    return Chart(
        title,
        lines,
        [text(high), text((high + low) / 2), text(low) or "0"],
        [mark(begin), mark((begin + end) / 2), mark(end)],
        json.dumps(_readout(shown, begin, span, text, mark), separators=(",", ":"), ensure_ascii=False),
    )


def _path(series: Series, place: Callable[[tuple[float, float]], tuple[float, float]]) -> str:
    parts: list[str] = []
    under_way = False
    before = 0.0
    for at, value in series.points:
        if value is None:
            under_way = False
            continue
        x, y = place((at, value))
        if not under_way:
            # A point alone would be no line; `_dots` makes it seen.
            parts.append(f"M{x:.1f},{y:.1f}h0")
        elif series.stepped:
            parts.append(f"L{x:.1f},{before:.1f}L{x:.1f},{y:.1f}")
        else:
            parts.append(f"L{x:.1f},{y:.1f}")
        under_way, before = True, y
    return "".join(parts)


def _dots(series: Series, place: Callable[[tuple[float, float]], tuple[float, float]]) -> str:
    values = [None, *(value for _, value in series.points), None]
    parts: list[str] = []
    for (at, value), before, after in zip(series.points, values, values[2:], strict=False):
        if value is not None and before is None and after is None:
            x, y = place((at, value))
            parts.append(f"M{x:.1f},{y:.1f}h0")
    return "".join(parts)


def _readout(
    series: Sequence[Series],
    begin: float,
    span: float,
    text: Callable[[float | None], str],
    mark: Callable[[float], str],
) -> list[list[object]]:
    at_place: dict[float, dict[int, str]] = {}
    for number_of, one in enumerate(series):
        for at, value in one.points:
            at_place.setdefault(at, {})[number_of] = text(value)
    return [
        [round(min((at - begin) / span, 1.0), 4), mark(at), [values.get(index, "") for index in range(len(series))]]
        for at, values in sorted(at_place.items())
    ]


def with_gaps(points: Iterable[Point], step: float) -> list[Point]:
    """The same with a gap wherever a step is missing, so that no line leads over what was not measured."""
    listed = list(points)
    found = listed[:1]
    for earlier, later in pairwise(listed):
        if later[0] - earlier[0] > 1.5 * step:
            found.append((earlier[0] + step, None))
        found.append(later)
    return found


def with_noughts(points: Iterable[Point], begin: float, end: float, step: float) -> list[Point]:
    """The same with nought wherever a step is missing, from the first step in which there was anything or `begin`."""
    known = {round(at / step): value for at, value in points}
    first, last = round(begin / step) + 1, round(end / step)
    return [(index * step, known.get(index) or 0.0) for index in range(first, last + 1)]
