"""A controller on a stage: real passes over a store in memory and an engine that pretends, and a clock that stands."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from modelyard.clock import ManualClock
from modelyard.controller.loop import Controller
from modelyard.domain.deployments import Wanted
from modelyard.domain.endpoints import EndpointSpec, EndpointStatus
from modelyard.domain.runs import Run, RunSpec
from modelyard.engines.fake import FakeEngine
from modelyard.engines.ports import ReplicaSight
from modelyard.settings import Home
from modelyard.store.memory import MemoryArtifacts, MemoryStore
from modelyard.store.ports import TreeFile

TURNS = 20
"""Turns of the loop that everything in the background needs at most to come to rest."""


class Stage:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.artifacts = MemoryArtifacts()
        self.engine = FakeEngine(self.clock, cpu_millis=4000)
        self.controller = self._new_controller()

    def _new_controller(self) -> Controller:
        return Controller(self.home, self.store, self.artifacts, self.engine, self.clock)

    # -- what happens ------------------------------------------------------------------------------------------------

    async def look(self, passes: int = 1) -> float | None:
        """Passes, and after each what it began in the background."""
        wake_at = None
        for _ in range(passes):
            wake_at = await self.controller.look()
            await self.controller._schedules.settle()
            await self.controller._runs.settle()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        return wake_at

    async def wait(self, seconds: float) -> None:
        """Lets time pass, and the controller look."""
        self.clock.advance(seconds)
        await self.look(2)

    async def restart(self) -> None:
        """The controller is killed, and another comes."""
        await self.controller._endpoints.replicas.close()
        self.engine = self.engine.successor()
        self.controller = self._new_controller()
        await self.look(2)

    # -- endpoints ---------------------------------------------------------------------------------------------------

    def package(self, word: str = "one") -> str:
        content = json.dumps({"format": 1, "predictor": None, "model": None, "libraries": [], "word": word}).encode()
        return self.artifacts.put_tree([TreeFile("package.json", self.artifacts.put_bytes(content), len(content))])

    async def deploy(self, name: str = "iris", word: str = "one", **spec: Any) -> None:
        self.store.deployments.apply("shop", Wanted({name: EndpointSpec(self.package(word), **spec)}), self.clock.now())
        await self.look(3)

    def status(self, name: str = "iris") -> EndpointStatus:
        found = self.store.endpoints.status(name)
        assert found is not None
        return found

    @property
    def state(self) -> str:
        return self.status().state.value

    def alive(self, version: int | None = None) -> list[ReplicaSight]:
        return [one for one in self.engine.replicas() if one.alive and version in (None, one.version)]

    @property
    def addresses(self) -> list[str]:
        """Ids of the replicas that the table gives to gateways."""
        entry = self.controller.publisher.table.entries.get("iris")
        return [one.id for one in entry.replicas] if entry is not None else []

    # -- runs --------------------------------------------------------------------------------------------------------

    def tree(self, **files: str) -> str:
        made = [(name.replace("__", "."), text.encode()) for name, text in files.items()]
        return self.artifacts.put_tree(
            [TreeFile(name, self.artifacts.put_bytes(content), len(content)) for name, content in made]
        )

    def run(self, run: str = "fit-1") -> Run:
        return self.store.runs.get(run)

    async def train(self, looked_at: bool = True, **spec: Any) -> Run:
        code = self.tree(train__py="print()")
        given: dict[str, Any] = {"algorithm": None, "entry": "train.py", "code": code, **spec}
        made = self.store.runs.create(RunSpec("fit", "shop", **given), self.clock.now())
        if looked_at:
            await self.look()
        return self.run(made.id)

    def base(self, run: str = "fit-1") -> Path:
        return Path(self.engine.job_orders[run].base)

    def sentences(self, name: str) -> list[str]:
        return [one.sentence for one in reversed(self.store.events.select(name=name))]


Tell = Callable[[Callable[[Stage], Coroutine[Any, Any, None]]], None]
