"""The engine of one machine: replicas forked from templates or started fresh, and jobs in their wrapper."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.eviction import Memory
from modelyard.domain.queueing import Room
from modelyard.domain.runs import JobFact
from modelyard.engines.local.gpus import gpus as gpus_of_machine
from modelyard.engines.local.jobs import Jobs
from modelyard.engines.local.memory import available_memory, private_bytes, usable_bytes
from modelyard.engines.local.probe import PROBE_SECONDS
from modelyard.engines.local.replicas import Replicas
from modelyard.engines.local.templates import LINGER_SECONDS, SHARE_MODEL_BYTES, Templates
from modelyard.engines.ports import JobOrder, Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import StartFailed
from modelyard.settings import CareSettings, Home

KILL_SECONDS = 5.0
"""How long killed processes may take to be gone."""

_PAUSE_SECONDS = 0.02

_log = logging.getLogger("modelyard.controller")


class LocalEngine:
    """Implements `ports.Engine`. To be made on a running loop."""

    def __init__(
        self,
        home: Home,
        *,
        share_model_bytes: int = SHARE_MODEL_BYTES,
        linger_seconds: float = LINGER_SECONDS,
        probe_seconds: float = PROBE_SECONDS,
        gpus: tuple[str, ...] | None = None,
        model_copies_bytes_max: float | None = None,
    ) -> None:
        """`gpus` are those that are handed out; None asks the machine. `model_copies_bytes_max` as in CareSettings."""
        self.changed = asyncio.Event()
        self._cpu_millis = len(os.sched_getaffinity(0)) * 1000
        self._memory_bytes = usable_bytes(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        self._templates = Templates(home.engine / "templates", home.sockets, share_model_bytes, linger_seconds)
        self._jobs = Jobs(home.engine / "jobs", self.changed.set)
        found = gpus_of_machine() if gpus is None else gpus
        given = model_copies_bytes_max
        copies_bytes_max = CareSettings().model_copies_bytes_max if given is None else given
        self._replicas = Replicas(
            home.engine / "replicas",
            home.replica_sockets,
            self._templates,
            self.changed.set,
            probe_seconds,
            found,
            copies={"objects": str(home.model_copies), "objects_bytes_max": int(copies_bytes_max)},
        )

    # -- replicas ----------------------------------------------------------------------------------------------------

    def room(self, spec: EndpointSpec) -> int:
        return self._replicas.room(spec, self._cpu_millis, self._memory_bytes - self._jobs.reserved_memory_bytes())

    async def start_replica(self, order: ReplicaOrder) -> None:
        await self._replicas.start(order)

    async def probe_replica(self, replica: str, limit_seconds: float) -> Probe:
        return await self._replicas.probe(replica, limit_seconds)

    def replicas(self, endpoint: str | None = None) -> list[ReplicaSight]:
        return self._replicas.sights(endpoint)

    def replica(self, replica: str) -> ReplicaSight | None:
        return self._replicas.sight(replica)

    def memory(self) -> Memory:
        return available_memory(self._memory_bytes)

    async def private_memory(self, of: Collection[str] | None = None) -> dict[str, int]:
        processes = {name: pid for name, pid in self._replicas.processes().items() if of is None or name in of}
        return await asyncio.to_thread(lambda: {name: private_bytes(pid) for name, pid in processes.items()})

    def take_changed(self) -> set[str]:
        return self._replicas.take_changed()

    def note_replica(self, replica: str, **notes: str | float) -> None:
        self._replicas.note(replica, notes)

    def stop_replica(self, replica: str, *, kill: bool = False) -> None:
        self._replicas.stop(replica, kill=kill)

    def output_tail(self, replica: str, lines: int = 20) -> str:
        return self._replicas.output_tail(replica, lines)

    def add_to_output(self, replica: str, line: str) -> None:
        self._replicas.add_to_output(replica, line)

    def forget_replica(self, replica: str) -> None:
        self._replicas.forget(replica)

    # -- jobs --------------------------------------------------------------------------------------------------------

    def job_room(self) -> Room:
        return Room(self._cpu_millis, max(0, self._memory_bytes - self._replicas.reserved_memory_bytes()))

    def cores_wanted(self) -> float:
        return os.getloadavg()[0]

    async def start_job(self, order: JobOrder) -> None:
        self._jobs.start(order)

    def job(self, job: str) -> JobFact | None:
        return self._jobs.fact(job)

    def stop_job(self, job: str) -> None:
        self._jobs.stop(job)

    # -- all ---------------------------------------------------------------------------------------------------------

    async def warm(self, libraries: tuple[str, ...]) -> None:
        try:
            await self._templates.warm(libraries)
        except StartFailed as error:
            _log.warning("cannot warm a template: %s", error)

    async def stop_everything(self, limit_seconds: float) -> None:
        # Templates first: from then on nothing new comes.
        self._templates.end_all()
        self._jobs.find_all()
        await self._wait(limit_seconds, self._told_and_alive)
        self._jobs.kill_all()
        for replica in self._replicas.living():
            self._replicas.stop(replica, kill=True)
        await self._wait(KILL_SECONDS, self._anything_lives)

    def _told_and_alive(self) -> bool:
        """Tells jobs and replicas to go, again and again: one may only just have appeared, and to a replica the second
        word means that no gateway will come any more."""
        for job in self._jobs.living():
            self._jobs.stop(job)
        for replica in self._replicas.living():
            self._replicas.stop(replica, kill=False)
        if not self._templates.living():
            self._replicas.expect_no_more_forks()
        return self._anything_lives()

    def _anything_lives(self) -> bool:
        return bool(self._replicas.living() or self._jobs.living() or self._templates.living())

    async def _wait(self, limit_seconds: float, while_: Callable[[], bool]) -> None:
        limit = time.monotonic() + limit_seconds
        while while_() and time.monotonic() < limit:
            await asyncio.sleep(_PAUSE_SECONDS)

    async def close(self) -> None:
        self._replicas.close()
        self._jobs.close()
        self._templates.close()
