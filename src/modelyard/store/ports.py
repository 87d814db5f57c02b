"""What the store remembers, as ports. SQLite (`database`) and memory (`memory`) implement them alike.

Every method is one transaction: it happens whole or not at all, and what it returned is on disk. Times are handed in.
Any of them raises StoreFailed where the disk or the database refuses.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from modelyard.domain.access import Grant, Principal
from modelyard.domain.alarms import AlarmChange, Delivery
from modelyard.domain.audit import Audited
from modelyard.domain.autoscaling import Recommendation
from modelyard.domain.deployments import Change, Outcome, Wanted
from modelyard.domain.endpoints import Endpoint, EndpointStatus, VersionState
from modelyard.domain.headlines import Headline
from modelyard.domain.idleness import Requests
from modelyard.domain.invocations import Invocation, InvocationStatus, WebhookDelivery
from modelyard.domain.metrics import Figures, MetricRecord
from modelyard.domain.models import Approval, Lineage, ModelReference, ModelVersion
from modelyard.domain.providers import Provider
from modelyard.domain.resources import Resource
from modelyard.domain.retention import StoredArtifact
from modelyard.domain.runs import Run, RunSpec, RunStatus, RunStep
from modelyard.domain.schedules import Schedule
from modelyard.domain.secrets import Masks, Secret
from modelyard.domain.tokens import JobToken
from modelyard.domain.traces import LoadRecord
from modelyard.domain.tracking import Point, Progress
from modelyard.domain.traffic import Progress as RolloutProgress
from modelyard.domain.transforms import Transform, TransformSpec, TransformStatus
from modelyard.domain.tunings import Tuning, TuningSpec, TuningStatus
from modelyard.domain.users import ApiKey, EntryCode, Group, Session, User
from modelyard.errors import Conflict
from modelyard.store.access import Known

JsonObject = dict[str, Any]


class Deployments(Protocol):
    """Deploys: the one way in which endpoints and resources come about."""

    def apply(self, project: str, wanted: Wanted, now: float, by: str | None = None) -> list[Outcome]:
        """Applies `decide_deployment` in one transaction: what is new, new versions, deletions, or nothing. Raises
        alike."""
        ...


class Resources(Protocol):
    """What is wished of kinds other than endpoints. Names are compared by `name_key`."""

    def get(self, kind: str, name: str) -> Resource:
        """With its newest `VERSIONS_KEPT` versions. Raises NotFound, with the nearest name as hint."""
        ...

    def select(self, kind: str | None = None, project: str | None = None) -> list[Resource]:
        """By kind and name, as `get` has them."""
        ...

    def put(self, kind: str, name: str, spec: JsonObject, now: float, by: str | None = None) -> Resource:
        """A new version of one that is there, or none where it is the same. Raises NotFound."""
        ...

    def delete(self, kind: str, name: str) -> Resource:
        """Forgets it, but not its last number: one of the same name counts on. Returns what it was. Raises NotFound."""
        ...


class Endpoints(Protocol):
    """Wishes for endpoints and what was last seen of them. Names are compared by `name_key`."""

    def roll_back(
        self, name: str, to: int | None, now: float, by: str | None = None, reason: str | None = None
    ) -> Outcome:
        """Applies `decide_rollback` in one transaction: a new version, the one on its way called back, or nothing.
        `reason` is what the version that it leaves is remembered with. Raises alike, and NotFound."""
        ...

    def steer(self, name: str, change: Change, version: int | None = None, *, step: bool = False) -> Outcome:
        """Applies `decide_steering` in one transaction. Raises alike, and NotFound."""
        ...

    def refresh(self, name: str, version: int | None, now: float, by: str | None = None) -> Outcome:
        """Applies `decide_refresh` in one transaction: a new version or nothing. Raises alike, and NotFound."""
        ...

    def get(self, name: str) -> Endpoint:
        """Raises NotFound, with the nearest name as hint."""
        ...

    def select(self, project: str | None = None) -> list[Endpoint]:
        """By name. Each with its newest `VERSIONS_KEPT` versions and its fallback, as `get` has them too."""
        ...

    def find(self, keys: Collection[str]) -> dict[str, Endpoint]:
        """Those of these that are there, by `name_key`."""
        ...

    def count(self) -> int: ...

    def headlines(self) -> Sequence[Headline]:
        """Of all, by name, without reading a document."""
        ...

    def changed_since(self, revision: int) -> tuple[int, list[str]]:
        """The keys of the endpoints that came or changed after `revision`, and the revision to ask with next; 0 gives
        all that there are. What was removed is not among them."""
        ...

    def delete(self, name: str, now: float, version: int | None = None) -> Endpoint:
        """Marks it as deleting; doing so twice is harmless. With `version`, only as long as that one is wished. Raises
        NotFound."""
        ...

    def remove(self, name: str) -> None:
        """Forgets an endpoint marked as deleting, its versions and status, but not its last number: one of the same
        name counts on. Without effect on any other."""
        ...

    def mark_version(
        self, name: str, number: int, state: VersionState, reason: str | None, *, out_of_memory: bool = False
    ) -> None:
        """Without effect where the version is gone."""
        ...

    def put_progress(self, name: str, number: int, progress: RolloutProgress) -> None:
        """How far a version's rollout has come. Without effect where the version is gone."""
        ...

    def put_statuses(self, statuses: Mapping[str, EndpointStatus]) -> None:
        """By name. Without effect where an endpoint is gone."""
        ...

    def status(self, name: str) -> EndpointStatus | None: ...

    def statuses(self, keys: Collection[str] | None = None) -> dict[str, EndpointStatus]:
        """By `name_key`; of all, or of these."""
        ...

    def put_requests(self, requests: Mapping[str, Requests]) -> None:
        """What is known of the requests of each of these, by `name_key`; others stay as they are."""
        ...

    def requests(self) -> dict[str, Requests]:
        """Of every endpoint of which anything is known, by `name_key`."""
        ...

    def requests_of(self, name: str) -> Requests: ...


