"""Engines under one roof: a real one with real workers, and the fake, as far as both can be driven alike."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import psutil
from modelyard_worker.records import is_alive, read_identity

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.runs import JobFact
from modelyard.engines.fake import FakeEngine
from modelyard.engines.local.engine import LocalEngine
from modelyard.engines.ports import Engine, JobOrder, ReplicaOrder, ReplicaSight
from modelyard.settings import Home

LIMIT_SECONDS = 30.0

DIGEST = "d" * 64

ECHO = "class Predictor:\n    def predict(self, payload):\n        return payload\n"

SLEEP = "import time; print('asleep', flush=True); time.sleep(600)"


async def until(condition: Callable[[], Any], what: str = "the condition") -> Any:
    """Polls until it holds and gives what it gave."""
    ends_at = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < ends_at:
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(f"{what} did not come true within {LIMIT_SECONDS} s")


def sight(engine: Engine, replica: str) -> ReplicaSight:
    return next(one for one in engine.replicas() if one.id == replica)


def order(replica: str = "iris-1-aa", package: str = "", digest: str = DIGEST, **spec: Any) -> ReplicaOrder:
    fields: dict[str, Any] = {"drain_seconds": 5.0, **spec}
    return ReplicaOrder(replica, "iris", 1, EndpointSpec(digest, **fields), package)


class Harness(Protocol):
    """What a test of the port needs beside the port itself."""

    cpu_millis: int
    memory_bytes: int

    @property
    def engine(self) -> Engine: ...

    def replica_order(self, replica: str = "iris-1-aa", **spec: Any) -> ReplicaOrder:
        """An order whose replica becomes ready."""
        ...

    def job_order(self, job: str = "fit-1") -> JobOrder:
        """An order whose job runs until it is told to end."""
        ...

    async def restart(self) -> None:
        """The controller dies and another one comes."""
        ...

    async def kill_replica(self, replica: str) -> None:
        """Its process ends by SIGKILL, from outside."""
        ...

    async def drained(self, replica: str) -> None:
        """What it holds is finished, where it drains."""
        ...

    async def let_job_end(self, job: str) -> None:
        """The job's command ends well."""
        ...

    async def lose_job(self, job: str) -> None:
        """All of a job is killed from outside."""
        ...

    async def job_ended(self, job: str) -> JobFact: ...

    async def close(self) -> None: ...


class FakeHarness:
    def __init__(self) -> None:
        self.fake = FakeEngine(cpu_millis=2000, memory_bytes=4 * 2**30)
        self.cpu_millis, self.memory_bytes = 2000, 4 * 2**30

    @property
    def engine(self) -> Engine:
        return self.fake

    def replica_order(self, replica: str = "iris-1-aa", **spec: Any) -> ReplicaOrder:
        return order(replica, **spec)

    def job_order(self, job: str = "fit-1") -> JobOrder:
        return JobOrder(job, "/nowhere", ("true",))

    async def restart(self) -> None:
        await self.fake.close()
        self.fake = self.fake.successor()

    async def kill_replica(self, replica: str) -> None:
        self.fake.die(replica, -9)

    async def let_job_end(self, job: str) -> None:
        self.fake.finish_job(job)

    async def lose_job(self, job: str) -> None:
        self.fake.lose_job(job)

    async def drained(self, replica: str) -> None:  # noqa: ARG002 (all that drain have finished)
        self.fake.finish_stopping()

    async def job_ended(self, job: str) -> JobFact:
        fact = self.fake.job(job)
        assert fact is not None
        assert not fact.alive
        return fact

    async def close(self) -> None:
        await self.fake.close()


class LocalHarness:
    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self.options: dict[str, Any] = {}
        self.local = LocalEngine(home)
        self.past: list[LocalEngine] = []
        self.cpu_millis = len(os.sched_getaffinity(0)) * 1000
        self.memory_bytes = psutil.virtual_memory().total

    @property
    def engine(self) -> Engine:
        return self.local

    def package(self, code: str = ECHO, model: dict[str, Any] | None = None, libraries: tuple[str, ...] = ()) -> str:
        """A package whose predictor is `code`; its folder."""
        folder = self.folder / f"package-{len(list(self.folder.iterdir()))}"
        (folder / "code").mkdir(parents=True)
        (folder / "model").mkdir()
        (folder / "code" / "predictor.py").write_text(code)
        predictor = {"path": "predictor.py", "class": None, "config": {}, "python_path": None}
        document = {"format": 1, "predictor": predictor, "model": model, "libraries": list(libraries)}
        (folder / "package.json").write_text(json.dumps(document))
        return str(folder)

    def replica_order(self, replica: str = "iris-1-aa", code: str = ECHO, **spec: Any) -> ReplicaOrder:
        return order(replica, self.package(code), **spec)

    def fresh_order(self, replica: str = "iris-1-aa", code: str = ECHO) -> ReplicaOrder:
        return replace(self.replica_order(replica, code), why_fresh="it was asked for")

    def job_order(self, job: str = "fit-1", script: str | None = None) -> JobOrder:
        base = self.folder / f"base-{job}"
        base.mkdir(exist_ok=True)
        wait = f"import os, time\nwhile not os.path.exists({str(base / 'go')!r}): time.sleep(0.01)"
        return JobOrder(job, str(base), ("python3", "-c", script or wait), {}, 600.0, 2.0)

    def again(self, **options: Any) -> LocalEngine:
        """The engine, made anew with these options."""
        self.past.append(self.local)
        self.options = options
        self.local = LocalEngine(self.home, **options)
        return self.local

    async def restart(self) -> None:
        await self.local.close()
        self.again(**self.options)

    def process(self, kind: str, name: str) -> psutil.Process:
        identity = read_identity(str(self.home.engine / kind / name))
        assert identity is not None
        assert is_alive(identity)
        return psutil.Process(identity.pid)

    def templates(self) -> dict[str, psutil.Process]:
        names = [one.name for one in (self.home.engine / "templates").iterdir()]
        identities = {name: read_identity(str(self.home.engine / "templates" / name)) for name in names}
        return {name: psutil.Process(one.pid) for name, one in identities.items() if one is not None and is_alive(one)}

    async def kill_replica(self, replica: str) -> None:
        process = self.process("replicas", replica)
        process.kill()
        await until(lambda: gone(process))

    async def drained(self, replica: str) -> None:
        """A replica without connections ends by itself."""

    async def let_job_end(self, job: str) -> None:
        (self.folder / f"base-{job}" / "go").touch()

    async def lose_job(self, job: str) -> None:
        await until(lambda: read_identity(str(self.home.engine / "jobs" / job)))
        self.process("jobs", job).kill()

    async def job_ended(self, job: str) -> JobFact:
        return await until(lambda: (fact := self.local.job(job)) is not None and not fact.alive and fact, "the end")

    async def close(self) -> None:
        await self.local.stop_everything(5.0)
        await self.local.close()
        # Engines that died here live in this process all the same, and have their children to wait for.
        for engine in self.past:
            await engine.close()


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


Run = Callable[[Callable[[Harness], Coroutine[Any, Any, None]]], None]
RunLocal = Callable[[Callable[[LocalHarness], Coroutine[Any, Any, None]]], None]
