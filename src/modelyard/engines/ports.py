"""What every engine does. One contract suite runs against each implementation, the fake included."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from modelyard.domain.endpoints import EndpointSpec
from modelyard.domain.runs import JobFact


@dataclass(frozen=True, slots=True)
class ReplicaOrder:
    """What to start. `package_folder` is laid out already and read-only."""

    id: str
    endpoint: str
    version: int
    spec: EndpointSpec
    package_folder: str
    fresh: bool = False
    """In a process of its own instead of a fork of a template."""
    python: str | None = None
    """Interpreter of the package's own environment; None for the yard's."""
    secrets: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables with values that are handed to the process and written down nowhere."""

    @property
    def environment(self) -> dict[str, str]:
        """Every variable that the replica gets."""
        return {**self.spec.environment, **self.secrets}


@dataclass(frozen=True, slots=True)
class JobOrder:
    id: str
    base: str
    """Folder in place of /opt/ml, laid out already."""
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict[str, str])
    max_runtime_seconds: float = 86400.0
    stop_grace_seconds: float = 120.0
    secrets: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """Variables with values that are handed to the process and written down nowhere."""


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
    """Why a fork was not possible, where one was wanted."""
    stopping: bool
    """It was told to drain."""
    stop_began_at: float | None
    ended_at: float | None
    exit_code: int | None
    socket: str
    token: str
    notes: dict[str, str | float]
    """What the controller wrote down about it with `note_replica`."""


@dataclass(frozen=True, slots=True)
class Probe:
    ok: bool
    timed_out: bool = False
    reason: str | None = None


class Engine(Protocol):
    changed: asyncio.Event
    """Set whenever a process that was alive has ended."""

    def room(self, spec: EndpointSpec) -> int:
        """How many more replicas of this size fit now."""
        ...

    async def start_replica(self, order: ReplicaOrder) -> None:
        """Starts a replica; returns when its process exists. The intent is on disk before. Raises StartFailed."""
        ...

    async def probe_replica(self, replica: str, limit_seconds: float) -> Probe:
        """Asks a replica for proof that it predicts: waits for its socket, shakes hands, runs its probe."""
        ...

    def replicas(self) -> list[ReplicaSight]:
        """Every replica that is known, ended ones until they are forgotten."""
        ...

    def note_replica(self, replica: str, **notes: str | float) -> None:
        """Writes facts down beside the replica, durably, so that they outlive the controller. Merges."""
        ...

    def stop_replica(self, replica: str, *, kill: bool = False) -> None:
        """Tells it to drain and go, or ends it at once. Harmless where it is gone."""
        ...

    def output_tail(self, replica: str, lines: int = 20) -> str:
        """The last lines that a replica printed."""
        ...

    def forget_replica(self, replica: str) -> None:
        """Drops the record of an ended replica, its output included."""
        ...

    async def start_job(self, order: JobOrder) -> None:
        """Starts a job's wrapper. Harmless where a job of that id is known already. Raises StartFailed."""
        ...

    def job(self, job: str) -> JobFact | None:
        """What is seen of a job; None where no process of that id was ever started."""
        ...

    def stop_job(self, job: str, *, kill: bool = False) -> None:
        """Asks a job to end with its grace, or ends it at once. Harmless where it is gone."""
        ...

    async def warm(self, libraries: tuple[str, ...]) -> None:
        """Makes the next start of a replica that needs these libraries fast. Never raises."""
        ...

    async def stop_everything(self, limit_seconds: float) -> None:
        """Ends every process of this engine: politely, then after the limit by force. Jobs record that they were
        stopped."""
        ...

    async def close(self) -> None:
        """Lets go without ending anything: the controller leaves, its processes stay."""
        ...