class Models(Protocol):
    """The registry. Versions are numbered from 1 without gaps; their files and lineage are immutable, their aliases,
    tags and approval are not. Names and aliases are compared by `name_key`."""

    def register(
        self, model: str, project: str, tree: str, size_bytes: int, framework: str | None, lineage: Lineage, now: float
    ) -> ModelVersion:
        """Adds the next version. A second call for the same run (`lineage.run`) returns the version that the first
        made. Raises InvalidValue for a bad name, Conflict where another project owns the model."""
        ...

    def get(self, model: str, version: int | None = None) -> ModelVersion:
        """None means the newest. Raises NotFound, with the nearest name or the versions there are as hint."""
        ...

    def select(self, project: str | None = None) -> list[ModelVersion]:
        """The newest version of each model, by name."""
        ...

    def count(self) -> int:
        """How many models have a version."""
        ...

    def frameworks(self) -> set[str]:
        """What the versions that there are were made with."""
        ...

    def versions(self, model: str) -> list[ModelVersion]:
        """Newest first. Raises NotFound."""
        ...

    def children(self, reference: str) -> list[str]:
        """Versions, `tuned:1`, whose training read this one, `price:2`; by name, at most `CHILDREN_MAX`."""
        ...

    def resolve(self, reference: ModelReference) -> ModelVersion:
        """The version that a name, a number or an alias means now. Raises NotFound as `get` does, and for an alias with
        the nearest or those there are as hint."""
        ...

    def put_alias(self, model: str, alias: str, version: int, now: float, by: str | None = None) -> int | None:
        """Gives an alias to a version, taking it from the one that had it, whose number is returned. Raises
        InvalidValue for a bad alias, NotFound, Conflict where the model has `ALIASES_MAX`."""
        ...

    def delete_alias(self, model: str, alias: str) -> int:
        """Takes an alias away; returns the version that had it. Raises NotFound."""
        ...

    def put_tags(self, model: str, version: int, changes: Mapping[str, str | None]) -> ModelVersion:
        """Applies `merged_tags`: None takes a tag away. Raises alike, and NotFound."""
        ...

    def put_approval(self, model: str, version: int, approval: Approval) -> ModelVersion:
        """The decision that counts from now on. Raises NotFound."""
        ...

    def delete(self, model: str, version: int | None = None) -> int:
        """Forgets one version or all of a model, with their aliases; returns how many. Numbers are never given again.
        Raises NotFound."""
        ...


