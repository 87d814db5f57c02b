"""An engine that pretends: no processes, no waiting. Tests script what becomes of each replica and job.

By default a replica starts at once and its probe is answered; `plan` says otherwise for the ones to come.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace

from modelyard.clock import Clock, SystemClock
from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.runs import JobFact
from modelyard.engines.ports import JobOrder, Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import StartFailed


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one replica: `refused` fails its start, `probe` is what its probe answers."""

    refused: str | None = None
    probe: Probe = field(default_factory=lambda: Probe(ok=True))


class FakeEngine:
    def __init__(self, clock: Clock | None = None, capacity: int = 1000) -> None:
        self.changed = asyncio.Event()
        self.plans: deque[Plan] = deque()
        """For the next starts, in order; then all goes well."""
        self.jobs: dict[str, JobFact] = {}
        self.job_orders: dict[str, JobOrder] = {}
        self._capacity = capacity
        self._clock = clock or SystemClock()
        self._replicas: dict[str, ReplicaSight] = {}
        self._planned: dict[str, Plan] = {}
        self._output: dict[str, str] = {}

    # -- what tests do -----------------------------------------------------------------------------------------------

    def die(self, replica: str, exit_code: int = -9, output: str = "") -> None:
        """The replica's process ends by itself."""
        self._output[replica] = output
        self._end(replica, exit_code)

    def finish_stopping(self) -> None:
        """Replicas that drain have finished."""
        for sight in list(self._replicas.values()):
            if sight.alive and sight.stopping:
                self._end(sight.id, 0)

    def finish_job(self, job: str, exit_code: int = 0, failure: str | None = None) -> None:
        fact = JobFact(alive=False, exit_code=exit_code, ended_by="exit", failure=failure, ended_at=self._clock.now())
        self.jobs[job] = fact
        self.changed.set()

    # -- the port ----------------------------------------------------------------------------------------------------

    def room(self, spec: EndpointSpec) -> int:  # noqa: ARG002 (here replicas have no size)
        return max(0, self._capacity - sum(one.alive for one in self._replicas.values()))

    async def start_replica(self, order: ReplicaOrder) -> None:
        plan = self.plans.popleft() if self.plans else Plan()
        self._planned[order.id] = plan
        self._replicas[order.id] = ReplicaSight(
            id=order.id,
            endpoint=order.endpoint,
            version=order.version,
            package=order.spec.package,
            alive=True,
            pid=len(self._replicas) + 1,
            started_at=self._clock.now(),
            forked=not order.fresh,
            why_fresh=None,
            stopping=False,
            stop_began_at=None,
            ended_at=None,
            exit_code=None,
            socket=f"/fake/{order.id}",
            token="0" * 64,
            notes={},
        )
        if plan.refused is not None:
            self._output[order.id] = plan.refused
            self._end(order.id, None)
            raise StartFailed(plan.refused)

    async def probe_replica(self, replica: str, limit_seconds: float) -> Probe:  # noqa: ARG002 (it never waits)
        if not self._replicas[replica].alive:
            return Probe(ok=False, reason="its process ended")
        return self._planned[replica].probe

    def replicas(self) -> list[ReplicaSight]:
        return list(self._replicas.values())

    def note_replica(self, replica: str, **notes: str | float) -> None:
        if replica in self._replicas:
            sight = self._replicas[replica]
            self._replicas[replica] = replace(sight, notes={**sight.notes, **notes})

    def stop_replica(self, replica: str, *, kill: bool = False) -> None:
        sight = self._replicas.get(replica)
        if sight is None or not sight.alive:
            return
        if kill:
            self._end(replica, -9)
        elif not sight.stopping:
            self._replicas[replica] = replace(sight, stopping=True, stop_began_at=self._clock.now())

    def output_tail(self, replica: str, lines: int = 20) -> str:
        return "\n".join(self._output.get(replica, "").splitlines()[-lines:])

    def forget_replica(self, replica: str) -> None:
        if replica in self._replicas and not self._replicas[replica].alive:
            del self._replicas[replica]

    async def start_job(self, order: JobOrder) -> None:
        if order.id not in self.jobs:
            self.job_orders[order.id] = order
            self.jobs[order.id] = JobFact(alive=True)

    def job(self, job: str) -> JobFact | None:
        return self.jobs.get(job)

    def stop_job(self, job: str, *, kill: bool = False) -> None:
        fact = self.jobs.get(job)
        if fact is not None and fact.alive:
            ended = JobFact(alive=False, exit_code=-15, ended_by="stop", ended_at=self._clock.now())
            self.jobs[job] = JobFact(alive=False) if kill else ended
            self.changed.set()

    async def warm(self, libraries: tuple[str, ...]) -> None:
        """Everything is warm."""

    async def stop_everything(self, limit_seconds: float) -> None:  # noqa: ARG002 (it never waits)
        for replica in list(self._replicas):
            self.stop_replica(replica)
        self.finish_stopping()
        for job in list(self.jobs):
            self.stop_job(job)

    async def close(self) -> None:
        """Nothing is held."""

    def _end(self, replica: str, exit_code: int | None) -> None:
        sight = self._replicas[replica]
        self._replicas[replica] = replace(sight, alive=False, ended_at=self._clock.now(), exit_code=exit_code)
        self.changed.set()
