"""What the API answers, as types. Times are RFC 3339 in UTC."""

from typing import Any, NotRequired, TypedDict


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
