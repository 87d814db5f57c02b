"""The stories: each puts something through that endpoints live through, and says what clients noticed of it."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.serving.costs import pss_bytes
from bench.stories.endpoints import (
    BODY,
    LARGE,
    QUEUED,
    QUICK_SECONDS,
    SLOW,
    SLOW_SECONDS,
    STEADY,
    write_large,
    write_predictor,
)
from bench.stories.steady import Call, Steady, percentile
from bench.yard import FreshYard

CLIENTS = 8
PER_SECOND = 200.0
REST_SECONDS = 5.0
KILLS = 5
KILL_PAUSE_SECONDS = 2.0
AFTER_STEP_SECONDS = 3.0
AFTER_STEP_LOOKED_SECONDS = 4.0
STEP_CLIENTS = 12
QUEUEING_CLIENTS = 32
ACCEPTED = 202
COLD_STARTS = 5
REPLICAS_OF_LARGE = 10
LIMIT_SECONDS = 60.0
_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a story gave. Times are seconds; `rest_p99_seconds` is of the same load with nothing going on."""

    story: str
    requests: int
    failed: int
    rest_p99_seconds: float | None
    p99_seconds: float | None
    figures: dict[str, float]


Story = Callable[[FreshYard, Path], Noticed]


def rolling(yard: FreshYard, folder: Path) -> Noticed:
    """A new version takes over from two replicas of the old one."""
    scaling = _replicas(2)
    _live(yard, write_predictor(folder, STEADY, QUICK_SECONDS, scaling), STEADY)

    def story() -> None:
        _live(yard, write_predictor(folder, STEADY, QUICK_SECONDS, scaling, change=1), STEADY)

    return _under_load("rolling", yard, story)


def canary(yard: FreshYard, folder: Path) -> Noticed:
    """A new version takes a tenth, then half, then all of the requests from two replicas of the old one."""
    _live(yard, write_predictor(folder, STEADY, QUICK_SECONDS, _replicas(2)), STEADY)
    strategy = {"type": "canary", "steps": ["10%", "50%"], "bake_time": "2s"}

    def story() -> None:
        changed = write_predictor(folder, STEADY, QUICK_SECONDS, _replicas(2), change=1, update_strategy=strategy)
        _live(yard, changed, STEADY)

    return _under_load("canary", yard, story)


def scaling(yard: FreshYard, folder: Path) -> Noticed:
    """Two replicas become four and two again."""
    _live(yard, write_predictor(folder, STEADY, QUICK_SECONDS, _replicas(2)), STEADY)

    def story() -> None:
        for count in (4, 2):
            _live(yard, write_predictor(folder, STEADY, QUICK_SECONDS, _replicas(count)), STEADY)
            _until(lambda count=count: len(_ready(yard, STEADY)) == count)

    return _under_load("scaling", yard, story)


def kills(yard: FreshYard, folder: Path) -> Noticed:
    """`kill -9` of one of two replicas every 2 s."""
    _live(yard, write_predictor(folder, STEADY, QUICK_SECONDS, _replicas(2)), STEADY)

    def story() -> None:
        for _ in range(KILLS):
            _until(lambda: len(_ready(yard, STEADY)) == 2)
            os.kill(_ready(yard, STEADY)[0]["pid"], signal.SIGKILL)
            time.sleep(KILL_PAUSE_SECONDS)

    return _under_load("kills", yard, story)


def zero(yard: FreshYard, folder: Path) -> Noticed:
    """To zero when nobody asks, and back with the next request; with the environment's template warm and without."""
    scaling = {"min_replicas": 0, "max_replicas": 1, "last_replica_delay": "1s"}
    _live(yard, write_predictor(folder, SLOW, 0.0, scaling), SLOW)
    warm = [_first_call(yard) for _ in range(COLD_STARTS)]
    cold = [_first_call(yard, without_templates=True) for _ in range(2)]
    calls = [*warm, *cold]
    return Noticed(
        "zero",
        len(calls),
        sum(call.status != 200 for call in calls),
        None,
        None,
        {
            "cold_start_warm_seconds": percentile(warm, 0.5),
            "cold_start_without_template_seconds": percentile(cold, 0.99),
        },
    )


def queued(yard: FreshYard, folder: Path) -> Noticed:
    """Invocations are queued by clients that wait for each acknowledgement, which is on disk; then all are done."""
    scaling = {"min_replicas": 1, "max_replicas": 1}
    _live(yard, write_predictor(folder, QUEUED, 0.0, scaling, kind="async"), QUEUED)
    with Steady(f"{yard.url}/endpoints/{QUEUED}/async-invocations", BODY, QUEUEING_CLIENTS, None) as load:
        time.sleep(REST_SECONDS)
    ended_at = time.monotonic()
    accepted = sum(call.status == ACCEPTED for call in load.calls)
    _until(lambda: not yard.client.invocations(QUEUED, status="in_queue", limit=1))
    _until(lambda: not yard.client.invocations(QUEUED, status="in_progress", limit=1))
    dead = len(yard.client.invocations(QUEUED, status="failed", limit=100))
    return Noticed(
        "queued",
        len(load.calls),
        len(load.calls) - accepted + dead,
        None,
        percentile(load.calls, 0.99),
        {
            "accepted_per_second": accepted / REST_SECONDS,
            "done_per_second": accepted / (REST_SECONDS + time.monotonic() - ended_at),
        },
    )


