"""Thousands of endpoints in one yard: what those at rest cost, and how quickly any of them answers.

    .venv/bin/python -m bench.density --registered 10000 --loaded 200

All are the same small model under names of their own, each with `min_replicas: 0`. They are written into the store in
one go, as deploys would write them one by one.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import joblib
import psutil
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from modelyard.domain.autoscaling import Autoscaling
from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import EndpointSpec
from modelyard.sdk.client import Client
from modelyard.settings import Home
from modelyard.store.sqlite import open_store

LIMIT_SECONDS = 600.0
IDLE_SECONDS = 20.0
DELAY_SECONDS = 3600.0
"""Of what was loaded, nothing goes to zero again before all is measured."""

ASKED = 50
AT_ONCE = 500
CONNECTIONS = 16
RATE_SECONDS = 5.0
RATE_RUNS = 3
ROW = [[5.1, 3.5, 1.4, 0.2]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.density")
    parser.add_argument("--registered", type=int, default=10_000)
    parser.add_argument("--loaded", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="density-") as folder, running(Home(Path(folder) / "home")) as client:
        print(json.dumps(measure(client, Home(Path(folder) / "home"), given.registered, given.loaded), indent=1))
    return 0


@contextmanager
def running(home: Home) -> Generator[Client]:
    environment = {**os.environ, "MODELYARD_HOME": str(home.root)}
    command = [sys.executable, "-m", "modelyard.cli.main"]
    subprocess.run([*command, "up", "--detach", "--port", "0"], env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        with Client(str(json.loads(home.yard.read_text())["url"]), home.key.read_text().strip()) as client:
            yield client
    finally:
        subprocess.run([*command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)


def measure(client: Client, home: Home, registered: int, loaded: int) -> dict[str, Any]:
    model = home.root / "model.joblib"
    data = cast("Any", load_iris())
    learner: Any = LogisticRegression(max_iter=1000)
    joblib.dump(learner.fit(data.data, data.target), model)  # pyright: ignore[reportUnknownMemberType] (has no types)
    client.deploy(model, project="density", name="first")
    client.wait_endpoint("first")
    found: dict[str, Any] = {"platform MiB with one": platform_mib(client)}
    alone = best_rate(client)
    began = time.monotonic()
    fill(home, registered)
    await_known(client, f"e{registered - 1}")
    found["seconds until all are known"] = time.monotonic() - began
    found["platform MiB with all"] = platform_mib(client)
    found["idle CPU, share of a core"] = idle_share(client)
    began = time.monotonic()
    client.deploy(model, project="density", name="one-more")
    client.wait_endpoint("one-more")
    found["deploy of one more, s"] = time.monotonic() - began
    found |= asked(client, registered, loaded)
    beside = best_rate(client)
    found |= {
        "requests a second, one endpoint alone": alone,
        "requests a second, one endpoint beside all": beside,
        "throughput beside all to alone": beside / alone,
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def fill(home: Home, count: int) -> None:
    store = open_store(home)
    spec = EndpointSpec(
        store.endpoints.get("first").wished.spec.package,
        autoscaling=Autoscaling(
            min_replicas=0, max_replicas=1, init_replicas=0, last_replica_delay_seconds=DELAY_SECONDS
        ),
    )
    for start in range(0, count, AT_ONCE):
        names = [f"e{number}" for number in range(start, min(count, start + AT_ONCE))]
        store.deployments.apply("density", Wanted(dict.fromkeys(names, spec)), time.time())
    store.close()


def await_known(client: Client, name: str) -> None:
    """Until the gateway has the last of them, and the controller has seen it."""
    until(lambda: client.endpoint(name).sentence.startswith("version 1: at zero"))


def asked(client: Client, registered: int, loaded: int) -> dict[str, Any]:
    """Some of those at rest, at random: the first answer, which starts a replica, and the ones after."""
    chosen = random.Random(7).sample(range(registered), max(ASKED, loaded))
    with httpx.Client(base_url=client.url, timeout=60.0) as http:

        def ask(number: int) -> float:
            began = time.perf_counter()
            http.post(f"/endpoints/e{number}/invocations", json=ROW).raise_for_status()
            return time.perf_counter() - began

        first = [ask(number) for number in chosen]
        again = [ask(number) for number in random.Random(8).choices(chosen, k=500)]
        alone = [ask(chosen[0]) for _ in range(500)]
    random_rate = asyncio.run(rate(client.url, [f"e{number}" for number in chosen]))
    memory = replica_memory(client)
    return {
        "loaded": len(chosen),
        "from zero to the answer, p50 ms": 1000 * statistics.median(first),
        "from zero to the answer, worst ms": 1000 * max(first),
        "a random loaded one, p50 ms": 1000 * statistics.median(again),
        "one and the same, p50 ms": 1000 * statistics.median(alone),
        "requests a second, each to a random loaded one": random_rate,
        "private MiB of a replica": memory,
        "idle CPU with these loaded, share of a core": idle_share(client),
    }


def best_rate(client: Client) -> float:
    """Requests a second that one endpoint answers, the best of some runs: others use this machine too."""
    return max(asyncio.run(rate(client.url, ["first"])) for _ in range(RATE_RUNS))


async def rate(url: str, chosen: list[str]) -> float:
    """Answers a second at CONNECTIONS connections, each asking endpoints of the list at random."""
    host, port = url.removeprefix("http://").split(":")
    body = json.dumps(ROW).encode()
    head = b"host: %b:%b\r\ncontent-type: application/json\r\ncontent-length: %d" % (
        host.encode(),
        port.encode(),
        len(body),
    )
    requests = {
        name: b"POST /endpoints/%b/invocations HTTP/1.1\r\n%b\r\n\r\n%b" % (name.encode(), head, body)
        for name in chosen
    }
    until = time.monotonic() + RATE_SECONDS

    async def ask(seed: int) -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        chance, count = random.Random(seed), 0
        while time.monotonic() < until:
            writer.write(requests[chance.choice(chosen)])
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            await reader.readexactly(int(answer.partition(b"content-length: ")[2].partition(b"\r")[0]))
            count += 1
        writer.close()
        return count

    return sum(await asyncio.gather(*(ask(seed) for seed in range(CONNECTIONS)))) / RATE_SECONDS


def processes(client: Client) -> list[psutil.Process]:
    return [psutil.Process(one["pid"]) for one in client.status()["processes"] if one["alive"] and one["pid"]]


def platform_mib(client: Client) -> float:
    return sum(one["pss_bytes"] or 0 for one in client.status()["processes"]) / 2**20


def idle_share(client: Client) -> float:
    every = processes(client)
    before = sum(sum(one.cpu_times()[:2]) for one in every)
    time.sleep(IDLE_SECONDS)
    return (sum(sum(one.cpu_times()[:2]) for one in every) - before) / IDLE_SECONDS


def replica_memory(client: Client) -> float:
    pids = [one.pid for view in client.endpoints() for one in view.replicas if one.pid]
    return statistics.median(psutil.Process(pid).memory_full_info().uss for pid in pids) / 2**20


def until(what: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not what():
        if time.monotonic() > limit:
            raise TimeoutError("it did not come about in time")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
