"""Endpoints: what is wished, which versions there are, and what people see of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from modelyard.domain.access import Policy
from modelyard.domain.apps import KIND as APP
from modelyard.domain.apps import AppSettings, app_from
from modelyard.domain.autoscaling import Autoscaling, autoscaling_from
from modelyard.domain.captures import Capture, capture_from
from modelyard.domain.functions import Function, function_from
from modelyard.domain.invocations import Asynchronous, asynchronous_from
from modelyard.domain.model_folders import ModelFolder, model_folder_from
from modelyard.domain.strategies import UpdateStrategy, strategy_from
from modelyard.domain.traffic import Progress, Steering

VERSIONS_KEPT = 20
"""How many of an endpoint's newest versions are remembered, beside the one to fall back to."""


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What a deploy asks for; equal specs are the same version. Cortex's names where Cortex has the thing."""

    package: str
    """Digest of the package: code, model, predictor, environment."""
    model: str | None = None
    """`price:3` where a registered model is served."""
    model_asked: str | None = field(default=None, compare=False)
    """How the deploy named it, `price@champion`: another name for the same model makes no new version."""
    require_approval: bool = field(default=False, compare=False)
    """The deploy was to be refused unless the model is approved; what serves is not changed by it."""
    models: ModelFolder | None = None
    """The folder whose models it serves, each request naming one; None serves the package's own."""
    replicas: int = 1
    """How many there are where nothing scales them; else what was last decided (see `Endpoint.scaled`)."""
    autoscaling: Autoscaling | None = None
    """None keeps to `replicas`."""
    cpu_millis: int | None = None
    """Thousandths of a core that one replica reserves; None reserves nothing. Only what the yard file states is
    reserved: tiny endpoints share the cores, and the operating system divides them."""
    memory_bytes: int | None = None
    """What one replica reserves of the machine's memory, and the most that it may take of its own; None reserves
    nothing and is not bounded."""
    gpus: int = 0
    """How many of the machine's one replica has for itself."""
    threads_per_process: int = 1
    max_batch_size: int = 32
    """Most requests that one call of the model may hold, where the predictor can take several."""
    max_in_flight: int | None = None
    """Most requests inside one replica; None derives it from the others (see `replicas.max_in_flight`)."""
    max_queue_length: int = 1024
    """Most requests that wait in the gateway; beyond it 503."""
    max_queue_bytes: int = 256 * 2**20
    """Most bytes of bodies that wait in the gateway; beyond it 503."""
    timeout_seconds: float = 60.0
    """From the last byte of the request to the first of the answer; then 504. SageMaker's is 60 s."""
    max_body_bytes: int = 6 * 2**20
    """SageMaker's limit; at most 100 MiB."""
    idempotent: bool = True
    """False forbids the one retry after a replica's death."""
    start_seconds: float = 120.0
    """From start to readiness; then the start has failed."""
    drain_seconds: float = 60.0
    """How long a replica that leaves may finish what it holds."""
    ttl_seconds: float | None = None
    """Without a request for so long, the endpoint is deleted (see `idleness`); None keeps it."""
    capture: Capture | None = None
    """Which requests and answers are kept; None keeps none."""
    max_surge: str = "25%"
    max_unavailable: str = "0"
    update_strategy: UpdateStrategy = field(default=UpdateStrategy(), compare=False)
    """How it takes over from the version before; another way to come about makes no new version."""
    asynchronous: Asynchronous | None = None
    """How queued invocations are treated, where all are queued (`kind: async`); None where predictions are answered at
    once and what is queued all the same is treated as by default."""
    function: Function | None = None
    """Where its predictor is a handler; then `asynchronous` says how events that are queued are treated."""
    app: AppSettings | None = None
    """What is an app's; None is an endpoint."""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    """Variable -> name of the secret whose value it has when a replica starts."""


class VersionState(StrEnum):
    NEW = "new"  # deployed, not ready yet
    READY = "ready"  # all its replicas have been ready once
    FAILED = "failed"  # could not start; an older ready version serves instead
    ROLLED_BACK = "rolled back"  # was called back before it had all requests; likewise


SUPERSEDED = "superseded"
"""What a version is called that was not ready yet when the next one was wished."""

GIVEN_UP = frozenset({VersionState.FAILED, VersionState.ROLLED_BACK})
"""States of a version that is wished and will not serve."""


