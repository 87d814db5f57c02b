"""The figures as a picture: requests/s of every server, a panel for each case, as SVG."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.serving.figures import Figures, Streamed
from bench.serving.measuring import Found
from bench.serving.yard import OURS

WIDTH = 760
_BAR_HEIGHT = 18
_BAR_STEP = 24
_LABELS_WIDTH = 150
_VALUES_WIDTH = 130
_PANEL_HEAD = 40
_PANEL_GAP = 20
_COLOURS = {True: "#0b6e99", False: "#b8c4cc"}


def drawn(cases: Sequence[tuple[Found, Sequence[Figures], Sequence[Streamed]]]) -> str:
    """The SVG. A case shows its servers at its largest number of connections, the quickest first."""
    panels: list[str] = []
    top = _PANEL_GAP
    for found, figures, times in cases:
        title, bars = _bars(found, figures, times)
        if not bars:
            continue
        panels.append(_panel(title, bars, top))
        top += _PANEL_HEAD + len(bars) * _BAR_STEP + _PANEL_GAP
    style = "text{font:13px system-ui,sans-serif;fill:#26323a}.title{font-weight:600}.value{fill:#56646e}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}" '
        f'role="img" aria-label="Serving benchmark"><style>{style}</style>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(panels)}</svg>\n'
    )


def _bars(
    found: Found, figures: Sequence[Figures], times: Sequence[Streamed]
) -> tuple[str, list[tuple[str, float, str]]]:
    """The title, and (server, length, text) of each bar."""
    name = found.case.name
    if times:
        quickest = sorted(times, key=lambda one: one.first_seconds)
        title = f"{name}: ms to the first byte (less is better)"
        return title, [(one.server, one.first_seconds, f"{one.first_seconds * 1e3:.2f} ms") for one in quickest]
    most = max((one.connections for one in figures), default=0)
    shown = sorted((one for one in figures if one.connections == most), key=lambda one: -one.requests_per_second)
    title = f"{name}: requests/s at {most} connections"
    bars = [(one.server, one.requests_per_second, f"{one.requests_per_second:,.0f}") for one in shown]
    if found.case.ideal_requests_per_second is not None:
        ideal = found.case.ideal_requests_per_second
        bars.insert(0, ("(the most there can be)", ideal, f"{ideal:,.0f}"))
    return title, bars


def _panel(title: str, bars: Sequence[tuple[str, float, str]], top: int) -> str:
    longest = max(length for _, length, _ in bars) or 1.0
    room = WIDTH - _LABELS_WIDTH - _VALUES_WIDTH
    lines = [f'<text class="title" x="16" y="{top + 16}">{escape(title)}</text>']
    for number, (server, length, text) in enumerate(bars):
        y = top + _PANEL_HEAD + number * _BAR_STEP - 12
        wide = max(1.0, room * length / longest)
        middle = y + _BAR_HEIGHT - 5
        lines.append(f'<text x="{_LABELS_WIDTH - 8}" y="{middle}" text-anchor="end">{escape(server)}</text>')
        lines.append(
            f'<rect x="{_LABELS_WIDTH}" y="{y}" width="{wide:.1f}" height="{_BAR_HEIGHT}" rx="2" '
            f'fill="{_COLOURS[server == OURS]}"/>'
        )
        lines.append(f'<text class="value" x="{_LABELS_WIDTH + wide + 8:.1f}" y="{middle}">{escape(text)}</text>')
    return "".join(lines)
