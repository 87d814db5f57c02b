"""Replicas: what one is seen to be, how many requests it holds, and how long to wait after it failed."""

from dataclasses import dataclass
from enum import StrEnum

from modelyard.domain.endpoints import EndpointSpec

RESTART_SECONDS_FIRST = 0.5
RESTART_SECONDS_MAX = 60.0
STUCK_GRACE_SECONDS = 10.0
"""How long a call may run past its limit before its replica is killed."""

STEADY_SECONDS = 60.0
"""A replica that was ready for so long has recovered; failures before it count no more."""


class ReplicaState(StrEnum):
    STARTING = "starting"  # the process is there or about to be; not probed well yet
    READY = "ready"  # a probe was answered; the table has it
    DRAINING = "draining"  # told to go; finishes what it holds
    ENDED = "ended"  # no process any more


class FailureKind(StrEnum):
    START = "start"  # ended or answered its probe with an error before it was ever ready
    HUNG_AFTER_FORK = "hung_after_fork"  # forked, alive, and no answer to the probe within the limit
    PROBE = "probe"  # in a fresh process, no answer to the probe within the limit
    DIED = "died"  # was ready, then ended without being asked to
    STUCK = "stuck"  # one call passed its limit plus grace; killed
    OUT_OF_MEMORY = "out_of_memory"  # ended for want of memory, ready before or not


FAILURE_WORDS = {
    FailureKind.START: "failed to start",
    FailureKind.HUNG_AFTER_FORK: "hung after the fork",
    FailureKind.PROBE: "failed its probe",
    FailureKind.DIED: "died",
    FailureKind.STUCK: "stuck in a call",
    FailureKind.OUT_OF_MEMORY: "out of memory",
}
"""What people read before the reason."""


def wants_memory(reason: str | None) -> bool:
    """Whether the exception that a process ended with says that memory was what it lacked: Python's, numpy's, torch's
    are all called so."""
    return (reason or "").partition(":")[0].rpartition(".")[2].endswith("MemoryError")


@dataclass(frozen=True, slots=True)
class ReplicaFact:
    """What the engine and the probe say about one replica. Times are wall clock, None where it has not come to that."""

    id: str
    version: int
    state: ReplicaState
    started_at: float
    ready_at: float | None = None
    drain_began_at: float | None = None
    ended_at: float | None = None
    failure: FailureKind | None = None
    reason: str | None = None
    """What went wrong, with the last lines of its output."""
    forked: bool = True
    pid: int | None = None

    @property
    def said(self) -> str | None:
        """The failure in words, `died: it was killed by SIGKILL`, with the last lines of the output; None without."""
        if self.failure is None:
            return None
        words = FAILURE_WORDS[self.failure]
        return f"{words}: {self.reason}" if self.reason else words

    @property
    def live(self) -> bool:
        return self.state is not ReplicaState.ENDED


def max_in_flight(spec: EndpointSpec, *, batches: bool, concurrent: bool = False) -> int:
    """Most requests inside one replica: 64 for `async def`, else max(threads, 2 x batch size), so that a next batch
    gathers while one runs. A predictor that takes requests one by one has a batch size of 1."""
    if spec.max_in_flight is not None:
        return spec.max_in_flight
    if concurrent:
        return 64
    return max(spec.threads_per_process, 2 * (spec.max_batch_size if batches else 1))


def restart_seconds(failures: int) -> float:
    """How long to wait before the next start after so many failures in a row: 0.5 s, doubled each time, to 60 s."""
    if failures <= 0:
        return 0.0
    return min(RESTART_SECONDS_MAX, RESTART_SECONDS_FIRST * 2.0 ** min(failures - 1, 16))
