"""What is asked while a yard soaks: every lane at a pace of its own, and what befalls a yard in its life."""

import asyncio
import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from bench.yard import FreshYard

PREDICTOR = """
class Predictor:
    def __init__(self, config):
        self.change = config["change"]

    def predict(self, payload):
        if "parts" in payload:
            return self.parts(payload["parts"])
        if "raise" in payload:
            raise ValueError("as asked")
        return {"n": payload.get("n"), "size": len(payload.get("fill", "")), "change": self.change}

    def parts(self, count):
        for number in range(count):
            yield "x" * 1000
"""
TENSORS = """
import numpy as np

class Predictor:
    def predict(self, payload: np.ndarray):
        return payload * 2
"""
OK, ACCEPTED, FAULT = 200, 202, 500
ANSWER_SECONDS = 30.0
LARGE_BYTES = 2**20
REDEPLOY_SECONDS = 60.0
KILL_SECONDS = 47.0
HANG_UP_SECONDS = 0.005


@dataclass
class Soaked:
    """What came of it, by lane."""

    answers: Counter[str] = field(default_factory=Counter[str])
    failures: list[str] = field(default_factory=list[str])

    def count(self, lane: str, *, good: bool, said: str) -> None:
        self.answers[lane] += 1
        if not good:
            self.failures.append(f"{time.strftime('%H:%M:%S')} {lane}: {said[:200]}")


