"""What the API answers, as types. Times are RFC 3339 in UTC."""

from typing import Any, NotRequired, TypedDict


class ReplicaView(TypedDict):
    id: str
    version: int
    state: str
    pid: int | None
    started_at: str
    forked: bool
    reason: str | None


class VersionView(TypedDict):
    number: int
    state: str
    """`new`, `ready`, `failed` or `rolled back`."""
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


class HistoryView(TypedDict):
    name: str
    wished_version: int
    serving_version: int | None
    rollback_version: int | None
    """Where a rollback goes that names no version."""
    versions: list[VersionView]
    """Newest first."""


class RolloutView(TypedDict):
    """A version on its way in steps."""

    version: int
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
    step_seconds: float | None
    """How long the step stands; None until it is promoted."""
    elapsed_seconds: float
    seconds_left: float | None
    """Until the last step is over; None where only people can say."""
    paused: bool
    began_at: str | None
    """When the step began; None while its replicas are not ready."""


class EndpointView(TypedDict):
    kind: str
    """`endpoint`, or `app`."""
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
    """To within some seconds; None where it was never asked."""
    expires_at: str | None
    """When its `ttl` deletes it if nobody asks for it; None where it stays."""
    url: str
    is_function: bool
    is_queued: bool
    """Every invocation is queued: `predict_async` asks it."""
    """Whether it is a handler in Lambda's contract."""
    access: dict[str, Any] | None
    """Who may call it (`domain.access.Policy`); None leaves it to the yard."""
    replicas: list[ReplicaView]
    versions: list[VersionView]
    notes: list[str]
    """What people should know of it, a sentence each."""
    example: str | None
    """A body that it can read, as JSON text; null until a replica has said."""
    content_type: str | None
    """What a body is said to be: the first of the types that it takes; null until a replica has said."""
    rollout: RolloutView | None
    """The version that is on its way in steps."""
    shadow: dict[str, Any] | None
    """Counts of `domain.shadows.Comparison` and samples, where the wished version is or was a shadow."""


class RunView(TypedDict):
    id: str
    training: str
    project: str
    status: str
    """A value of `domain.runs.RunStatus`."""
    step: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    steps: list[list[str]]
    """Pairs of a step's name and when it began."""
    exit_code: int | None
    failure_reason: str | None
    metrics: dict[str, float]
    model: str | None
    model_version: int | None
    hyperparameters: dict[str, str]
    inputs: dict[str, str]
    """Channel -> digest of the tree that is read."""
    sources: dict[str, str]
    """Channel -> where it was taken from, where that was no plain path."""
    stop_requested: bool
    algorithm: str | None
    entry: str | None
    code: str | None
    """Digest of the tree of code; None for a built-in algorithm."""
    git_commit: str | None
    attempt: int
    retry_count: int
    priority: int
    waiting: str | None
    """Why it does not start yet; None where it does not wait."""


class PointView(TypedDict):
    name: str
    value: float | None
    """None where it was no finite number."""
    step: int
    at: str


class ApprovalView(TypedDict):
    state: str
    """`pending`, `approved` or `rejected`."""
    by: str | None
    at: str | None
    note: str | None


class LineageView(TypedDict, total=False):
    """Fields of `domain.models.Lineage`; what an older yard did not know is not there."""

    run: str | None
    inputs: dict[str, str]
    hyperparameters: dict[str, str]
    metrics: dict[str, float]
    code_digest: str | None
    git_commit: str | None
    sources: dict[str, str]
    parents: dict[str, str]


class ModelView(TypedDict):
    model: str
    version: int
    reference: str
    tree: str
    size_bytes: int
    framework: str | None
    created_at: str
    project: str
    lineage: LineageView
    aliases: list[str]
    tags: dict[str, str]
    approval: ApprovalView


class ServedView(TypedDict):
    endpoint: str
    version: int
    """Of the endpoint."""
    asked: str | None
    """How the deploy named the model: `price@champion`."""
    deployed_at: str
    percent: float | None
    """Share of the requests that it answers while another version is on its way, or it is itself; else None."""


class ModelVersionView(ModelView):
    """A version with its lineage in both directions."""

    serving: list[ServedView]
    """Endpoints that serve it now."""
    served: list[ServedView]
    """Every version of an endpoint that is remembered and has served it, the newest first."""
    children: list[str]
    """Versions whose training read this one."""


class AliasView(TypedDict):
    model: str
    alias: str
    version: int
    previous: int | None
    """The version that had it before."""
    behind: list[str]
    """Endpoints that were deployed by this alias and have another version."""


class ProcessView(TypedDict):
    name: str
    pid: int | None
    alive: bool
    pss_bytes: int | None


class DiskView(TypedDict):
    free_bytes: int
    total_bytes: int
    limit_bytes: int
    """Below so much free space new work is refused."""
    refusing: bool


class StatusView(TypedDict):
    version: str
    url: str
    home: str
    started_at: str
    processes: list[ProcessView]
    counts: dict[str, int]
    disk: DiskView


class OutcomeView(TypedDict):
    kind: str
    name: str
    change: str
    """`creating`, `updating`, `rolling back`, `refreshing` or `is up to date`; of a rollout under way `calling back`,
    `pausing`, `resuming` or `promoting`."""
    version: int | None
    source: NotRequired[int | None]
    sentence: str


class ResourceVersionView(TypedDict):
    number: int
    created_at: str
    by: str | None
    spec: dict[str, Any]


class ResourceView(TypedDict):
    """What is wished of a kind other than endpoints."""

    kind: str
    name: str
    project: str
    version: int
    updated_at: str
    spec: dict[str, Any]
    versions: list[ResourceVersionView]
    """Newest first."""
    url: str | None
    """Where it is visited; None where that is no place."""
    notes: list[str]
    """What people should know of it: a port that is not open, and why."""


class EventView(TypedDict):
    number: NotRequired[int]
    at: str
    kind: str
    name: str
    sentence: str


class SurplusView(TypedDict):
    kind: str
    """`run inputs`, `run folder`, `package`, `artifact` or `events`."""
    name: str
    size_bytes: int
    reason: str


class CollectedView(TypedDict):
    dry_run: bool
    size_bytes: int
    surplus: list[SurplusView]


class PackageView(TypedDict):
    digest: str
    endpoints: list[str]
    """`NAME:VERSION` of those that have it."""
    size_bytes: int
    file_count: int
    document: dict[str, Any]
    """Its `package.json`."""
    python_version: str | None
    locked: bool


class InspectedView(TypedDict):
    package: PackageView
    files: list[dict[str, Any]]
    lock: str | None


class LinkView(TypedDict):
    url: str
    expires_at: str
