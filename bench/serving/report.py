"""From measurements to figures: medians over the rounds, ratios to the peers, verdicts, a table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.serving.load import Load
from bench.serving.servers import Server

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the rounds of one server at one number of connections; `spread` is (min, max) of requests/s."""

    server: str
    connections: int
    requests_per_second: float
    spread: tuple[float, float]
    p50_seconds: float
    p99_seconds: float
    errors: int
    cpu_us_per_request: dict[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promise and what was measured of it."""

    promise: str
    measured: float
    bound: float
    at_least: bool

    @property
    def kept(self) -> bool:
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def figures(loads: Sequence[Load]) -> list[Figures]:
    groups: dict[tuple[str, int], list[Load]] = {}
    for load in loads:
        groups.setdefault((load.server, load.connections), []).append(load)
    return [_figures(group) for group in groups.values()]


def _figures(group: list[Load]) -> Figures:
    rates = [load.requests_per_second for load in group]
    return Figures(
        server=group[0].server,
        connections=group[0].connections,
        requests_per_second=statistics.median(rates),
        spread=(min(rates), max(rates)),
        p50_seconds=statistics.median(load.p50_seconds for load in group),
        p99_seconds=statistics.median(load.p99_seconds for load in group),
        errors=sum(load.errors for load in group),
        cpu_us_per_request={
            role: statistics.median(load.cpu_us_per_request[role] for load in group)
            for role in group[0].cpu_us_per_request
        },
    )


def ratios(loads: Sequence[Load], ours: str) -> dict[str, dict[str, dict[str, float]]]:
    """Ours over each peer's, at each number of connections: median over rounds of the ratio within a round.

    What disturbs the machine for a round disturbs both sides of its ratio.
    """
    rounds: dict[tuple[str, int], list[Load]] = {}
    for load in loads:
        rounds.setdefault((load.server, load.connections), []).append(load)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (server, connections), theirs in rounds.items():
        if server == ours:
            continue
        pairs = list(zip(rounds[ours, connections], theirs, strict=True))
        found.setdefault(str(connections), {})[server] = {
            "requests_per_second": statistics.median(a.requests_per_second / b.requests_per_second for a, b in pairs),
            "p50": statistics.median(a.p50_seconds / b.p50_seconds for a, b in pairs),
            "p99": statistics.median(a.p99_seconds / b.p99_seconds for a, b in pairs),
            "cpu": statistics.median(_server_cpu(a) / _server_cpu(b) for a, b in pairs),
        }
    return found


def _server_cpu(load: Load) -> float:
    return sum(used for role, used in load.cpu_us_per_request.items() if role != "generator")


def print_figures(console: Console, found: Sequence[Figures], servers: Sequence[Server], pss: dict[str, int]) -> None:
    what = {server.name: server.what for server in servers}
    table = Table(title="Serving, medians over the rounds")
    for column in (
        "server",
        "conn.",
        "requests/s",
        "min-max",
        "p50 ms",
        "p99 ms",
        "errors",
        "CPU us/request",
        "PSS MiB",
    ):
        table.add_column(column, justify="left" if column in ("server", "CPU us/request") else "right")
    for one in sorted(found, key=lambda figure: figure.connections):
        table.add_row(
            what[one.server],
            str(one.connections),
            f"{one.requests_per_second:,.0f}",
            f"{one.spread[0]:,.0f}-{one.spread[1]:,.0f}",
            f"{one.p50_seconds * 1e3:.3f}",
            f"{one.p99_seconds * 1e3:.3f}",
            str(one.errors),
            "  ".join(f"{role} {used:.1f}" for role, used in one.cpu_us_per_request.items() if used >= 0.05),
            f"{pss[one.server] / MIB:.0f}",
        )
    console.print(table)


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    table = Table(title="Promises")
    for column in ("promise", "measured", "verdict"):
        table.add_column(column, justify="right" if column == "measured" else "left")
    for one in verdicts:
        table.add_row(one.promise, f"{one.measured:.3g}", "kept" if one.kept else "[red]missed[/red]")
    console.print(table)


def verdict_documents(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {"promise": one.promise, "measured": one.measured, "bound": one.bound, "kept": one.kept} for one in verdicts
    ]
