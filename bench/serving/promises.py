"""What this project promises of its serving path, and whether a run kept it.

A promise whose case or peer was not measured is not judged.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.serving.alone import ALONE
from bench.serving.cases import CASES_BY_NAME, FRAMEWORKS
from bench.serving.figures import Figures, Ratio, Streamed
from bench.serving.yard import OURS

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that promises are about. Times are seconds; `idle_bytes` is the platform's PSS at each look."""

    figures: Sequence[Figures]
    ratios: Sequence[Ratio]
    streamed: Sequence[Streamed]
    deploy_seconds: Sequence[float]
    idle_bytes: Sequence[int]

    def ratio(self, case: str, peer: str, connections: int) -> Ratio | None:
        return next(
            (one for one in self.ratios if (one.case, one.peer, one.connections) == (case, peer, connections)), None
        )

    def figure(self, case: str, server: str, connections: int) -> Figures | None:
        return next(
            (one for one in self.figures if (one.case, one.server, one.connections) == (case, server, connections)),
            None,
        )


@dataclass(frozen=True, slots=True)
class Promise:
    text: str
    bound: float
    at_least: bool
    measured: Callable[[Evidence], float | None]


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


def judge(evidence: Evidence) -> list[Verdict]:
    found: list[Verdict] = []
    for promise in PROMISES:
        measured = promise.measured(evidence)
        if measured is not None:
            found.append(Verdict(promise.text, measured, promise.bound, promise.at_least))
    return found


def _rate(case: str, peer: str, connections: int) -> Callable[[Evidence], float | None]:
    def measured(evidence: Evidence) -> float | None:
        found = evidence.ratio(case, peer, connections)
        return found.requests_per_second if found is not None else None

    return measured


def _p50(case: str, peer: str, connections: int) -> Callable[[Evidence], float | None]:
    def measured(evidence: Evidence) -> float | None:
        found = evidence.ratio(case, peer, connections)
        return found.p50 if found is not None else None

    return measured


def _best_framework(evidence: Evidence) -> float | None:
    found = [evidence.ratio("iris", name, 64) for name in FRAMEWORKS]
    return min((one.requests_per_second for one in found if one is not None), default=None)


def _p99_to_their_p50(evidence: Evidence) -> float | None:
    ours, theirs = evidence.figure("iris", OURS, 64), evidence.figure("iris", "fastapi-2", 64)
    return ours.p99_seconds / theirs.p50_seconds if ours is not None and theirs is not None else None


def _of_ideal(evidence: Evidence) -> float | None:
    ours, ideal = evidence.figure("batch", OURS, 64), CASES_BY_NAME["batch"].ideal_requests_per_second
    return ours.requests_per_second / ideal if ours is not None and ideal is not None else None


def _later_by_ms(evidence: Evidence) -> float | None:
    first = {one.server: one.first_seconds for one in evidence.streamed}
    return (first[OURS] - first["raw"]) * 1e3 if {OURS, "raw"} <= first.keys() else None


def _deploy_seconds(evidence: Evidence) -> float | None:
    return statistics.median(evidence.deploy_seconds) if evidence.deploy_seconds else None


PROMISES = (
    Promise("iris, 64 connections: requests/s, of uvicorn's constant", 1.0, True, _rate("iris", "constant", 64)),
    Promise("iris, 64 connections: requests/s, of FastAPI with 2 workers", 3.4, True, _rate("iris", "fastapi-2", 64)),
    Promise("iris, 64 connections: requests/s, of the best framework", 9.0, True, _best_framework),
    Promise("iris, 64 connections: p99, of FastAPI's p50 with 2 workers", 1.0, False, _p99_to_their_p50),
    Promise("iris, 1 connection: p50, of raw ASGI with the model in process", 1.1, False, _p50("iris", "raw", 1)),
    Promise("constant, 1 connection: p50, of uvicorn's constant", 2.0, False, _p50("constant", "constant", 1)),
    Promise("batch, 64 connections: requests/s, of what nothing can exceed", 0.97, True, _of_ideal),
    Promise("batch, 64 connections: requests/s, of the work alone", 0.97, True, _rate("batch", ALONE, 64)),
    Promise("floats, 16 connections: requests/s, of FastAPI + orjson", 2.0, True, _rate("floats", "fastapi-1", 16)),
    Promise("stream: ms that the first byte comes later than from raw ASGI", 1.0, False, _later_by_ms),
    Promise("deploy of a registered model to its first prediction, s", 0.5, False, _deploy_seconds),
    Promise(
        "platform processes, idle, MiB PSS",
        200.0,
        False,
        lambda evidence: max(evidence.idle_bytes) / MIB if evidence.idle_bytes else None,
    ),
)