def step(yard: FreshYard, folder: Path) -> Noticed:
    """From 1 to 12 requests in flight, 50 ms each, one at a time in a replica."""
    scaling = {"min_replicas": 1, "max_replicas": 16}
    _live(yard, write_predictor(folder, SLOW, SLOW_SECONDS, scaling), SLOW)
    url = yard.prediction_url(SLOW)
    with Steady(url, BODY, 1, None) as one:
        time.sleep(REST_SECONDS)
        began_at = time.monotonic()
        with Steady(url, BODY, STEP_CLIENTS - 1, None) as others:
            time.sleep(AFTER_STEP_SECONDS + AFTER_STEP_LOOKED_SECONDS)
    calls = [*one.calls, *others.calls]
    after = [*one.since(began_at + AFTER_STEP_SECONDS), *others.since(began_at + AFTER_STEP_SECONDS)]
    return Noticed(
        "step",
        len(calls),
        sum(call.status != 200 for call in calls),
        percentile(one.since(0.0, began_at), 0.99),
        percentile(after, 0.99),
        {"p95_queueing_seconds": percentile(after, 0.95) - SLOW_SECONDS},
    )


def memory(yard: FreshYard, folder: Path) -> Noticed:
    """Ten replicas of a model of 200 MB: what each one more takes, of what the first took with its template."""
    sizes: list[int] = []
    for count in (1, REPLICAS_OF_LARGE):
        _live(yard, write_large(folder, count), LARGE)
        _until(lambda count=count: len(_ready(yard, LARGE)) == count)
        pids = [replica["pid"] for replica in _ready(yard, LARGE)]
        templates = {psutil.Process(pid).ppid() for pid in pids}
        sizes.append(pss_bytes([*pids, *templates]))
    each = (sizes[1] - sizes[0]) / (REPLICAS_OF_LARGE - 1)
    figures = {"first_bytes": float(sizes[0]), "one_more_bytes": each, "one_more_of_first": each / sizes[0]}
    return Noticed("memory", 0, 0, None, None, figures)


STORIES: dict[str, Story] = {
    "rolling": rolling,
    "canary": canary,
    "scaling": scaling,
    "kills": kills,
    "zero": zero,
    "step": step,
    "queued": queued,
    "memory": memory,
}


# -- steps ---------------------------------------------------------------------------------------------------------


def _replicas(count: int) -> dict[str, Any]:
    return {"min_replicas": count, "max_replicas": count}


def _under_load(name: str, yard: FreshYard, story: Callable[[], None]) -> Noticed:
    """The story under steady load, after as much load at rest."""
    with Steady(yard.prediction_url(STEADY), BODY, CLIENTS, PER_SECOND) as load:
        time.sleep(REST_SECONDS)
        began_at = time.monotonic()
        story()
        ended_at = time.monotonic()
        time.sleep(1.0)
    during = load.since(began_at)
    return Noticed(
        name,
        len(load.calls),
        sum(call.status != 200 for call in load.calls),
        percentile(load.since(0.0, began_at), 0.99),
        percentile(during, 0.99),
        {"story_seconds": ended_at - began_at, "slowest_seconds": percentile(during, 1.0)},
    )


def _live(yard: FreshYard, yard_file: Path, name: str) -> None:
    """Deploys and waits. Raises RuntimeError where the endpoint does not come to serve it."""
    yard.client.deploy(yard_file)
    view = yard.client.wait_endpoint(name)
    if view.state != "live":
        raise RuntimeError(f"cannot tell the story: {view.sentence}")


def _ready(yard: FreshYard, name: str) -> Sequence[Any]:
    return [one for one in yard.client.endpoint(name).replicas if one.state == "ready"]


def _first_call(yard: FreshYard, *, without_templates: bool = False) -> Call:
    """The first request to the endpoint after it went to zero."""
    _until(lambda: not yard.client.endpoint(SLOW).replicas)
    if without_templates:
        for template in _templates(yard):
            template.kill()
            template.wait(LIMIT_SECONDS)
    with Steady(yard.prediction_url(SLOW), BODY, 1, 1.0) as load:
        _until(lambda: bool(load.calls))
    return load.calls[0]


def _templates(yard: FreshYard) -> list[psutil.Process]:
    supervisor = next(one["pid"] for one in yard.client.status()["processes"] if one["name"] == "supervisor")
    family = psutil.Process(supervisor).children(recursive=True)
    return [one for one in family if any("templates" in word for word in one.cmdline())]


def _until(condition: Callable[[], bool]) -> None:
    """Raises RuntimeError where it does not come true within LIMIT_SECONDS."""
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError("cannot tell the story: what it waits for does not come")
        time.sleep(_POLL_SECONDS)