class Runs(Protocol):
    """Training runs, from acknowledgement to end."""

    def create(self, spec: RunSpec, now: float) -> Run:
        """Gives the run the id `TRAINING-N`, the smallest N from 1 that makes it unused, status InProgress/Pending.
        Raises InvalidValue for a bad training name."""
        ...

    def get(self, run: str) -> Run:
        """Raises NotFound, with the nearest id as hint."""
        ...

    def select(self, project: str | None = None, training: str | None = None, limit: int = 100) -> list[Run]:
        """Newest first."""
        ...

    def count(self) -> int: ...

    def unfinished(self) -> list[Run]:
        """Oldest first."""
        ...

    def move(
        self,
        run: str,
        status: RunStatus,
        step: RunStep,
        now: float,
        *,
        exit_code: int | None = None,
        failure_reason: str | None = None,
        metrics: Mapping[str, float] | None = None,
        model_version: int | None = None,
    ) -> Run:
        """Moves a run as `check_move` allows and stamps the step. Entering TRAINING sets `started_at`, an ended status
        `ended_at`, entering RESTARTING counts the attempt up. What is None stays as it is, metrics are merged,
        `failure_reason` is cut to its limit. Raises NotFound, Conflict."""
        ...

    def put_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        """Merges into the metrics of a run. Raises NotFound."""
        ...

    def put_waiting(self, reasons: Mapping[str, str | None]) -> None:
        """Writes down why runs wait, in one transaction. Harmless for those that have ended or are not known."""
        ...

    def request_stop(self, run: str, now: float) -> Run:
        """Wishes a stop: `stop_requested`, status Stopping. Harmless on a run that is stopping or ended. Raises
        NotFound."""
        ...


class Transforms(Protocol):
    """Batch transforms, from acknowledgement to end."""

    def create(self, spec: TransformSpec, now: float) -> Transform:
        """Gives the transform the id `NAME-N`, the smallest N from 1 that makes it unused, status InProgress. Raises
        InvalidValue for a bad name."""
        ...

    def get(self, transform: str) -> Transform:
        """Raises NotFound, with the nearest id as hint."""
        ...

    def select(self, project: str | None = None, batch: str | None = None, limit: int = 100) -> list[Transform]:
        """Newest first."""
        ...

    def unfinished(self) -> list[Transform]:
        """Oldest first."""
        ...

    def start(self, transform: str, now: float) -> Transform:
        """Counts one more process. Raises NotFound, Conflict where it has ended or is to stop."""
        ...

    def end(
        self,
        transform: str,
        status: TransformStatus,
        now: float,
        reason: str | None = None,
        result: dict[str, Any] | None = None,
    ) -> Transform:
        """Raises NotFound, Conflict where it has ended."""
        ...

    def put_waiting(self, reasons: Mapping[str, str | None]) -> None:
        """Writes down why transforms do not start yet. Without effect on those that ended."""
        ...

    def request_stop(self, transform: str) -> Transform:
        """Wishes a stop. Harmless on one that is stopping or has ended. Raises NotFound."""
        ...


