"""An engine that pretends: no processes, no waiting. Tests script what becomes of each replica and job.

By default a replica starts at once and its probe is answered; `plans` says otherwise for the ones to come. `successor`
is the engine of a controller that comes after a dead one: what ran, runs.
"""

import asyncio
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from modelyard.clock import Clock, SystemClock
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.eviction import Memory
from modelyard.domain.names import name_key
from modelyard.domain.queueing import Room
from modelyard.domain.runs import JobFact
from modelyard.engines.ports import JobOrder, Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import StartFailed

ROOM_MAX = 2**31
"""Room for replicas that reserve nothing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one replica."""

    refused: str | None = None
    """Its start fails with this."""
    cannot_fork: str | None = None
    """A fork is refused with this, so a fresh process is started."""
    probe: Probe | None = field(default_factory=lambda: Probe(ok=True))
    """What its probe answers; None leaves the probe without an answer until `answer_probe`."""


@dataclass(slots=True)
class _Machine:
    """What outlives an engine: the processes and the records of them."""

    replicas: dict[str, ReplicaSight] = field(default_factory=dict[str, ReplicaSight])
    specs: dict[str, EndpointSpec] = field(default_factory=dict[str, EndpointSpec])
    planned: dict[str, Plan] = field(default_factory=dict[str, Plan])
    output: dict[str, str] = field(default_factory=dict[str, str])
    jobs: dict[str, JobFact] = field(default_factory=dict[str, JobFact])
    job_orders: dict[str, JobOrder] = field(default_factory=dict[str, JobOrder])


