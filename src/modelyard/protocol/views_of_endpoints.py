"""Endpoints as the interface answers them; see `protocol.views`."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RolloutView:
    """A version on its way in steps."""

    version: int
    """The one that is on its way."""
    old_version: int
    """The one beside it."""
    type: str
    """A value of `domain.strategies.StrategyType`."""
    step: int
    """From 1."""
    steps: int
    percent: float
    """Share of the requests that the new version answers now."""
    step_percent: float
    """Share of the present step; the same as soon as its replicas are ready."""
    step_seconds: float | None
    """How long the step stands; null until it is promoted."""
    elapsed_seconds: float
    """For how long it has stood."""
    seconds_left: float | None
    """Until the last step is over, if nothing holds it; null where only people can say."""
    paused: bool
    began_at: str | None
    """When the step began; null while its replicas are not ready."""


@dataclass(frozen=True, slots=True)
class ReplicaView:
    id: str
    version: int
    state: str
    pid: int | None
    started_at: str
    forked: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class VersionView:
    number: int
    state: str
    """A value of `domain.endpoints.VersionState`, or `superseded`."""
    reason: str | None
    model: str | None
    model_asked: str | None
    """How the deploy named the model: `price@champion`."""
    created_at: str
    cause: str
    """`deploy`, `rollback` or `refresh`."""
    source: int | None
    """The version that a rollback or a refresh repeats."""
    by: str | None
    """Who asked for it, as their client said."""


@dataclass(frozen=True, slots=True)
class EndpointView:
    kind: str
    """`endpoint`, or `app`, whose `url` is its origin."""
    name: str
    project: str
    model: str | None
    model_asked: str | None
    """How the deploy named the model: `price@champion`."""
    state: str
    """A value of `domain.endpoints.EndpointState`."""
    sentence: str
    ready: int
    requested: int
    up_to_date: int
    serving_version: int | None
    wished_version: int
    created_at: str
    updated_at: str
    last_request_at: str | None
    """To within some seconds; null where it was never asked."""
    expires_at: str | None
    """When its `ttl` deletes it if nobody asks for it; null where it stays."""
    url: str
    is_function: bool
    """Whether it is a handler in Lambda's contract."""
    is_queued: bool
    """Whether every invocation is queued: who asks gets its id, and the answer under that."""
    access: dict[str, Any] | None
    """Who may call it (`domain.access.Policy`); null leaves it to the yard."""
    replicas: list[ReplicaView]
    versions: list[VersionView]
    notes: list[str]
    """What people should know of it, a sentence each."""
    example: str | None
    """A body that it can read, as JSON text; null until a replica has said."""
    content_type: str | None
    """What a body is said to be: the first of the types that it takes; null until a replica has said."""
    rollout: RolloutView | None
    """The version that is on its way in steps; null where none is."""
    shadow: dict[str, Any] | None
    """Counts of `domain.shadows.Comparison` and samples, where the wished version is or was a shadow."""
    has_models: bool = False
    """Whether it serves several models, and each request names the one that it is for; a yard that is older than its
    client does not say."""


@dataclass(frozen=True, slots=True)
class EndpointsView:
    endpoints: list[EndpointView]


@dataclass(frozen=True, slots=True)
class HistoryView:
    name: str
    wished_version: int
    serving_version: int | None
    rollback_version: int | None
    """Where a rollback goes that names no version; null where there is none."""
    versions: list[VersionView]
    """Newest first."""