class Schedules(Protocol):
    """How far schedules of resources were followed. Which there are, the resources say."""

    def get(self, kind: str, name: str) -> Schedule | None:
        """None where it was not looked at yet."""
        ...

    def select(self) -> list[Schedule]:
        """Of every resource that has, or had, one."""
        ...

    def put(self, schedule: Schedule) -> None:
        """Takes the place of what was known of it."""
        ...

    def drop(self, kind: str, name: str) -> None:
        """Harmless where nothing is known."""
        ...


class Tunings(Protocol):
    """Tunings, from acknowledgement to end. Their trials are runs."""

    def create(self, spec: TuningSpec, now: float) -> Tuning:
        """Gives the tuning the id `NAME-N`, the smallest N from 1 that was never used. Raises InvalidValue for a bad
        name."""
        ...

    def get(self, tuning: str) -> Tuning:
        """Raises NotFound, with the nearest id as hint."""
        ...

    def select(self, name: str | None = None, limit: int = 100) -> list[Tuning]:
        """Newest first."""
        ...

    def unfinished(self) -> list[Tuning]:
        """Oldest first."""
        ...

    def request_stop(self, tuning: str) -> Tuning:
        """Wishes a stop. Harmless on one that is stopping or has ended. Raises NotFound."""
        ...

    def end(
        self,
        tuning: str,
        status: TuningStatus,
        now: float,
        *,
        reason: str | None = None,
        best_run: str | None = None,
        model_version: int | None = None,
    ) -> Tuning:
        """Writes down how it ended; the first time counts. Raises NotFound, Conflict where it ended another way."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One sentence about one thing."""

    number: int
    at: float
    kind: str
    name: str
    sentence: str


class Events(Protocol):
    """What happened, for people. Bounded: beyond `events_max` the oldest go, and long sentences are cut."""

    def add(self, kind: str, name: str, sentence: str, now: float) -> None: ...

    def count_before(self, at: float) -> int:
        """How many are older."""
        ...

    def drop_before(self, at: float) -> int:
        """Forgets what is older; returns how many."""
        ...

    def select(self, kind: str | None = None, name: str | None = None, limit: int = 100) -> list[Event]:
        """Newest first."""
        ...


class Scaling(Protocol):
    """What autoscaling saw and decided, for people. Names are compared by `name_key`. Of each endpoint the newest
    `DECISIONS_PER_ENDPOINT_MAX` decisions and `LOADS_PER_ENDPOINT_MAX` records of load are kept."""

    def add_decisions(self, decisions: Iterable[tuple[str, Recommendation]]) -> None:
        """All at once, by endpoint, in order of time."""
        ...

    def decisions(self, name: str, limit: int = 100) -> list[Recommendation]:
        """Newest first."""
        ...

    def add_loads(self, loads: Iterable[tuple[str, LoadRecord]]) -> None:
        """All at once, by endpoint."""
        ...

    def loads(self, name: str, since: float = 0.0, limit: int = 1000) -> list[LoadRecord]:
        """The newest, oldest of them first."""
        ...

    def forget(self, name: str) -> None:
        """The endpoint is gone."""
        ...


Place = tuple[str, str, int]
"""Where something was counted: gateway, `name_key` of the endpoint, version."""


class Metrics(Protocol):
    """What endpoints did over time. Names are compared by `name_key`. Records are kept as `domain.metrics.RESOLUTIONS`
    says, at most `METRIC_RECORDS_MAX` of them."""

    def add(
        self,
        records: Iterable[tuple[str, MetricRecord]],
        totals: Mapping[Place, Figures],
        gone: Iterable[str] = (),
    ) -> None:
        """Adds records by endpoint, together with the counts that they were taken from: whoever comes later goes on
        from these. What gateways had counted that are `gone` is forgotten first."""
        ...

    def totals(self) -> dict[Place, Figures]: ...

    def select(
        self, name: str, since: float = 0.0, until: float | None = None, version: int | None = None
    ) -> Iterator[MetricRecord]:
        """Those that end after `since` and not after `until`, oldest first, whatever they cover; read as they are asked
        for, because a busy endpoint's are more than a process should hold."""
        ...

    def condense(self, now: float) -> int:
        """Adds old records up to fewer, and forgets those that are too old; returns how many were added up. What is too
        much for one time is left for the next."""
        ...

    def forget(self, name: str) -> None:
        """The endpoint is gone."""
        ...