class Cause(StrEnum):
    """What brought a version about."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"  # it is what an earlier version was
    REFRESH = "refresh"  # it is what the version before it was, in new replicas


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a version comes from."""

    cause: Cause = Cause.DEPLOY
    source: int | None = None
    """The version that a rollback or a refresh repeats."""
    by: str | None = None
    """Who asked for it, as their client said; not proved by anything."""


@dataclass(frozen=True, slots=True)
class EndpointVersion:
    """One step of an endpoint's life. Numbers count up from 1 and are never used again."""

    number: int
    spec: EndpointSpec
    created_at: float
    state: VersionState = VersionState.NEW
    reason: str | None = None
    """Why it failed, with the last lines of its log; or why it was called back, or gone back from by an alarm."""
    origin: Origin = Origin()
    out_of_memory: bool = False
    """Whether memory was what it failed for want of."""
    progress: Progress = field(default_factory=Progress)
    """How far its rollout has come, where that is staged."""
    steering: Steering = field(default_factory=Steering)
    """What people wish for it."""

    @property
    def given_up(self) -> bool:
        return self.state in GIVEN_UP


def kind_of(spec: EndpointSpec) -> str:
    """What people call it."""
    return APP if spec.app is not None else "function" if spec.function is not None else "endpoint"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The wish: which version should serve. `deleting` stays until the last replica is gone."""

    name: str
    project: str
    versions: tuple[EndpointVersion, ...]
    """Ascending; the last is wished."""
    deleting: bool = False
    access: Policy | None = None
    """Who may call it; None leaves it to the yard: everybody on loopback, elsewhere whoever has a key to it. It is no
    part of a version: who may come in changes without a replica being started anew."""

    @property
    def kind(self) -> str:
        """What people call it."""
        return kind_of(self.wished.spec)

    @property
    def wished(self) -> EndpointVersion:
        return self.versions[-1]

    def told_state(self, version: EndpointVersion) -> str:
        """Its state, in the word that people read: what another one took the place of before it was ready is not new
        any more."""
        if version.state is VersionState.NEW and version.number < self.wished.number:
            return SUPERSEDED
        return version.state.value

    def version(self, number: int) -> EndpointVersion | None:
        return next((one for one in self.versions if one.number == number), None)

    @property
    def governing(self) -> EndpointVersion:
        """The version whose settings count: the wished one, or what serves in its stead where it cannot start."""
        return (self.fallback or self.wished) if self.wished.given_up else self.wished

    @property
    def strategy(self) -> UpdateStrategy:
        """How the wished version takes over. One that was shown to work before, as a rollback and a refresh repeat it,
        and one that there is nothing beside, take no steps."""
        strategy = self.wished.spec.update_strategy
        repeated = self.wished.origin.cause is not Cause.DEPLOY
        if strategy.is_staged and (repeated or self.fallback is None):
            return UpdateStrategy()
        return strategy

    @property
    def is_staged(self) -> bool:
        """Whether the wished version is on its way in steps."""
        return self.wished.state is VersionState.NEW and self.strategy.is_staged and not self.deleting

    def scaled(self, replicas: int) -> "Endpoint":
        """The same endpoint, with so many replicas wished wherever a version scales."""
        versions = tuple(
            one
            if one.spec.autoscaling is None or one.spec.replicas == replicas
            else replace(one, spec=replace(one.spec, replicas=replicas))
            for one in self.versions
        )
        return replace(self, versions=versions)

    @property
    def fallback(self) -> EndpointVersion | None:
        """The newest version before the wished one that has been ready."""
        return _fallback(self.versions)


def kept_versions(versions: Sequence[EndpointVersion]) -> tuple[EndpointVersion, ...]:
    """Of all versions, ascending, those to remember: the newest `VERSIONS_KEPT` and the fallback."""
    newest = tuple(versions[-VERSIONS_KEPT:])
    fallback = _fallback(versions)
    return newest if fallback is None or fallback in newest else (fallback, *newest)


def _fallback(versions: Sequence[EndpointVersion]) -> EndpointVersion | None:
    return next((one for one in reversed(versions[:-1]) if one.state is VersionState.READY), None)


BY_LENGTH_MAX = 128
"""Characters of the name that a client gives for who asked."""


class EndpointState(StrEnum):
    """Cortex 0.14's words (cortex.md 6.5), with `deleting` added."""

    LIVE = "live"  # the wished version serves with all its replicas
    UPDATING = "updating"  # on the way there
    ERROR = "error"  # the wished version cannot start, or nothing serves
    OUT_OF_MEMORY = "error (out of memory)"  # the same, for want of memory
    COMPUTE_UNAVAILABLE = "compute unavailable"  # what it asks for does not fit on this machine now
    DELETING = "deleting"