class FakeEngine:
    """Implements `ports.Engine`."""

    def __init__(
        self, clock: Clock | None = None, *, cpu_millis: int = 2**31, memory_bytes: int = 2**60, gpus: int = 0
    ) -> None:
        self.changed = asyncio.Event()
        self.plans: deque[Plan] = deque()
        """For the next starts, in order; then all goes well."""
        self.available_bytes = memory_bytes
        """What memory the machine has available."""
        self.held: dict[str, int] = {}
        """What memory replicas hold."""
        self.held_by_others = 0
        """The same, of each that `held` does not name."""
        self._clock = clock or SystemClock()
        self._cpu_millis = cpu_millis
        self._memory_bytes = memory_bytes
        self._gpus = gpus
        self._machine = _Machine()
        self._answers: dict[str, asyncio.Future[Probe]] = {}
        self._changed_endpoints: set[str] = set()

    # -- what tests do -----------------------------------------------------------------------------------------------

    def successor(self) -> "FakeEngine":
        """A new engine that finds what this one, which must not be used any more, has left."""
        found = FakeEngine(self._clock, cpu_millis=self._cpu_millis, memory_bytes=self._memory_bytes, gpus=self._gpus)
        found._machine = self._machine
        found._changed_endpoints = {name_key(one.endpoint) for one in self._machine.replicas.values()}
        return found

    def die(self, replica: str, exit_code: int = -9, output: str = "", reason: str | None = None) -> None:
        """The replica's process ends by itself."""
        self._machine.output[replica] = output
        self._end(replica, exit_code, reason)

    def reboot(self) -> None:
        """The machine goes down and comes back: no process is left, and none has recorded its end."""
        for name, sight in self._machine.replicas.items():
            if sight.alive:
                self._put(replace(sight, interrupted=True))
                self._end(name, None)
        for name, job in self._machine.jobs.items():
            if job.alive:
                self._machine.jobs[name] = JobFact(alive=False, attempt=job.attempt)

    def answer_probe(self, replica: str, answer: Probe) -> None:
        """Answers a probe that its plan left without an answer."""
        self._answers.setdefault(replica, asyncio.get_running_loop().create_future()).set_result(answer)

    def finish_stopping(self) -> None:
        """Replicas that drain have finished."""
        for sight in list(self._machine.replicas.values()):
            if sight.alive and sight.stopping:
                self._end(sight.id, 0)

    def finish_job(
        self, job: str, exit_code: int = 0, failure: str | None = None, metrics: dict[str, float] | None = None
    ) -> None:
        self._end_job(job, JobFact(False, exit_code, "exit", failure, self._clock.now(), metrics or {}))

    def finish_job_by_limit(self, job: str) -> None:
        """The job's own wrapper ends it because its time is over."""
        self._end_job(job, JobFact(False, -15, "max_runtime", None, self._clock.now()))

    def lose_job(self, job: str) -> None:
        """The job's processes are killed, and nobody could write down so."""
        self._end_job(job, JobFact(alive=False))

    @property
    def job_orders(self) -> dict[str, JobOrder]:
        return self._machine.job_orders

    # -- the port ----------------------------------------------------------------------------------------------------

    def room(self, spec: EndpointSpec) -> int:
        living = [self._machine.specs[one.id] for one in self._machine.replicas.values() if one.alive]
        fits = ROOM_MAX
        if spec.cpu_millis:
            fits = (self._cpu_millis - sum(one.cpu_millis or 0 for one in living)) // spec.cpu_millis
        if spec.memory_bytes:
            free = self._memory_bytes - sum(one.memory_bytes or 0 for one in living)
            fits = min(fits, free // spec.memory_bytes)
        if spec.gpus:
            fits = min(fits, (self._gpus - sum(one.gpus for one in living)) // spec.gpus)
        return max(0, fits)

    async def start_replica(self, order: ReplicaOrder) -> None:
        if order.id in self._machine.replicas:
            raise StartFailed(f"cannot start replica {order.id}: it is known already")
        plan = self.plans.popleft() if self.plans else Plan()
        why_fresh = order.why_fresh or plan.cannot_fork
        self._machine.planned[order.id] = plan
        self._machine.specs[order.id] = order.spec
        self._put(
            ReplicaSight(
                id=order.id,
                endpoint=order.endpoint,
                version=order.version,
                package=order.spec.package,
                alive=True,
                pid=len(self._machine.specs),
                started_at=self._clock.now(),
                forked=why_fresh is None,
                why_fresh=why_fresh,
                stopping=False,
                stop_began_at=None,
                ended_at=None,
                exit_code=None,
                reason=None,
                interrupted=False,
                socket=f"/fake/{order.id}",
                token="0" * 64,
                notes={},
            )
        )
        if plan.refused is not None:
            self._machine.output[order.id] = f"{plan.refused}\n"
            self._end(order.id, None)
            raise StartFailed(plan.refused)

    async def probe_replica(self, replica: str, limit_seconds: float) -> Probe:  # noqa: ARG002 (here no time passes)
        sight = self._machine.replicas.get(replica)
        if sight is None or not sight.alive:
            return Probe(ok=False, reason="its process ended")
        planned = self._machine.planned[replica].probe
        if planned is not None:
            return planned
        answer = await self._answers.setdefault(replica, asyncio.get_running_loop().create_future())
        del self._answers[replica]
        return answer

    def replicas(self, endpoint: str | None = None) -> list[ReplicaSight]:
        key = None if endpoint is None else name_key(endpoint)
        return [one for one in self._machine.replicas.values() if key in (None, name_key(one.endpoint))]

    def replica(self, replica: str) -> ReplicaSight | None:
        return self._machine.replicas.get(replica)

    def memory(self) -> Memory:
        return Memory(self._memory_bytes, self.available_bytes)

    async def private_memory(self, of: Collection[str] | None = None) -> dict[str, int]:
        living = [one.id for one in self._machine.replicas.values() if one.alive]
        return {one: self.held.get(one, self.held_by_others) for one in living if of is None or one in of}

    def take_changed(self) -> set[str]:
        changed, self._changed_endpoints = self._changed_endpoints, set()
        return changed

    def _put(self, sight: ReplicaSight) -> None:
        self._machine.replicas[sight.id] = sight
        self._changed_endpoints.add(name_key(sight.endpoint))

    def note_replica(self, replica: str, **notes: str | float) -> None:
        sight = self._machine.replicas.get(replica)
        if sight is not None:
            self._put(replace(sight, notes={**sight.notes, **notes}))

    def stop_replica(self, replica: str, *, kill: bool = False) -> None:
        sight = self._machine.replicas.get(replica)
        if sight is None or not sight.alive:
            return
        if not sight.stopping:
            self._put(replace(sight, stopping=True, stop_began_at=self._clock.now()))
        if kill:
            self._end(replica, -9)

    def output_tail(self, replica: str, lines: int = 20) -> str:
        return "\n".join(self._machine.output.get(replica, "").splitlines()[-lines:])

    def add_to_output(self, replica: str, line: str) -> None:
        if replica in self._machine.replicas:
            self._machine.output[replica] = f"{self._machine.output.get(replica, '')}{line}\n"

    def forget_replica(self, replica: str) -> None:
        sight = self._machine.replicas.get(replica)
        if sight is not None and not sight.alive:
            del self._machine.replicas[replica]
            self._machine.output.pop(replica, None)

    def job_room(self) -> Room:
        reserved = sum(
            self._machine.specs[one.id].memory_bytes or 0 for one in self._machine.replicas.values() if one.alive
        )
        return Room(self._cpu_millis, max(0, self._memory_bytes - reserved))

    def cores_wanted(self) -> float:
        return 0.0

    async def start_job(self, order: JobOrder) -> None:
        known = self._machine.jobs.get(order.id)
        if known is None or known.attempt < order.attempt:
            self._machine.job_orders[order.id] = order
            self._machine.jobs[order.id] = JobFact(alive=True, attempt=order.attempt)

    def job(self, job: str) -> JobFact | None:
        return self._machine.jobs.get(job)

    def stop_job(self, job: str) -> None:
        fact = self._machine.jobs.get(job)
        if fact is not None and fact.alive:
            self._end_job(job, JobFact(False, -15, "stop", None, self._clock.now()))

    async def warm(self, libraries: tuple[str, ...]) -> None:
        """Everything is warm."""

    async def stop_everything(self, limit_seconds: float) -> None:  # noqa: ARG002 (here no time passes)
        for replica in list(self._machine.replicas):
            self.stop_replica(replica)
        self.finish_stopping()
        for job in list(self._machine.jobs):
            self.stop_job(job)

    async def close(self) -> None:
        """Nothing is held."""

    def _end(self, replica: str, exit_code: int | None, reason: str | None = None) -> None:
        sight = self._machine.replicas[replica]
        self._put(replace(sight, alive=False, ended_at=self._clock.now(), exit_code=exit_code, reason=reason))
        self.changed.set()

    def _end_job(self, job: str, fact: JobFact) -> None:
        self._machine.jobs[job] = replace(fact, attempt=self._machine.jobs[job].attempt)
        self.changed.set()
