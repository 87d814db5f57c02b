"""What is promised of what stands in front, and whether a run kept it. What was not measured is not judged."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.front.comparisons import OURS, Found
from bench.front.house import ALONE
from bench.front.sockets import Echoes
from bench.serving.figures import Ratio, ratios
from bench.serving.promises import Verdict


@dataclass(frozen=True, slots=True)
class Promise:
    """A ratio of ours to the other side's, within a round; the median over the rounds."""

    text: str
    case: str
    peer: str
    connections: int
    at_least: float


PROMISES = (
    Promise(
        "app that writes its page, 64 connections: requests/s, of the app alone",
        "app, page written anew",
        ALONE,
        64,
        0.7,
    ),
    Promise("app that does nothing, 64 connections: requests/s, of the app alone", "app", ALONE, 64, 0.7),
    Promise("site, 64 connections: requests/s, of nginx", "site", "nginx", 64, 0.5),
    Promise("site, compressed, 64 connections: requests/s, of nginx", "site, compressed", "nginx", 64, 0.5),
    Promise("prediction with a key, 64 connections: requests/s, of a public one", "access, key", ALONE, 64, 0.9),
    Promise(
        "prediction with a key and an address list, 64 connections: requests/s, of a public one",
        "access, key and address",
        ALONE,
        64,
        0.9,
    ),
)
ECHO_BOUND = 2.0
HELD_KIB_BOUND = 64.0
"""Of a gateway, for each open WebSocket."""


def judge(found: Found) -> list[Verdict]:
    measured = ratios(found.loads, OURS)
    verdicts = [
        Verdict(one.text, value.requests_per_second, one.at_least, at_least=True)
        for one in PROMISES
        if (value := _ratio(measured, one)) is not None
    ]
    if found.echoes:
        text = "WebSocket echo: p50, of the app alone"
        verdicts.append(Verdict(text, echo_ratio(found.echoes, lambda one: one.p50_seconds), ECHO_BOUND, False))
    if found.held is not None:
        text = f"{found.held.sockets:,} open WebSockets: KiB of the gateway's for each"
        verdicts.append(Verdict(text, found.held.bytes_each("gateway") / 1024, HELD_KIB_BOUND, False))
    return verdicts


def echo_ratio(measured: Sequence[Echoes], figure: Callable[[Echoes], float]) -> float:
    """Ours over the app's own: the median over rounds of the ratio within a round."""
    ours = [figure(one) for one in measured if one.side == OURS]
    alone = [figure(one) for one in measured if one.side == ALONE]
    return statistics.median(a / b for a, b in zip(ours, alone, strict=True))


def _ratio(measured: Sequence[Ratio], promise: Promise) -> Ratio | None:
    wanted = (promise.case, promise.peer, promise.connections)
    return next((one for one in measured if (one.case, one.peer, one.connections) == wanted), None)
