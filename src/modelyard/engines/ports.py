"""What every engine does. One contract suite runs against each implementation, the fake included."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.eviction import Memory
from modelyard.domain.queueing import Room
from modelyard.domain.runs import JobFact


@dataclass(frozen=True, slots=True)
class ReplicaOrder:
    """What to start. `package_folder` is laid out already and read-only."""

    id: str
    endpoint: str
    version: int
    spec: EndpointSpec
    package_folder: str
    why_fresh: str | None = None
    """Why it must be in a process of its own; None for a fork of a template."""
    python: str | None = None
    """Interpreter of the package's own environment; None for the yard's."""
    secrets: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables with values that are handed to the process and written down nowhere."""
    told: dict[str, str] = field(default_factory=dict[str, str])
    """Variables with what the yard says of itself; what the endpoint sets counts more."""

    @property
    def environment(self) -> dict[str, str]:
        """Every variable that the replica gets."""
        return {**self.told, **self.spec.environment, **self.secrets}


@dataclass(frozen=True, slots=True)
class JobOrder:
    id: str
    base: str
    """Folder in place of /opt/ml, laid out already."""
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    max_runtime_seconds: float = 86400.0
    stop_grace_seconds: float = 120.0
    attempt: int = 1
    """A later one goes on in the same folder, whose output it continues."""
    cpu_millis: int | None = None
    """Numeric libraries get a thread per whole core of it; all there are where None."""
    memory_bytes: int | None = None
    """Beyond it the job is ended; None has no limit."""
    secrets: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables with values that are handed to the process and written down nowhere."""
    log_metrics: dict[str, str] = field(default_factory=dict[str, str])
    """Metrics that are found in what it prints: name -> regular expression."""


@dataclass(frozen=True, slots=True)
class ReplicaSight:
    """What the engine sees of one replica. Survives the controller: everything here is read back after a restart."""

    id: str
    endpoint: str
    version: int
    package: str
    alive: bool
    pid: int | None
    started_at: float
    forked: bool
    """False where it runs in a fresh process, for whatever reason."""
    why_fresh: str | None
    """Why it was not forked, from its order or from what refused to fork."""
    stopping: bool
    """It was told to go, politely or by force. What becomes of it then is no failure of its own."""
    stop_began_at: float | None
    ended_at: float | None
    exit_code: int | None
    """As the shell has it, negative for a signal; None where nobody saw the end."""
    reason: str | None
    """What it recorded about its own end: for a failed start the exception, in one line."""
    interrupted: bool
    """It ended with the machine, or with the controller that was just starting it: no failure of its own either."""
    socket: str
    token: str
    notes: dict[str, str | float]
    """What the controller wrote down about it with `note_replica`."""
    out_of_memory: bool = False
    """The system killed it to free memory, as far as that can be told."""


@dataclass(frozen=True, slots=True)
class Probe:
    ok: bool
    timed_out: bool = False
    reason: str | None = None
    description: str = ""
    """What it serves, as the JSON of `modelyard_worker.schemas`; empty where it did not say."""


class Engine(Protocol):
    changed: asyncio.Event
    """Set whenever a process that was alive has ended; may be set for nothing."""

    def room(self, spec: EndpointSpec) -> int:
        """How many more replicas of this size fit now: what the living ones reserve is taken; who reserves nothing fits
        always."""
        ...

    async def start_replica(self, order: ReplicaOrder) -> None:
        """Starts a replica; returns when its process exists. The intent is on disk before: from then on the replica is
        known. Where forking is refused or fails, a fresh process is started, and `why_fresh` says why. Raises
        StartFailed, also for an id that is known already."""
        ...

    async def probe_replica(self, replica: str, limit_seconds: float) -> Probe:
        """Asks a replica for proof that it predicts: waits for its socket as long as its process lives, at most
        `limit_seconds`, shakes hands, runs its probe. Never raises."""
        ...

    def replicas(self, endpoint: str | None = None) -> list[ReplicaSight]:
        """Every replica that is known, ended ones until they are forgotten; of all endpoints, or of one."""
        ...

    def replica(self, replica: str) -> ReplicaSight | None: ...

    def memory(self) -> Memory:
        """The machine's memory, or what of it a control group lets this yard have."""
        ...

    async def private_memory(self, of: Collection[str] | None = None) -> dict[str, int]:
        """Bytes that each living replica holds and shares with nobody, by id; of those named, or of all."""
        ...

    def take_changed(self) -> set[str]:
        """Endpoints, by `name_key`, of whose replicas something else is seen than at the last call; at the first, all
        that have any."""
        ...

    def note_replica(self, replica: str, **notes: str | float) -> None:
        """Writes facts down beside the replica, durably, so that they outlive the controller. Merges. Harmless where it
        is not known."""
        ...

    def stop_replica(self, replica: str, *, kill: bool = False) -> None:
        """Tells it to drain and go, or ends it at once; either is remembered. Harmless where it is gone."""
        ...

    def output_tail(self, replica: str, lines: int = 20) -> str:
        """The last lines that a replica printed."""
        ...

    def add_to_output(self, replica: str, line: str) -> None:
        """Adds a line of the yard's own to what a replica printed; without effect where there is no such replica."""
        ...

    def forget_replica(self, replica: str) -> None:
        """Drops the record of an ended replica, its output included. Without effect while it lives."""
        ...

    def job_room(self) -> Room:
        """What jobs may take together: all cores, and the memory that no replica reserves."""
        ...

    def cores_wanted(self) -> float:
        """How many cores everything that runs there would have, whoever started it: the load of the last minute."""
        ...

    async def start_job(self, order: JobOrder) -> None:
        """Starts a job's wrapper. Harmless where that attempt of the job is known already. Raises StartFailed."""
        ...

    def job(self, job: str) -> JobFact | None:
        """What is seen of a job; None where it never came to a process. Not alive and without an exit code: lost."""
        ...

    def stop_job(self, job: str) -> None:
        """Asks a job to end with its grace. Harmless where it is gone, and when asked again, as it must be until the
        job has ended: one that is just starting does not hear it yet."""
        ...

    async def warm(self, libraries: tuple[str, ...]) -> None:
        """Makes the next start of a replica that needs these libraries fast. Never raises."""
        ...

    async def stop_everything(self, limit_seconds: float) -> None:
        """Ends every process of this engine: politely, then after the limit by force. Jobs are on record as stopped,
        whichever it took."""
        ...

    async def close(self) -> None:
        """Lets go without ending anything: the controller leaves, its processes stay."""
        ...