BUILDING = "building its environment"
"""What a status's sentence has while nothing can start yet: minutes may be right then, and another limit bounds it."""

ERRORS = frozenset({EndpointState.ERROR, EndpointState.OUT_OF_MEMORY})
"""States in which the wished version does not serve and will not by itself."""


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    id: str
    version: int
    state: str
    pid: int | None
    started_at: float
    forked: bool
    """False where it runs in a fresh process."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What the controller saw at its last pass; the sentence is what people read."""

    state: EndpointState
    sentence: str
    serving_version: int | None
    ready: int
    requested: int
    up_to_date: int
    updated_at: float
    """Last change of the state, not last look."""
    replicas: tuple[ReplicaStatus, ...] = ()
    description: str = ""
    """What the serving version takes and gives, as JSON; empty until one of its replicas has said."""
    shadow: dict[str, Any] | None = None
    """What comparing answers came to (`domain.shadows.Comparison`), while the wished version is a shadow."""


class Told(NamedTuple):
    """What is said of an endpoint, in one word and one sentence."""

    state: EndpointState
    sentence: str
    current: bool = True
    """False where what was seen is about an older wish, or nothing was seen yet."""


def told(
    seen: Told | None, seen_at: float, *, wished: int, wished_state: VersionState, wished_at: float, deleting: bool
) -> Told:
    """What the controller saw at its last look, unless more has been wished since. `wished` is the number of the
    version that is wished."""
    settled = seen is not None and (seen.state is EndpointState.LIVE or seen.state in ERRORS)
    before = settled and wished_state is VersionState.NEW and seen_at < wished_at
    if deleting:
        sentence = seen.sentence if seen is not None and seen.state is EndpointState.DELETING else "to be deleted"
        return Told(EndpointState.DELETING, sentence, not before)
    if seen is None or before:
        sentence = f"version {wished} was accepted; the controller has not looked yet"
        return Told(EndpointState.UPDATING, sentence, current=False)
    return seen


def told_of(endpoint: Endpoint, seen: EndpointStatus | None) -> Told:
    wished = endpoint.wished
    return told(
        Told(seen.state, seen.sentence) if seen else None,
        seen.updated_at if seen else 0.0,
        wished=wished.number,
        wished_state=wished.state,
        wished_at=wished.created_at,
        deleting=endpoint.deleting,
    )


def endpoint_spec_from(document: dict[str, Any]) -> EndpointSpec:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields = {key: document[key] for key in EndpointSpec.__dataclass_fields__ if key in document}
    if fields.get("autoscaling") is not None:
        fields["autoscaling"] = autoscaling_from(fields["autoscaling"])
    if "update_strategy" in fields:
        fields["update_strategy"] = strategy_from(fields["update_strategy"])
    if fields.get("asynchronous") is not None:
        fields["asynchronous"] = asynchronous_from(fields["asynchronous"])
    if fields.get("function") is not None:
        fields["function"] = function_from(fields["function"])
    if fields.get("models") is not None:
        fields["models"] = model_folder_from(fields["models"])
    if fields.get("app") is not None:
        fields["app"] = app_from(fields["app"])
    if fields.get("capture") is not None:
        fields["capture"] = capture_from(fields["capture"])
    return EndpointSpec(**fields)


def origin_from(document: dict[str, Any]) -> Origin:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added; a deploy where nothing is
    known."""
    cause = Cause(document.get("cause", Cause.DEPLOY))
    return Origin(cause, document.get("source"), document.get("by"))


def endpoint_status_from(document: dict[str, Any]) -> EndpointStatus:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields = {key: document[key] for key in EndpointStatus.__dataclass_fields__ if key in document}
    fields["state"] = EndpointState(fields["state"])
    fields["replicas"] = tuple(_replica_status_from(one) for one in document.get("replicas", ()))
    return EndpointStatus(**fields)


def _replica_status_from(document: dict[str, Any]) -> ReplicaStatus:
    return ReplicaStatus(**{key: document[key] for key in ReplicaStatus.__dataclass_fields__ if key in document})
