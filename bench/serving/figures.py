"""From measurements to figures: medians over the rounds, and ratios of ours to each peer's."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.serving.first_byte import FirstByte
from bench.serving.load import GENERATOR, Load


@dataclass(frozen=True, slots=True)
class Figures:
    """Medians over the rounds of one server at one number of connections; `spread` is (min, max) of requests/s."""

    case: str
    server: str
    connections: int
    requests_per_second: float
    spread: tuple[float, float]
    p50_seconds: float
    p99_seconds: float
    errors: int
    cpu_us_per_request: dict[str, float]

    @property
    def server_cpu_us(self) -> float:
        """A request, all the server's processes together."""
        return _server_cpu(self.cpu_us_per_request)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over a peer's, at one number of connections."""

    case: str
    peer: str
    connections: int
    requests_per_second: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Streamed:
    """Medians over all requests: to the first byte of an answer's body, and to its end."""

    server: str
    requests: int
    first_seconds: float
    whole_seconds: float


def figures(loads: Iterable[Load]) -> list[Figures]:
    return [_figures(group) for group in _groups(loads).values()]


def ratios(loads: Iterable[Load], ours: str) -> list[Ratio]:
    """Ours over each peer's: the median over rounds of the ratio within a round.

    What disturbs the machine for a round disturbs both sides of its ratio. A framework is measured after ours, so its
    rounds are later ones; the median takes away what one of them met.
    """
    groups = _groups(loads)
    found: list[Ratio] = []
    for (case, server, connections), theirs in groups.items():
        mine = groups.get((case, ours, connections))
        if server == ours or mine is None:
            continue
        pairs = list(zip(mine, theirs, strict=True))
        found.append(
            Ratio(
                case,
                server,
                connections,
                statistics.median(a.requests_per_second / max(b.requests_per_second, 1e-9) for a, b in pairs),
                statistics.median(a.p50_seconds / max(b.p50_seconds, 1e-9) for a, b in pairs),
                statistics.median(a.p99_seconds / max(b.p99_seconds, 1e-9) for a, b in pairs),
                statistics.median(
                    _server_cpu(a.cpu_us_per_request) / max(_server_cpu(b.cpu_us_per_request), 1e-9) for a, b in pairs
                ),
            )
        )
    return found


def streamed(times: dict[str, list[FirstByte]]) -> list[Streamed]:
    return [
        Streamed(
            server,
            len(each),
            statistics.median(one.first_seconds for one in each),
            statistics.median(one.whole_seconds for one in each),
        )
        for server, each in times.items()
    ]


def _groups(loads: Iterable[Load]) -> dict[tuple[str, str, int], list[Load]]:
    groups: dict[tuple[str, str, int], list[Load]] = {}
    for load in loads:
        groups.setdefault((load.case, load.server, load.connections), []).append(load)
    return groups


def _figures(group: Sequence[Load]) -> Figures:
    rates = [load.requests_per_second for load in group]
    return Figures(
        case=group[0].case,
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


def _server_cpu(cpu_us_per_request: dict[str, float]) -> float:
    return sum(used for role, used in cpu_us_per_request.items() if role != GENERATOR)
