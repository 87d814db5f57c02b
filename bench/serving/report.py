"""The report as people read it: a table for each case, what processes cost, and the promises."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from bench.serving.figures import Figures, Streamed
from bench.serving.load import GENERATOR
from bench.serving.measuring import Found
from bench.serving.promises import MIB, Verdict
from bench.serving.yard import OURS

SHOWN_US_MIN = 0.05


def print_figures(console: Console, found: Found, figures: Sequence[Figures]) -> None:
    title = f"{found.case.name}: {found.case.what}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("server")
    for column in ("conn.", "requests/s", "min-max", "p50 ms", "p99 ms", "errors", "CPU us", "load's us", "PSS MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    ordered = sorted(figures, key=lambda figure: figure.connections)
    for one, following in zip(ordered, [*ordered[1:], None], strict=True):
        table.add_row(
            one.server,
            str(one.connections),
            f"{one.requests_per_second:,.0f}",
            f"{one.spread[0]:,.0f}-{one.spread[1]:,.0f}",
            f"{one.p50_seconds * 1e3:.3f}",
            f"{one.p99_seconds * 1e3:.3f}",
            str(one.errors),
            f"{one.server_cpu_us:.1f}",
            f"{one.cpu_us_per_request[GENERATOR]:.1f}",
            f"{sum(found.pss_bytes[one.server].values()) / MIB:.0f}",
            end_section=following is not None and following.connections != one.connections,
        )
    console.print(table)
    _print_rest(console, found)
    for one in figures:
        if one.server == OURS:
            spent = ", ".join(
                f"{role} {cpu:.1f}"
                for role, cpu in one.cpu_us_per_request.items()
                if role != GENERATOR and cpu >= SHOWN_US_MIN
            )
            console.print(f"{OURS}, CPU us a request at {one.connections} connections: {spent}")
    console.print()


def print_streamed(console: Console, found: Found, times: Sequence[Streamed]) -> None:
    title = f"{found.case.name}: {found.case.what}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("server")
    for column in ("requests", "first byte ms", "whole answer ms"):
        table.add_column(column, justify="right")
    for one in times:
        table.add_row(one.server, str(one.requests), f"{one.first_seconds * 1e3:.3f}", f"{one.whole_seconds * 1e3:.3f}")
    console.print(table)
    _print_rest(console, found)
    console.print()


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    table = Table(title="Promises", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("promise", "bound", "measured", "verdict"):
        table.add_column(column, justify="left" if column in ("promise", "verdict") else "right")
    for one in verdicts:
        bound = f"{'>=' if one.at_least else '<='} {one.bound:g}"
        table.add_row(one.promise, bound, f"{one.measured:.3g}", "kept" if one.kept else "[red]missed[/red]")
    console.print(table)


def _print_rest(console: Console, found: Found) -> None:
    for name, what in found.what.items():
        console.print(f"{name}: {what}")
    for name, reason in found.absent.items():
        console.print(f"{name}: [red]not measured[/red]: {reason}", highlight=False)
