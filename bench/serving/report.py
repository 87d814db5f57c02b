"""From measurements to figures: medians over the rounds, ratios to the peers, verdicts, a table."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.serving.load import GENERATOR, Load
from bench.serving.servers import Server

MIB = 2**20
SHOWN_US_MIN = 0.05


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
            "cpu": statistics.median(
                server_cpu(a.cpu_us_per_request) / server_cpu(b.cpu_us_per_request) for a, b in pairs
            ),
        }
    return found


def server_cpu(cpu_us_per_request: dict[str, float]) -> float:
    """Microseconds a request of all the server's processes together."""
    return sum(used for role, used in cpu_us_per_request.items() if role != GENERATOR)


def print_figures(console: Console, found: Sequence[Figures], servers: Sequence[Server], pss: dict[str, int]) -> None:
    table = Table(title="Serving, medians over the rounds", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("server")
    for column in ("conn.", "requests/s", "min-max", "p50 ms", "p99 ms", "errors", "CPU us", "load's us", "PSS MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    for one in sorted(found, key=lambda figure: figure.connections):
        table.add_row(
            one.server,
            str(one.connections),
            f"{one.requests_per_second:,.0f}",
            f"{one.spread[0]:,.0f}-{one.spread[1]:,.0f}",
            f"{one.p50_seconds * 1e3:.3f}",
            f"{one.p99_seconds * 1e3:.3f}",
            str(one.errors),
            f"{server_cpu(one.cpu_us_per_request):.1f}",
            f"{one.cpu_us_per_request[GENERATOR]:.1f}",
            f"{pss[one.server] / MIB:.0f}",
            end_section=one.server == servers[-1].name,
        )
    console.print(table)
    for server in servers:
        console.print(f"{server.name}: {server.what}")


def print_roles(console: Console, found: Sequence[Figures], server: str, pss: dict[str, int]) -> None:
    """What each process of one server costs."""
    for one in found:
        if one.server == server:
            used = {
                role: cpu for role, cpu in one.cpu_us_per_request.items() if role != GENERATOR and cpu >= SHOWN_US_MIN
            }
            spent = ", ".join(f"{role} {cpu:.1f}" for role, cpu in used.items())
            console.print(f"{server}, CPU us a request at {one.connections} connections: {spent}")
    console.print(f"{server}, PSS MiB: " + ", ".join(f"{role} {used / MIB:.0f}" for role, used in pss.items()))


def print_verdicts(console: Console, verdicts: Sequence[Verdict]) -> None:
    table = Table(title="Promises", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("promise", "measured", "verdict"):
        table.add_column(column, justify="right" if column == "measured" else "left")
    for one in verdicts:
        table.add_row(one.promise, f"{one.measured:.3g}", "kept" if one.kept else "[red]missed[/red]")
    console.print(table)


def verdict_documents(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    return [
        {"promise": one.promise, "measured": one.measured, "bound": one.bound, "kept": one.kept} for one in verdicts
    ]
