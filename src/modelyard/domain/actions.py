"""What may be decided for an endpoint: actions as values, and the decision that holds them.

They can be compared, printed and written down; the controller carries them out.
"""

from dataclasses import dataclass

from modelyard.domain.endpoints import EndpointState
from modelyard.domain.traffic import Progress


@dataclass(frozen=True, slots=True)
class Start:
    """Start one replica of this version."""

    version: int
    fresh: bool
    """In a process of its own, not forked from a template."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell this replica to finish what it holds and go."""

    replica: str


@dataclass(frozen=True, slots=True)
class Kill:
    """End this replica at once."""

    replica: str


@dataclass(frozen=True, slots=True)
class MarkReady:
    """Write down that all replicas of this version have been ready."""

    version: int


@dataclass(frozen=True, slots=True)
class MarkFailed:
    """Write down that this version cannot start."""

    version: int
    reason: str
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class MarkRolledBack:
    """Write down that this version is called back."""

    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Proceed:
    """Write down how far the rollout of this version has come, before it goes there."""

    version: int
    progress: Progress
    sentence: str | None
    """What begins with it; None where nothing does."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget the endpoint: it is deleted and nothing of it lives."""


Action = Start | Drain | Kill | MarkReady | MarkFailed | MarkRolledBack | Proceed | Remove

GivenUp = MarkFailed | MarkRolledBack


@dataclass(frozen=True, slots=True)
class Traffic:
    """What another version gets of the requests beside the one that serves; nothing keeps it at hand."""

    version: int
    percent: float
    """Of the requests, answered by it; below 100."""
    mirrors: bool = False
    """Whether it gets copies of those that the old one answers."""


@dataclass(frozen=True, slots=True)
class Decision:
    actions: tuple[Action, ...]
    state: EndpointState
    sentence: str
    """What is going on and why, for the log, the events and `modelyard get`."""
    serving_version: int | None
    wake_at: float | None = None
    """When to look again even if nothing happens; wall clock."""
    serves: frozenset[int] | None = None
    """Versions whose ready replicas answer; None is all of them."""
    traffic: Traffic | None = None
    """What goes to another version than those."""
    holds: bool = False
    """Whether requests wait where no replica is ready: one will be."""