class Users(Protocol):
    """People and groups. E-mail addresses are compared in lower case, names of groups by `name_key`. What changes who
    may do what makes `Keys.revision` count up."""

    def add(self, user: User, password: str | None) -> None:
        """`password` is its hash, None for one whom another site vouches for. Raises Conflict where there is such a
        user, or `USERS_MAX`."""
        ...

    def get(self, email: str) -> User:
        """Raises NotFound, with the nearest address as hint."""
        ...

    def find(self, issuer: str, subject: str) -> User | None:
        """Whom an OIDC issuer knows by that subject."""
        ...

    def select(self) -> list[User]:
        """By address."""
        ...

    def password(self, email: str) -> str | None:
        """The hash; None where there is no such user or no password."""
        ...

    def change(self, email: str, change: Callable[[User], User], password: str | None = None) -> User:
        """Applies `change` to what is there, in one transaction; a new password's hash, or being disabled, ends the
        user's sessions. Groups are not changed by it. Raises NotFound, InvalidValue beyond `GRANTS_MAX`."""
        ...

    def remove(self, email: str) -> None:
        """With their sessions, keys and grants. Raises NotFound."""
        ...

    def put_group(self, name: str, now: float, granted: Sequence[Grant] | None = None) -> Group:
        """Makes the group where it is not there, and gives it these grants where they are given. Raises InvalidValue,
        Conflict where there are `GROUPS_MAX`."""
        ...

    def groups(self) -> list[Group]:
        """By name."""
        ...

    def remove_group(self, name: str) -> None:
        """Raises NotFound."""
        ...

    def put_member(self, group: str, email: str, *, member: bool) -> Group:
        """Raises NotFound."""
        ...


class Alarms(Protocol):
    """States of alarms and the messages that tell of them; what is wished stands in `Resources`. Names are compared by
    `name_key`. Of each alarm `CHANGES_PER_ALARM_MAX` changes are kept, of messages `DELIVERIES_MAX`."""

    def move(self, change: AlarmChange, messages: Sequence[Delivery] = ()) -> None:
        """The state that an alarm is in from now on, and what is to be sent for it."""
        ...

    def add_deliveries(self, messages: Sequence[Delivery]) -> None:
        """What is to be sent without a change of state."""
        ...

    def states(self) -> dict[str, AlarmChange]:
        """The present one of every alarm that ever had one, by `name_key`."""
        ...

    def firing(self) -> frozenset[str]:
        """Names of alarms that are in alarm now."""
        ...

    def history(self, alarm: str, limit: int = 100) -> list[AlarmChange]:
        """Newest first."""
        ...

    def due(self, now: float, limit: int = 100) -> list[Delivery]:
        """What is to be sent by now, longest due first."""
        ...

    def put_delivery(self, delivery: Delivery) -> None:
        """What came of an attempt. Without effect where the delivery is gone."""
        ...

    def deliveries(self, alarm: str, limit: int = 100) -> list[Delivery]:
        """Newest first."""
        ...

    def forget(self, alarm: str) -> None:
        """The alarm is gone, with what was still to be sent."""
        ...