def write_yard_file(folder: Path, change: int) -> Path:
    """Another `change` makes another version, which comes as a canary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mixed.py").write_text(PREDICTOR)
    (folder / "tensors.py").write_text(TENSORS)
    predictor = {"path": "mixed.py", "config": {"change": change}}
    two = {"min_replicas": 2, "max_replicas": 2}
    resources = [
        {
            "name": "mixed",
            "predictor": predictor,
            "autoscaling": two,
            "capture": {"sample": 0.2},
            "update_strategy": {"type": "canary", "steps": ["50%"], "bake_time": "5s"},
        },
        {"name": "tensors", "predictor": {"path": "tensors.py"}, "autoscaling": {"max_replicas": 1}},
        {"name": "queued", "kind": "async", "predictor": predictor, "autoscaling": {"max_replicas": 1}},
        {
            "name": "sleeper",
            "predictor": predictor,
            "autoscaling": {"min_replicas": 0, "max_replicas": 1, "last_replica_delay": "2s"},
        },
        {
            "name": "both",
            "predictor": predictor,
            "autoscaling": {"max_replicas": 1},
            "variants": [{"name": "one", "weight": 3}, {"name": "two"}],
        },
    ]
    path = folder / "modelyard.yaml"
    path.write_text(yaml.safe_dump(resources))
    return path


class Lanes:
    """Asks until `until` (monotonic seconds)."""

    def __init__(self, yard: FreshYard, folder: Path, until: float) -> None:
        self.found = Soaked()
        self._yard = yard
        self._folder = folder
        self._until = until
        self._numbers = itertools.count(1)
        self._client = httpx.AsyncClient(
            base_url=yard.url,
            timeout=ANSWER_SECONDS,
            headers={"x-api-key": yard.key},
            limits=httpx.Limits(max_connections=64),
        )

    async def run(self) -> Soaked:
        lanes: dict[str, tuple[float, Callable[[], Awaitable[httpx.Response]]]] = {
            "predictions": (0.01, self._predict),
            "large bodies": (0.5, self._predict_large),
            "streams": (0.2, self._stream),
            "event streams": (0.3, self._event_stream),
            "tensors": (0.1, self._infer),
            "variants": (0.1, self._variant),
            "faults of a model": (0.5, self._raise),
            "from zero": (5.0, self._wake),
            "queued": (0.2, self._queue),
            "api": (1.0, lambda: self._client.get("/api/v1/endpoints")),
            # Of an hour there would be more to answer from minute to minute, for an hour.
            "history": (2.0, lambda: self._client.get("/api/v1/endpoints/mixed/metrics?since=5m")),
            "captures": (20.0, lambda: self._client.get("/api/v1/endpoints/mixed/captures/records?limit=10")),
            "metrics": (5.0, lambda: self._client.get("/metrics")),
        }
        async with self._client:
            await asyncio.gather(
                *(self._repeat(name, pause, ask) for name, (pause, ask) in lanes.items()),
                self._hang_up(),
                self._redeploy(),
                self._kill(),
            )
        return self.found

    # -- lanes -------------------------------------------------------------------------------------------------------

    async def _predict(self) -> httpx.Response:
        number = next(self._numbers)
        return await self._client.post("/endpoints/mixed/invocations", json={"n": number, "fill": "x" * (number % 999)})

    async def _predict_large(self) -> httpx.Response:
        return await self._client.post("/endpoints/mixed/invocations", json={"fill": "x" * LARGE_BYTES})

    async def _stream(self) -> httpx.Response:
        return await self._client.post("/endpoints/mixed/invocations", json={"parts": 20})

    async def _event_stream(self) -> httpx.Response:
        return await self._client.post("/endpoints/mixed/invocations-response-stream", json={"parts": 5})

    async def _infer(self) -> httpx.Response:
        tensor = {"name": "payload", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
        return await self._client.post("/v2/models/tensors/infer", json={"inputs": [tensor]})

    async def _variant(self) -> httpx.Response:
        return await self._client.post("/endpoints/both/invocations", json={"n": 1})

    async def _raise(self) -> httpx.Response:
        return await self._client.post("/endpoints/mixed/invocations", json={"raise": True})

    async def _wake(self) -> httpx.Response:
        return await self._client.post("/endpoints/sleeper/invocations", json={"n": 1})

    async def _queue(self) -> httpx.Response:
        """Accepted, done, and its result read."""
        path = f"/endpoints/queued/async-invocations/soak-{next(self._numbers)}"
        accepted = await self._client.put(path, json={"n": 1})
        if accepted.status_code != ACCEPTED:
            return accepted
        await self._client.get(f"{path}?wait=20")
        return await self._client.get(f"{path}/result")

    async def _repeat(self, name: str, pause: float, ask: Callable[[], Awaitable[httpx.Response]]) -> None:
        good = FAULT if name == "faults of a model" else OK
        while time.monotonic() < self._until:
            began = time.monotonic()
            try:
                answer = await ask()
            except httpx.HTTPError as error:
                self.found.count(name, good=False, said=repr(error))
            else:
                self.found.count(name, good=answer.status_code == good, said=f"{answer.status_code} {answer.text}")
            await asyncio.sleep(max(0.0, pause - (time.monotonic() - began)))

    # -- what befalls a yard -----------------------------------------------------------------------------------------

    async def _hang_up(self) -> None:
        """Clients that go away with their requests half sent or half answered."""
        host, port = self._yard.url.removeprefix("http://").split(":")
        body = json.dumps({"parts": 200}).encode()
        head = f"POST /endpoints/mixed/invocations HTTP/1.1\r\nHost: {host}:{port}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        for sent in itertools.cycle((head.encode() + body, head.encode() + body[:3], head.encode()[:20])):
            if time.monotonic() >= self._until:
                return
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            await asyncio.sleep(HANG_UP_SECONDS)
            writer.transport.abort()
            self.found.answers["hung up"] += 1
            await asyncio.sleep(0.5)

    async def _redeploy(self) -> None:
        for change in itertools.count(2):
            await self._pause(REDEPLOY_SECONDS)
            if time.monotonic() >= self._until:
                return
            await asyncio.to_thread(self._yard.client.deploy, write_yard_file(self._folder, change))
            self.found.answers["deploys"] += 1

    async def _kill(self) -> None:
        """`kill -9` of one of the replicas that serve."""
        while True:
            await self._pause(KILL_SECONDS)
            if time.monotonic() >= self._until:
                return
            view = await asyncio.to_thread(self._yard.client.endpoint, "mixed")
            ready = [one.pid for one in view.replicas if one.state == "ready" and one.pid is not None]
            if len(ready) > 1:
                os.kill(ready[0], signal.SIGKILL)
                self.found.answers["kills"] += 1

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, min(seconds, self._until - time.monotonic())))