class Keys(Protocol):
    """Hashes of access keys, one-time links and sessions, never the secrets, and who is behind them. Beyond `LINKS_MAX`
    and `SESSIONS_MAX` those that expire first go."""

    def put_owner(self, digest: str, now: float) -> None:
        """The owner's key; replaces the one before."""
        ...

    def is_owner(self, digest: str) -> bool: ...

    def principal(self, digest: str, now: float) -> Principal | None:
        """Who shows a key or a session of the yard's own with that digest; None where nobody is known by it (any
        more)."""
        ...

    def credentials(self, now: float) -> dict[str, Known]:
        """Everybody who would be recognised, but the owner, by digest."""
        ...

    def revision(self) -> int:
        """Another number than before where `credentials` may be others."""
        ...

    def put_link(self, digest: str, expires_at: float) -> None: ...

    def take_link(self, digest: str, now: float) -> bool:
        """Whether that link was there and is still good; it is gone afterwards."""
        ...

    def put_code(self, digest: str, code: EntryCode) -> None: ...

    def take_code(self, digest: str, now: float) -> tuple[EntryCode, Session] | None:
        """The code with the session that it came of, if both are still good; the code is gone afterwards."""
        ...

    def put_session(self, digest: str, session: Session) -> None: ...

    def session(self, digest: str, now: float) -> Session | None: ...

    def sessions(self, now: float) -> list[Session]:
        """Newest first."""
        ...

    def end_session(self, session: str) -> None:
        """By its id, with those that came of it. Raises NotFound."""
        ...

    def put_key(self, digest: str, key: ApiKey) -> None:
        """Raises Conflict where its owner has `KEYS_PER_OWNER_MAX`."""
        ...

    def api_keys(self) -> list[ApiKey]:
        """Oldest first."""
        ...

    def delete_key(self, key: str) -> ApiKey:
        """By its id. Raises NotFound."""
        ...

    def put_job_token(self, digest: str, token: JobToken) -> None:
        """Replaces the one that its run had."""
        ...

    def end_job_token(self, run: str) -> None:
        """Nothing is opened by it any more; nothing happens where the run has none."""
        ...

    def used(self, digests: dict[str, float]) -> None:
        """When keys were last used, by digest; unknown ones are left out."""
        ...


class Providers(Protocol):
    """OpenID providers. Names are compared by `name_key`."""

    def put(self, provider: Provider) -> None:
        """Adds or replaces. Raises Conflict where there are `PROVIDERS_MAX`."""
        ...

    def get(self, name: str) -> Provider:
        """Raises NotFound."""
        ...

    def select(self) -> list[Provider]:
        """By name."""
        ...

    def remove(self, name: str) -> None:
        """Raises NotFound."""
        ...


class Audit(Protocol):
    """Who changed what and who was refused. Bounded: beyond `audit_max` the oldest go, some hundred at once."""

    def add(self, *entries: Audited) -> None:
        """In one transaction."""
        ...

    def select(
        self, text: str | None = None, since: float = 0.0, before: int | None = None, limit: int = 100
    ) -> list[Audited]:
        """Newest first; those with `text` in any field, since a time, and with a number below `before`."""
        ...


class Secrets(Protocol):
    """Values that code is started with, encrypted at rest. Names are compared by `name_key`."""

    def put(self, name: str, value: str, now: float) -> Secret:
        """Sets a secret; the value that it has already makes no new revision. Raises InvalidValue for a bad name or
        value, Conflict where there are `SECRETS_MAX`."""
        ...

    def get(self, name: str) -> Secret:
        """Raises NotFound, with the nearest name as hint."""
        ...

    def select(self) -> list[Secret]:
        """By name."""
        ...

    def reveal(self, names: Iterable[str]) -> dict[str, str]:
        """The present values, by the names that were given: for the start of a process and nothing else. Raises
        NotFound, StoreFailed where the key that they were written with is not there."""
        ...

    def delete(self, name: str) -> None:
        """Forgets a secret and its earlier values. Raises NotFound."""
        ...

    def masks(self) -> Masks:
        """What hides every value, earlier ones included."""
        ...


class Tracking(Protocol):
    """Metrics of runs, point by point, and how far each run's came on its way to the tracking server.

    A run's points and how much of its file they are of are written in one transaction, so a file that is read again
    adds nothing twice."""

    def progress(self, run: str) -> Progress:
        """Of a run that nothing is known of: all at the beginning."""
        ...

    def open(self, run: str) -> None:
        """The run is about to log: from now on its file is looked for, and the tracking server is told of it. Without
        effect where that was said before."""
        ...

    def unread(self) -> list[str]:
        """Runs whose metrics files were not read to the end, in the order in which they were first seen."""
        ...

    def unsent(self, limit: int) -> list[Progress]:
        """Runs that the tracking server has not all of, in the order in which they were first seen."""
        ...

    def add(self, run: str, points: Sequence[Point], read_bytes: int, *, read_all: bool) -> Progress:
        """Keeps points, in this order, as far as the limits allow; its file was read up to `read_bytes`."""
        ...

    def note_sent(self, run: str, *, sent: int | None = None, begun: bool = False, closed: bool = False) -> None:
        """Notes what the tracking server has: points up to number `sent`, the run itself, all of it."""
        ...

    def points(
        self, run: str, *, name: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[tuple[int, Point]]:
        """Points with their numbers, which rise in the order of logging; of one metric, or all."""
        ...

    def series(self, run: str) -> dict[str, int]:
        """How many points each metric of a run has, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Accepted:
    invocation: Invocation
    is_new: bool
    """False where the same invocation had been accepted before."""


@dataclass(frozen=True, slots=True)
class End:
    """What became of one attempt."""

    attempt: int
    """The one that was under way."""
    invocation: Invocation
    result: bytes | None = None
    """Where there is one and it is not in a file."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """What a dispatcher has to do."""

    queued: Mapping[str, int]
    """Invocations that wait, by the `name_key` of their endpoint."""
    next_at: float | None
    """When the next one becomes due or expires, or a webhook is to be told; None where nothing will."""
    stopping: tuple[Invocation, ...]
    """Under way, and wanted no more."""


class Invocations(Protocol):
    """Queued invocations, from acceptance until they are forgotten. Endpoints are compared by `name_key`, ids as they
    are; an id is an endpoint's own. What happens to one is decided in `domain.invocations`."""

    def accept(self, wanted: Sequence[tuple[Invocation, bytes | None]]) -> list[Accepted | Conflict]:
        """Takes several in one transaction, each with its body where that is not in a file. The same invocation is
        accepted once; for another of an id that is taken, the refusal is returned."""
        ...

    def get(self, endpoint: str, inference_id: str) -> Invocation:
        """Raises NotFound."""
        ...

    def content(self, sequence: int, *, result: bool) -> bytes:
        """The body or the result, where it is not in a file; empty where there is none."""
        ...

    def bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Those that are not in files, of several at once."""
        ...

    def select(
        self, endpoint: str | None = None, status: InvocationStatus | None = None, limit: int = 100
    ) -> list[Invocation]:
        """Newest first."""
        ...

    def counts(self, endpoint: str) -> dict[InvocationStatus, int]: ...

    def agenda(self, now: float) -> Agenda: ...

    def take(self, endpoint: str, limit: int, now: float) -> list[Invocation]:
        """Begins the next attempt of those that are due, oldest first."""
        ...

    def finish(self, ends: Sequence[End], now: float) -> list[bool]:
        """Writes what became of attempts (see `settled`). False for an attempt that is not under way any more: nothing
        was changed."""
        ...

    def recover(self, now: float) -> list[Invocation]:
        """Takes back what a dead dispatcher had under way."""
        ...

    def expire(self, now: float) -> list[Invocation]:
        """Ends what has waited too long."""
        ...

    def cancel(self, endpoint: str, inference_id: str, now: float) -> Invocation:
        """Raises NotFound, Conflict as `wish_cancelled` does."""
        ...

    def redrive(self, endpoint: str, ids: Sequence[str] | None, now: float) -> tuple[list[Invocation], list[str]]:
        """Dead letters begin anew, those of these ids or all. Returns them, and files of their results that nothing has
        any more. Raises NotFound, Conflict; then none was changed."""
        ...

    def deliveries(self, now: float, limit: int) -> list[Invocation]:
        """Those whose webhook is to be told now."""
        ...

    def put_delivery(self, sequence: int, delivery: WebhookDelivery) -> None:
        """Without effect where the invocation has nothing to deliver any more."""
        ...

    def forget_ended(self, before: float, limit: int = 500) -> list[Invocation]:
        """Forgets some of those that ended before; returns them, so that their files can go."""
        ...

    def files(self) -> set[str]:
        """Names of all files that invocations have."""
        ...


class Store(Protocol):
    @property
    def deployments(self) -> Deployments: ...
    @property
    def resources(self) -> Resources: ...
    @property
    def endpoints(self) -> Endpoints: ...
    @property
    def models(self) -> Models: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def tunings(self) -> Tunings: ...
    @property
    def transforms(self) -> Transforms: ...
    @property
    def schedules(self) -> Schedules: ...
    @property
    def invocations(self) -> Invocations: ...
    @property
    def events(self) -> Events: ...
    @property
    def scaling(self) -> Scaling: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def alarms(self) -> Alarms: ...
    @property
    def tracking(self) -> Tracking: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def users(self) -> Users: ...
    @property
    def providers(self) -> Providers: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def secrets(self) -> Secrets: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One file of a tree: a path with forward slashes, relative, without `..`; its sha256; its size."""

    path: str
    sha256: str
    size_bytes: int
    executable: bool = False


class Artifacts(Protocol):
    """Files by the sha256 of their content (blobs), and trees: named sets of files, themselves blobs of JSON.

    A tree's digest is the sha256 of its canonical JSON, so the same files give the same digest. Blobs are immutable.
    Digests are 64 lower-case hexadecimal digits; any method raises InvalidValue for another text.
    """

    async def put(self, sha256: str, chunks: AsyncIterator[bytes]) -> int:
        """Stores a blob and returns its size in bytes. Raises InvalidValue where the content has another digest; then
        nothing is kept. A blob that is there already stays."""
        ...

    def put_file(self, path: Path) -> tuple[str, int]:
        """Stores a file's content: (sha256, bytes). The file stays."""
        ...

    def put_bytes(self, content: bytes) -> str: ...

    def has(self, sha256: str) -> bool: ...

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those that are not there. Whatever is there counts as touched, as it does when it is put again or when a tree
        names it: who asks is likely to refer to it."""
        ...

    def stored(self) -> list[StoredArtifact]:
        """Every artifact, with when it was last touched."""
        ...

    def drop(self, sha256: str, touched_before: float) -> bool:
        """Forgets an artifact that was not touched since; True where it is gone now. Whether anything refers to it is
        the caller's to know."""
        ...

    def read(self, sha256: str) -> bytes:
        """The whole blob. Raises NotFound."""
        ...

    def put_tree(self, files: Sequence[TreeFile]) -> str:
        """Stores a tree whose blobs are all there: its digest. Raises InvalidValue for a bad path, a duplicate one or a
        size that is not the blob's, NotFound where a blob is missing; then nothing is kept."""
        ...

    def tree(self, digest: str) -> list[TreeFile]:
        """By path. Raises NotFound, InvalidValue where the blob is not a tree."""
        ...

    def put_folder(self, folder: Path) -> str:
        """Stores every regular file below a folder, and the tree. Links are followed. Raises InvalidValue for a link
        that leads outside, to nothing or in a circle, NotFound where there is no such folder."""
        ...

    def lay_out(self, digest: str, folder: Path, *, share: bool) -> None:
        """Writes a tree's files below `folder`, which must not exist yet (else Conflict); appears whole or not at all.

        `share=True`: files may share their content with the store and must not be written to. `share=False`: they are
        copies for whoever reads the folder, writable; nothing that is done to them reaches the store."""
        ...
