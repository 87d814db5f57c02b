"""The store in memory: for tests of everything that needs one. Keeps every promise of `ports` but that of the disk."""

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelyard.domain.access import Policy
from modelyard.domain.alarms import AlarmChange, AlarmState, Delivery
from modelyard.domain.autoscaling import Recommendation
from modelyard.domain.deployments import (
    ENDPOINT,
    STEERED,
    Change,
    Outcome,
    Present,
    Wanted,
    called_back_by,
    decide_deployment,
    decide_refresh,
    decide_rollback,
    decide_steering,
    wanted_keys,
)
from modelyard.domain.endpoints import (
    Endpoint,
    EndpointSpec,
    EndpointStatus,
    EndpointVersion,
    VersionState,
    kept_versions,
)
from modelyard.domain.headlines import Headline, headline
from modelyard.domain.idleness import Requests
from modelyard.domain.invocations import (
    DEAD,
    DeliveryState,
    Invocation,
    InvocationStatus,
    WebhookDelivery,
    check_same,
    expired,
    recovered,
    redriven,
    settled,
    taken,
    wish_cancelled,
)
from modelyard.domain.metrics import RESOLUTIONS, Figures, MetricRecord, condensed
from modelyard.domain.models import (
    Approval,
    Lineage,
    ModelReference,
    ModelVersion,
    alias_not_found,
    check_alias,
    check_alias_count,
    check_owner,
    merged_tags,
    version_not_found,
)
from modelyard.domain.names import check_model_name, check_name, name_key, not_found
from modelyard.domain.resources import Resource, ResourceName, ResourceVersion
from modelyard.domain.resources import kept_versions as kept_resource_versions
from modelyard.domain.retention import StoredArtifact
from modelyard.domain.runs import Run, RunSpec, RunStatus, RunStep, move_run, new_run, stop_run
from modelyard.domain.schedules import Schedule
from modelyard.domain.secrets import (
    SUPERSEDED_KEPT,
    Masks,
    Secret,
    check_count,
    check_secret_name,
    check_secret_value,
)
from modelyard.domain.traces import LoadRecord
from modelyard.domain.traffic import Progress as RolloutProgress
from modelyard.domain.transforms import (
    Transform,
    TransformSpec,
    TransformStatus,
    end_transform,
    new_transform,
    start_transform,
    stop_transform,
)
from modelyard.domain.tunings import Tuning, TuningSpec, TuningStatus, end_tuning, stop_tuning
from modelyard.errors import Conflict, InvalidValue, NotFound
from modelyard.store.folders import build_folder, walk_folder
from modelyard.store.limits import (
    CHANGES_PER_ALARM_MAX,
    CHILDREN_MAX,
    DECISIONS_PER_ENDPOINT_MAX,
    DELIVERIES_MAX,
    EVENTS_MAX,
    LOADS_PER_ENDPOINT_MAX,
    METRIC_RECORDS_MAX,
    NAMES_COMPARED_MAX,
    SENTENCE_LENGTH_MAX,
)
from modelyard.store.memory_access import MemoryAudit, MemoryKeys, MemoryProviders, MemoryUsers
from modelyard.store.memory_tracking import MemoryTracking
from modelyard.store.ports import Accepted, Agenda, End, Event, JsonObject, Place, TreeFile
from modelyard.store.trees import check_digest, check_size, check_tree_size, decode_tree, encode_tree


class MemoryEndpoints:
    """Implements `ports.Endpoints`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._endpoints: dict[str, Endpoint] = {}
        self._statuses: dict[str, EndpointStatus] = {}
        self._removed: dict[str, int] = {}
        self._revision = 0
        self._revisions: dict[str, int] = {}
        self._requests: dict[str, Requests] = {}

    def roll_back(
        self, name: str, to: int | None, now: float, by: str | None = None, reason: str | None = None
    ) -> Outcome:
        return self._repeat(name, lambda endpoint: decide_rollback(endpoint, to), now, by, reason)

    def refresh(self, name: str, version: int | None, now: float, by: str | None = None) -> Outcome:
        return self._repeat(name, lambda endpoint: decide_refresh(endpoint, version), now, by)

    def _repeat(
        self, name: str, decide: Callable[[Endpoint], Outcome], now: float, by: str | None, reason: str | None = None
    ) -> Outcome:
        with self._lock:
            endpoint = self.get(name)
            outcome = decide(endpoint)
            source = endpoint.version(outcome.source or endpoint.wished.number) or endpoint.wished
            if outcome.change is Change.CALLING_BACK:
                self.mark_version(name, source.number, VersionState.ROLLED_BACK, reason or called_back_by(by))
            else:
                if outcome.change is Change.ROLLING_BACK and reason is not None:
                    self._update_version(name, endpoint.wished.number, reason=reason)
                self.put_version(endpoint.project, outcome, source.spec, now, by)
            return outcome

    def steer(self, name: str, change: Change, version: int | None = None, *, step: bool = False) -> Outcome:
        with self._lock:
            outcome, steering = decide_steering(self.get(name), change, version, step=step)
            if outcome.change in STEERED and outcome.version is not None:
                self._update_version(name, outcome.version, steering=steering)
            return outcome

    def get(self, name: str) -> Endpoint:
        with self._lock:
            found = self._endpoints.get(name_key(name))
            if found is None:
                raise not_found("endpoint", name, [one.name for one in self._endpoints.values()])
            return found

    def select(self, project: str | None = None) -> list[Endpoint]:
        with self._lock:
            return [one for _, one in sorted(self._endpoints.items()) if project in (None, one.project)]

    def find(self, keys: Collection[str]) -> dict[str, Endpoint]:
        with self._lock:
            return {key: self._endpoints[key] for key in keys if key in self._endpoints}

    def count(self) -> int:
        return len(self._endpoints)

    def headlines(self) -> Sequence[Headline]:
        with self._lock:
            return [
                headline(one, self._statuses.get(key), self._requests.get(key, Requests()))
                for key, one in sorted(self._endpoints.items())
            ]

    def changed_since(self, revision: int) -> tuple[int, list[str]]:
        with self._lock:
            return self._revision, sorted(key for key, changed in self._revisions.items() if changed > revision)

    def _put(self, key: str, endpoint: Endpoint) -> None:
        self._endpoints[key] = endpoint
        self._revision += 1
        self._revisions[key] = self._revision

    def delete(self, name: str, now: float, version: int | None = None) -> Endpoint:
        del now  # the port's; a fake shows it to nobody
        with self._lock:
            found = self.get(name)
            if version is not None and found.wished.number != version:
                return found
            found = replace(found, deleting=True)
            self._put(name_key(name), found)
            return found

    def remove(self, name: str) -> None:
        key = name_key(name)
        with self._lock:
            found = self._endpoints.get(key)
            if found is not None and found.deleting:
                self._removed[key] = found.wished.number
                for known in (self._statuses, self._requests, self._revisions, self._endpoints):
                    known.pop(key, None)

    def mark_version(
        self, name: str, number: int, state: VersionState, reason: str | None, *, out_of_memory: bool = False
    ) -> None:
        self._update_version(name, number, state=state, reason=reason, out_of_memory=out_of_memory)

    def put_progress(self, name: str, number: int, progress: RolloutProgress) -> None:
        self._update_version(name, number, progress=progress)

    def _update_version(self, name: str, number: int, **values: Any) -> None:
        key = name_key(name)
        with self._lock:
            found = self._endpoints.get(key)
            if found is not None:
                marked = [replace(one, **values) if one.number == number else one for one in found.versions]
                self._put(key, replace(found, versions=kept_versions(marked)))

    def put_statuses(self, statuses: Mapping[str, EndpointStatus]) -> None:
        with self._lock:
            for name, status in statuses.items():
                if name_key(name) in self._endpoints:
                    self._statuses[name_key(name)] = status

    def status(self, name: str) -> EndpointStatus | None:
        with self._lock:
            return self._statuses.get(name_key(name))

    def statuses(self, keys: Collection[str] | None = None) -> dict[str, EndpointStatus]:
        with self._lock:
            return {key: one for key, one in sorted(self._statuses.items()) if keys is None or key in keys}

    def put_requests(self, requests: Mapping[str, Requests]) -> None:
        with self._lock:
            self._requests |= requests

    def requests(self) -> dict[str, Requests]:
        with self._lock:
            return dict(sorted(self._requests.items()))

    def requests_of(self, name: str) -> Requests:
        with self._lock:
            return self._requests.get(name_key(name), Requests())

    def put_version(self, project: str, outcome: Outcome, spec: EndpointSpec, now: float, by: str | None) -> None:
        """The version that an outcome makes, if it makes one."""
        if outcome.change in (Change.UP_TO_DATE, Change.ACCESS) or outcome.version is None:
            return
        key = name_key(outcome.name)
        version = EndpointVersion(outcome.version, spec, now, origin=outcome.origin(by))
        found = self._endpoints.get(key)
        if found is None:
            self._put(key, Endpoint(outcome.name, project, (version,)))
        else:
            self._put(key, replace(found, versions=kept_versions([*found.versions, version])))

    def put_access(self, name: str, access: Policy | None) -> None:
        with self._lock:
            self._put(name_key(name), replace(self._endpoints[name_key(name)], access=access))

    def present(self) -> tuple[dict[str, Endpoint], dict[str, int]]:
        """Those that are there, and the last numbers of those that are gone, by key."""
        with self._lock:
            return dict(self._endpoints), dict(self._removed)


class MemoryResources:
    """Implements `ports.Resources`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._resources: dict[tuple[str, str], Resource] = {}
        self._removed: dict[tuple[str, str], int] = {}

    def get(self, kind: str, name: str) -> Resource:
        with self._lock:
            found = self._resources.get((kind, name_key(name)))
            if found is None:
                raise not_found(kind, name, [one.name.name for one in self.select(kind)])
            return found

    def select(self, kind: str | None = None, project: str | None = None) -> list[Resource]:
        with self._lock:
            there = [one for _, one in sorted(self._resources.items())]
        return [one for one in there if kind in (None, one.name.kind) and project in (None, one.project)]

    def put(self, kind: str, name: str, spec: JsonObject, now: float, by: str | None = None) -> Resource:
        with self._lock:
            found = self.get(kind, name)
            if found.wished.spec != spec:
                self.put_version(found.name, found.project, found.wished.number + 1, spec, now, by)
            return self.get(kind, name)

    def delete(self, kind: str, name: str) -> Resource:
        with self._lock:
            found = self.get(kind, name)
            self._removed[found.name.key] = found.wished.number
            return self._resources.pop(found.name.key)

    def put_version(
        self, name: ResourceName, project: str, number: int, spec: JsonObject, now: float, by: str | None
    ) -> None:
        """A new version, of a new resource where there is none."""
        version = ResourceVersion(number, spec, now, by)
        with self._lock:
            found = self._resources.get(name.key) or Resource(name, project, ())
            self._resources[name.key] = replace(found, versions=kept_resource_versions([*found.versions, version]))

    def present(self) -> tuple[dict[tuple[str, str], Resource], dict[tuple[str, str], int]]:
        """Those that are there, and the last numbers of those that are gone, by kind and key."""
        with self._lock:
            return dict(self._resources), dict(self._removed)


class MemoryDeployments:
    """Implements `ports.Deployments`."""

    def __init__(self, endpoints: MemoryEndpoints, resources: MemoryResources) -> None:
        self._lock = threading.RLock()
        self._endpoints = endpoints
        self._resources = resources
        self._from_file: dict[str, set[tuple[str, str]]] = {}

    def apply(self, project: str, wanted: Wanted, now: float, by: str | None = None) -> list[Outcome]:
        with self._lock:
            endpoints, removed_endpoints = self._endpoints.present()
            resources, removed_resources = self._resources.present()
            from_file = self._from_file.setdefault(project, set())
            present = Present(endpoints, resources, removed_endpoints, removed_resources, frozenset(from_file))
            outcomes = decide_deployment(project, wanted, present)
            for outcome in outcomes:
                self._apply(project, wanted, outcome, now, by)
            if wanted.from_file:
                from_file |= wanted_keys(wanted)
            from_file -= {(one.kind, name_key(one.name)) for one in outcomes if one.change is Change.DELETING}
            return outcomes

    def _apply(self, project: str, wanted: Wanted, outcome: Outcome, now: float, by: str | None) -> None:
        if outcome.kind == ENDPOINT:
            if outcome.change is Change.DELETING:
                self._endpoints.delete(outcome.name, now)
            else:
                specs = {name_key(name): spec for name, spec in wanted.endpoints.items()}
                self._endpoints.put_version(project, outcome, specs[name_key(outcome.name)], now, by)
                if outcome.change is not Change.UP_TO_DATE:
                    access = {name_key(name): policy for name, policy in wanted.access.items()}
                    self._endpoints.put_access(outcome.name, access.get(name_key(outcome.name)))
        elif outcome.change is Change.DELETING:
            self._resources.delete(outcome.kind, outcome.name)
        elif outcome.change is not Change.UP_TO_DATE and outcome.version is not None:
            name = ResourceName(outcome.kind, outcome.name)
            spec = {one.key: spec for one, spec in wanted.resources.items()}[name.key]
            self._resources.put_version(name, project, outcome.version, spec, now, by)


@dataclass(slots=True)
class _Model:
    name: str
    project: str
    last_version: int = 0
    versions: dict[int, ModelVersion] = field(default_factory=dict[int, ModelVersion])
    aliases: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    """By `name_key`: the alias as it was written first, and the version that has it."""

    @property
    def newest_first(self) -> list[ModelVersion]:
        return [self.seen(number) for number in sorted(self.versions, reverse=True)]

    def seen(self, number: int) -> ModelVersion:
        aliases = tuple(name for _, (name, version) in sorted(self.aliases.items()) if version == number)
        return replace(self.versions[number], aliases=aliases)


class MemoryModels:
    """Implements `ports.Models`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._models: dict[str, _Model] = {}

    def register(
        self, model: str, project: str, tree: str, size_bytes: int, framework: str | None, lineage: Lineage, now: float
    ) -> ModelVersion:
        key = name_key(check_model_name(model))
        with self._lock:
            found = self._models.setdefault(key, _Model(model, project))
            if not found.versions:
                found.name, found.project = model, project
            check_owner(found.name, found.project, project)
            for one in found.versions.values():
                if lineage.run is not None and one.lineage.run == lineage.run:
                    return found.seen(one.version)
            found.last_version += 1
            made = ModelVersion(
                found.name, found.last_version, tree, size_bytes, framework, now, found.project, lineage
            )
            found.versions[made.version] = made
            return made

    def get(self, model: str, version: int | None = None) -> ModelVersion:
        there = self.versions(model)
        wanted = next((one for one in there if version in (None, one.version)), None)
        if wanted is None:
            raise version_not_found(model, version, [one.version for one in there])
        return wanted

    def select(self, project: str | None = None) -> list[ModelVersion]:
        with self._lock:
            newest = [one.newest_first[0] for _, one in sorted(self._models.items()) if one.versions]
        return [one for one in newest if project in (None, one.project)]

    def count(self) -> int:
        return len(self.select())

    def frameworks(self) -> set[str]:
        with self._lock:
            every = [one for model in self._models.values() for one in model.versions.values()]
        return {one.framework for one in every if one.framework is not None}

    def children(self, reference: str) -> list[str]:
        with self._lock:
            every = [one for _, known in sorted(self._models.items()) for one in reversed(known.newest_first)]
            return [one.reference for one in every if reference in one.lineage.parents.values()][:CHILDREN_MAX]

    def versions(self, model: str) -> list[ModelVersion]:
        with self._lock:
            found = self._models.get(name_key(model))
            if found is None or not found.versions:
                raise not_found("model", model, [one.name for one in self._models.values() if one.versions])
            return found.newest_first

    def delete(self, model: str, version: int | None = None) -> int:
        with self._lock:
            self.get(model, version)
            versions = self._models[name_key(model)].versions
            gone = [number for number in versions if version in (None, number)]
            for number in gone:
                del versions[number]
            aliases = self._models[name_key(model)].aliases
            for alias in [alias for alias, (_, number) in aliases.items() if number in gone]:
                del aliases[alias]
            return len(gone)

    def resolve(self, reference: ModelReference) -> ModelVersion:
        if reference.alias is None:
            return self.get(reference.model, reference.version)
        with self._lock:
            newest = self.get(reference.model)
            aliases = self._models[name_key(reference.model)].aliases
            if name_key(reference.alias) not in aliases:
                raise alias_not_found(newest.model, reference.alias, [name for _, (name, _) in sorted(aliases.items())])
            return self.get(reference.model, aliases[name_key(reference.alias)][1])

    def put_alias(self, model: str, alias: str, version: int, now: float, by: str | None = None) -> int | None:  # noqa: ARG002 (the port's; a fake shows them to nobody)
        check_alias(alias)
        with self._lock:
            found = self.get(model, version)
            aliases = self._models[name_key(model)].aliases
            before = aliases.get(name_key(alias))
            if before is None:
                check_alias_count(found.model, len(aliases))
            aliases[name_key(alias)] = (alias if before is None else before[0], version)
            return None if before is None else before[1]

    def delete_alias(self, model: str, alias: str) -> int:
        with self._lock:
            named = self.resolve(ModelReference(model, alias=alias))
            del self._models[name_key(model)].aliases[name_key(alias)]
            return named.version

    def put_tags(self, model: str, version: int, changes: Mapping[str, str | None]) -> ModelVersion:
        with self._lock:
            found = self.get(model, version)
            return self._change(replace(found, tags=merged_tags(found.reference, found.tags, changes)))

    def put_approval(self, model: str, version: int, approval: Approval) -> ModelVersion:
        with self._lock:
            return self._change(replace(self.get(model, version), approval=approval))

    def _change(self, version: ModelVersion) -> ModelVersion:
        self._models[name_key(version.model)].versions[version.version] = version
        return self.get(version.model, version.version)


class MemoryRuns:
    """Implements `ports.Runs`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._runs: dict[str, Run] = {}

    def create(self, spec: RunSpec, now: float) -> Run:
        training = check_name(spec.training, "training name")
        with self._lock:
            number = 1
            while name_key(f"{training}-{number}") in self._runs:
                number += 1
            return self._put(new_run(f"{training}-{number}", spec, now))

    def get(self, run: str) -> Run:
        with self._lock:
            found = self._runs.get(name_key(run))
            if found is None:
                raise not_found("run", run, [one.id for one in self.select(limit=NAMES_COMPARED_MAX)])
            return found

    def select(self, project: str | None = None, training: str | None = None, limit: int = 100) -> list[Run]:
        with self._lock:
            newest_first = list(reversed(self._runs.values()))
        wanted = [
            one
            for one in newest_first
            if project in (None, one.spec.project)
            and (training is None or name_key(one.spec.training) == name_key(training))
        ]
        return wanted[:limit]

    def count(self) -> int:
        return len(self._runs)

    def unfinished(self) -> list[Run]:
        with self._lock:
            return [one for one in self._runs.values() if not one.ended]

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
        with self._lock:
            moved = move_run(
                self.get(run),
                status,
                step,
                now,
                exit_code=exit_code,
                failure_reason=failure_reason,
                metrics=metrics,
                model_version=model_version,
            )
            return self._put(moved)

    def put_metrics(self, run: str, metrics: Mapping[str, float]) -> None:
        with self._lock:
            found = self.get(run)
            self._put(replace(found, metrics={**found.metrics, **metrics}))

    def put_waiting(self, reasons: Mapping[str, str | None]) -> None:
        with self._lock:
            for run, reason in reasons.items():
                found = self._runs.get(name_key(run))
                if found is not None and not found.ended:
                    self._put(replace(found, waiting=reason))

    def request_stop(self, run: str, now: float) -> Run:
        with self._lock:
            return self._put(stop_run(self.get(run), now))

    def _put(self, run: Run) -> Run:
        self._runs[name_key(run.id)] = run
        return run


class MemoryTransforms:
    """Implements `ports.Transforms`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._transforms: dict[str, Transform] = {}

    def create(self, spec: TransformSpec, now: float) -> Transform:
        name = check_name(spec.name, "transform name")
        with self._lock:
            number = 1
            while name_key(f"{name}-{number}") in self._transforms:
                number += 1
            return self._put(new_transform(f"{name}-{number}", spec, now))

    def get(self, transform: str) -> Transform:
        with self._lock:
            found = self._transforms.get(name_key(transform))
            if found is None:
                raise not_found("transform", transform, [one.id for one in self.select(limit=NAMES_COMPARED_MAX)])
            return found

    def select(self, project: str | None = None, batch: str | None = None, limit: int = 100) -> list[Transform]:
        with self._lock:
            newest_first = list(reversed(self._transforms.values()))
        wanted = [
            one
            for one in newest_first
            if project in (None, one.spec.project)
            and (batch is None or (one.spec.batch is not None and name_key(one.spec.batch) == name_key(batch)))
        ]
        return wanted[:limit]

    def unfinished(self) -> list[Transform]:
        with self._lock:
            return [one for one in self._transforms.values() if not one.ended]

    def start(self, transform: str, now: float) -> Transform:
        with self._lock:
            return self._put(start_transform(self.get(transform), now))

    def end(
        self,
        transform: str,
        status: TransformStatus,
        now: float,
        reason: str | None = None,
        result: dict[str, Any] | None = None,
    ) -> Transform:
        with self._lock:
            return self._put(end_transform(self.get(transform), status, now, reason, result or {}))

    def put_waiting(self, reasons: Mapping[str, str | None]) -> None:
        with self._lock:
            for transform, reason in reasons.items():
                found = self._transforms.get(name_key(transform))
                if found is not None and not found.ended:
                    self._put(replace(found, waiting=reason))

    def request_stop(self, transform: str) -> Transform:
        with self._lock:
            return self._put(stop_transform(self.get(transform)))

    def _put(self, transform: Transform) -> Transform:
        self._transforms[name_key(transform.id)] = transform
        return transform


class MemorySchedules:
    """Implements `ports.Schedules`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._schedules: dict[tuple[str, str], Schedule] = {}

    def get(self, kind: str, name: str) -> Schedule | None:
        with self._lock:
            return self._schedules.get((kind, name_key(name)))

    def select(self) -> list[Schedule]:
        with self._lock:
            return list(self._schedules.values())

    def put(self, schedule: Schedule) -> None:
        with self._lock:
            self._schedules[schedule.kind, name_key(schedule.name)] = schedule

    def drop(self, kind: str, name: str) -> None:
        with self._lock:
            self._schedules.pop((kind, name_key(name)), None)


class MemoryTunings:
    """Implements `ports.Tunings`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._tunings: dict[str, Tuning] = {}

    def create(self, spec: TuningSpec, now: float) -> Tuning:
        name = check_name(spec.name, "tuning name")
        with self._lock:
            number = 1
            while name_key(f"{name}-{number}") in self._tunings:
                number += 1
            return self._put(Tuning(f"{name}-{number}", spec, TuningStatus.IN_PROGRESS, now))

    def get(self, tuning: str) -> Tuning:
        with self._lock:
            found = self._tunings.get(name_key(tuning))
            if found is None:
                raise not_found("tuning", tuning, [one.id for one in self.select(limit=NAMES_COMPARED_MAX)])
            return found

    def select(self, name: str | None = None, limit: int = 100) -> list[Tuning]:
        with self._lock:
            newest_first = list(reversed(self._tunings.values()))
        return [one for one in newest_first if name is None or name_key(one.spec.name) == name_key(name)][:limit]

    def unfinished(self) -> list[Tuning]:
        with self._lock:
            return [one for one in self._tunings.values() if not one.ended]

    def request_stop(self, tuning: str) -> Tuning:
        with self._lock:
            return self._put(stop_tuning(self.get(tuning)))

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
        with self._lock:
            return self._put(end_tuning(self.get(tuning), status, now, reason, best_run, model_version))

    def _put(self, tuning: Tuning) -> Tuning:
        self._tunings[name_key(tuning.id)] = tuning
        return tuning


class MemoryEvents:
    """Implements `ports.Events`."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self._lock = threading.RLock()
        self._events: list[Event] = []
        self._last_number = 0
        self._events_max = events_max

    def add(self, kind: str, name: str, sentence: str, now: float) -> None:
        with self._lock:
            self._last_number += 1
            self._events.append(Event(self._last_number, now, kind, name, sentence[:SENTENCE_LENGTH_MAX]))
            del self._events[: -self._events_max]

    def count_before(self, at: float) -> int:
        with self._lock:
            return sum(one.at < at for one in self._events)

    def drop_before(self, at: float) -> int:
        with self._lock:
            count = self.count_before(at)
            self._events = [one for one in self._events if one.at >= at]
            return count

    def select(self, kind: str | None = None, name: str | None = None, limit: int = 100) -> list[Event]:
        with self._lock:
            newest_first = self._events[::-1]
        wanted = [
            one
            for one in newest_first
            if kind in (None, one.kind) and (name is None or name_key(one.name) == name_key(name))
        ]
        return wanted[:limit]


class MemoryScaling:
    """Implements `ports.Scaling`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._decisions: dict[str, list[Recommendation]] = {}
        self._loads: dict[str, list[LoadRecord]] = {}

    def add_decisions(self, decisions: Iterable[tuple[str, Recommendation]]) -> None:
        with self._lock:
            for name, decision in decisions:
                kept = self._decisions.setdefault(name_key(name), [])
                kept.append(decision)
                del kept[:-DECISIONS_PER_ENDPOINT_MAX]

    def decisions(self, name: str, limit: int = 100) -> list[Recommendation]:
        with self._lock:
            return self._decisions.get(name_key(name), [])[::-1][:limit]

    def add_loads(self, loads: Iterable[tuple[str, LoadRecord]]) -> None:
        with self._lock:
            for name, record in loads:
                kept = self._loads.setdefault(name_key(name), [])
                kept.append(record)
                del kept[:-LOADS_PER_ENDPOINT_MAX]

    def loads(self, name: str, since: float = 0.0, limit: int = 1000) -> list[LoadRecord]:
        with self._lock:
            found = [one for one in self._loads.get(name_key(name), []) if one.at > since]
        return found[max(0, len(found) - limit) :]

    def forget(self, name: str) -> None:
        with self._lock:
            self._decisions.pop(name_key(name), None)
            self._loads.pop(name_key(name), None)


class MemoryMetrics:
    """Implements `ports.Metrics`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._records: list[tuple[str, int, MetricRecord]] = []
        """(`name_key`, step, record)."""
        self._totals: dict[Place, Figures] = {}

    def add(
        self,
        records: Iterable[tuple[str, MetricRecord]],
        totals: Mapping[Place, Figures],
        gone: Iterable[str] = (),
    ) -> None:
        with self._lock:
            left = set(gone)
            self._totals = {place: one for place, one in self._totals.items() if place[0] not in left}
            self._totals |= {place: one.since(None) for place, one in totals.items()}
            self._records += [(name_key(name), RESOLUTIONS[0][0], record) for name, record in records]
            del self._records[:-METRIC_RECORDS_MAX]

    def totals(self) -> dict[Place, Figures]:
        with self._lock:
            return {place: one.since(None) for place, one in self._totals.items()}

    def select(
        self, name: str, since: float = 0.0, until: float | None = None, version: int | None = None
    ) -> Iterator[MetricRecord]:
        with self._lock:
            found = [
                one
                for key, _, one in self._records
                if key == name_key(name)
                and one.at > since
                and (until is None or one.at <= until)
                and version in (None, one.version)
            ]
        return iter(sorted(found, key=lambda one: (one.at, one.version)))

    def condense(self, now: float) -> int:
        count = 0
        with self._lock:
            for (step, kept), (coarser, _) in itertools.pairwise(RESOLUTIONS):
                before = (now - kept) // coarser * coarser
                old = [(key, one) for key, its, one in self._records if its == step and one.at <= before]
                self._records = [one for one in self._records if one[1] != step or one[2].at > before]
                for key in {key for key, _ in old}:
                    fewer = condensed([one for its, one in old if its == key], coarser)
                    self._records += [(key, coarser, one) for one in fewer]
                count += len(old)
            last, kept = RESOLUTIONS[-1]
            self._records = [one for one in self._records if one[1] != last or one[2].at > now - kept]
        return count

    def forget(self, name: str) -> None:
        with self._lock:
            self._records = [one for one in self._records if one[0] != name_key(name)]
            self._totals = {place: one for place, one in self._totals.items() if place[1] != name_key(name)}


class MemoryAlarms:
    """Implements `ports.Alarms`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changes: dict[str, list[AlarmChange]] = {}
        self._deliveries: dict[str, Delivery] = {}
        """By id, oldest first."""

    def move(self, change: AlarmChange, messages: Sequence[Delivery] = ()) -> None:
        with self._lock:
            kept = self._changes.setdefault(name_key(change.alarm), [])
            kept.append(replace(change, sentence=change.sentence[:SENTENCE_LENGTH_MAX]))
            del kept[:-CHANGES_PER_ALARM_MAX]
            self.add_deliveries(messages)

    def add_deliveries(self, messages: Sequence[Delivery]) -> None:
        with self._lock:
            self._deliveries |= {one.id: one for one in messages}
            for beyond in list(self._deliveries)[:-DELIVERIES_MAX]:
                del self._deliveries[beyond]

    def states(self) -> dict[str, AlarmChange]:
        with self._lock:
            return {key: changes[-1] for key, changes in self._changes.items()}

    def firing(self) -> frozenset[str]:
        return frozenset(one.alarm for one in self.states().values() if one.state is AlarmState.ALARM)

    def history(self, alarm: str, limit: int = 100) -> list[AlarmChange]:
        with self._lock:
            return self._changes.get(name_key(alarm), [])[::-1][:limit]

    def due(self, now: float, limit: int = 100) -> list[Delivery]:
        with self._lock:
            found = [(one.due_at, one) for one in self._deliveries.values() if one.due_at is not None]
        return [one for at, one in sorted(found, key=lambda pair: pair[0]) if at <= now][:limit]

    def put_delivery(self, delivery: Delivery) -> None:
        with self._lock:
            if delivery.id in self._deliveries:
                self._deliveries[delivery.id] = delivery

    def deliveries(self, alarm: str, limit: int = 100) -> list[Delivery]:
        with self._lock:
            found = [one for one in self._deliveries.values() if name_key(one.alarm) == name_key(alarm)]
        return found[::-1][:limit]

    def forget(self, alarm: str) -> None:
        key = name_key(alarm)
        with self._lock:
            self._changes.pop(key, None)
            self._deliveries = {one.id: one for one in self._deliveries.values() if name_key(one.alarm) != key}


class MemorySecrets:
    """Implements `ports.Secrets`; nothing of it is at rest anywhere."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._secrets: dict[str, tuple[Secret, list[str]]] = {}

    def put(self, name: str, value: str, now: float) -> Secret:
        check_secret_value(check_secret_name(name), value)
        with self._lock:
            before, values = self._secrets.get(name_key(name), (None, list[str]()))
            if before is None:
                check_count(name, len(self._secrets))
            if before is not None and values[-1] == value:
                return before
            made = Secret(name, 1, now, now) if before is None else replace(before, revision=before.revision + 1)
            made = replace(made, updated_at=now)
            self._secrets[name_key(name)] = (made, [*values, value][-SUPERSEDED_KEPT - 1 :])
            return made

    def get(self, name: str) -> Secret:
        return self._get(name)[0]

    def select(self) -> list[Secret]:
        with self._lock:
            return [secret for _, (secret, _) in sorted(self._secrets.items())]

    def reveal(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self._get(name)[1][-1] for name in names}

    def delete(self, name: str) -> None:
        with self._lock:
            self._get(name)
            del self._secrets[name_key(name)]

    def masks(self) -> Masks:
        with self._lock:
            return Masks(value for _, values in self._secrets.values() for value in values)

    def _get(self, name: str) -> tuple[Secret, list[str]]:
        with self._lock:
            found = self._secrets.get(name_key(name))
            if found is None:
                raise not_found("secret", name, [secret.name for secret, _ in self._secrets.values()])
            return found


class MemoryInvocations:
    """Implements `ports.Invocations`."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._all: dict[int, Invocation] = {}
        self._contents: dict[tuple[int, bool], bytes] = {}
        self._last = 0

    def accept(self, wanted: Sequence[tuple[Invocation, bytes | None]]) -> list[Accepted | Conflict]:
        with self._lock:
            return [self._accept(one, body) for one, body in wanted]

    def get(self, endpoint: str, inference_id: str) -> Invocation:
        mine = self.select(endpoint, limit=len(self._all) or 1)
        found = next((one for one in mine if one.id == inference_id), None)
        if found is None:
            raise not_found(
                f"an invocation of {endpoint} called", inference_id, (one.id for one in mine[:NAMES_COMPARED_MAX])
            )
        return found

    def content(self, sequence: int, *, result: bool) -> bytes:
        return self._contents.get((sequence, result), b"")

    def bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        found = {one: self._contents.get((one, False)) for one in sequences}
        return {one: content for one, content in found.items() if content is not None}

    def select(
        self, endpoint: str | None = None, status: InvocationStatus | None = None, limit: int = 100
    ) -> list[Invocation]:
        key = name_key(endpoint) if endpoint is not None else None
        found = [
            one
            for one in reversed(self._all.values())
            if key in (None, name_key(one.endpoint)) and status in (None, one.status)
        ]
        return found[:limit]

    def counts(self, endpoint: str) -> dict[InvocationStatus, int]:
        return dict(Counter(one.status for one in self.select(endpoint, limit=len(self._all) or 1)))

    def agenda(self, now: float) -> Agenda:
        queued = [one for one in self._all.values() if one.status is InvocationStatus.IN_QUEUE]
        moments = [one.due_at for one in queued if one.due_at > now] + [one.expires_at for one in queued]
        moments += [one.delivery.due_at for one in self._undelivered() if one.delivery is not None]
        running = [one for one in self._all.values() if one.status is InvocationStatus.IN_PROGRESS]
        return Agenda(
            dict(Counter(name_key(one.endpoint) for one in queued)),
            min(moments, default=None),
            tuple(one for one in running if one.cancel_requested),
        )

    def take(self, endpoint: str, limit: int, now: float) -> list[Invocation]:
        due = [
            one
            for one in self._all.values()
            if one.status is InvocationStatus.IN_QUEUE
            and name_key(one.endpoint) == name_key(endpoint)
            and one.due_at <= now < one.expires_at
        ]
        return [self._put(taken(one, now)) for one in due[:limit]]

    def finish(self, ends: Sequence[End], now: float) -> list[bool]:
        with self._lock:
            return [self._finish(one, now) for one in ends]

    def recover(self, now: float) -> list[Invocation]:
        running = [one for one in self._all.values() if one.status is InvocationStatus.IN_PROGRESS]
        return [self._put(recovered(one, now)) for one in running]

    def expire(self, now: float) -> list[Invocation]:
        queued = [one for one in self._all.values() if one.status is InvocationStatus.IN_QUEUE]
        return [self._put(expired(one, now)) for one in queued if one.expires_at <= now]

    def cancel(self, endpoint: str, inference_id: str, now: float) -> Invocation:
        with self._lock:
            return self._put(wish_cancelled(self.get(endpoint, inference_id), now))

    def redrive(self, endpoint: str, ids: Sequence[str] | None, now: float) -> tuple[list[Invocation], list[str]]:
        with self._lock:
            if ids is None:
                found = [one for one in self.select(endpoint, limit=len(self._all) or 1) if one.status in DEAD]
            else:
                found = [self.get(endpoint, one) for one in ids]
            anew = [redriven(one, now) for one in found]
            for one in anew:
                self._put(one)
                self._contents.pop((one.sequence, True), None)
        return anew, [file for one in found if one.result is not None and (file := one.result.stored.file)]

    def deliveries(self, now: float, limit: int) -> list[Invocation]:
        due = [one for one in self._undelivered() if one.delivery is not None and one.delivery.due_at <= now]
        return due[:limit]

    def put_delivery(self, sequence: int, delivery: WebhookDelivery) -> None:
        found = self._all.get(sequence)
        if found is not None and found.delivery is not None:
            self._put(replace(found, delivery=delivery))

    def forget_ended(self, before: float, limit: int = 500) -> list[Invocation]:
        with self._lock:
            old = [one for one in self._all.values() if one.ended and (one.ended_at or 0.0) < before]
            kept = {one.sequence for one in self._undelivered() if one.delivery and one.delivery.due_at >= before}
            found = [one for one in old if one.sequence not in kept][:limit]
            for one in found:
                del self._all[one.sequence]
                for result in (False, True):
                    self._contents.pop((one.sequence, result), None)
        return found

    def files(self) -> set[str]:
        stored = [one.request.body for one in self._all.values()]
        stored += [one.result.stored for one in self._all.values() if one.result is not None]
        return {one.file for one in stored if one.file is not None}

    def _undelivered(self) -> list[Invocation]:
        return [
            one
            for one in self._all.values()
            if one.delivery is not None and one.delivery.state is DeliveryState.PENDING
        ]

    def _accept(self, asked: Invocation, body: bytes | None) -> Accepted | Conflict:
        mine = self.select(asked.endpoint, limit=len(self._all) or 1)
        there = next((one for one in mine if one.id == asked.id), None)
        if there is not None:
            try:
                check_same(there, asked)
            except Conflict as conflict:
                return conflict
            return Accepted(there, is_new=False)
        self._last += 1
        if body is not None:
            self._contents[self._last, False] = body
        return Accepted(self._put(replace(asked, sequence=self._last)), is_new=True)

    def _finish(self, end: End, now: float) -> bool:
        there = self._all.get(end.invocation.sequence)
        if there is None or (there.status, there.attempt) != (InvocationStatus.IN_PROGRESS, end.attempt):
            return False
        self._put(settled(end.invocation, cancel_requested=there.cancel_requested, now=now))
        if end.result is not None:
            self._contents[there.sequence, True] = end.result
        return True

    def _put(self, one: Invocation) -> Invocation:
        self._all[one.sequence] = one
        return one


class MemoryStore:
    """Implements `ports.Store`."""

    def __init__(self, events_max: int = EVENTS_MAX) -> None:
        self.endpoints = MemoryEndpoints()
        self.resources = MemoryResources()
        self.deployments = MemoryDeployments(self.endpoints, self.resources)
        self.models = MemoryModels()
        self.runs = MemoryRuns()
        self.tunings = MemoryTunings()
        self.transforms = MemoryTransforms()
        self.schedules = MemorySchedules()
        self.invocations = MemoryInvocations()
        self.events = MemoryEvents(events_max)
        self.scaling = MemoryScaling()
        self.metrics = MemoryMetrics()
        self.users = MemoryUsers()
        self.keys = MemoryKeys(self.users)
        self.providers = MemoryProviders()
        self.audit = MemoryAudit()
        self.alarms = MemoryAlarms()
        self.tracking = MemoryTracking()
        self.secrets = MemorySecrets()

    def close(self) -> None:
        """There is nothing to let go."""


class MemoryArtifacts:
    """Implements `ports.Artifacts`. Folders that it reads and lays out are real."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._touched: dict[str, float] = {}

    async def put(self, sha256: str, chunks: AsyncIterator[bytes]) -> int:
        check_digest(sha256)
        content = b"".join([chunk async for chunk in chunks])
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise InvalidValue(f"cannot store {sha256}: the content's sha256 is {found}", "send it again")
        self._keep(sha256, content)
        return len(content)

    def put_file(self, path: Path) -> tuple[str, int]:
        if not path.is_file():
            raise NotFound(f"cannot store file {path}: there is none")
        content = path.read_bytes()
        return self.put_bytes(content), len(content)

    def put_bytes(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self._keep(sha256, content)
        return sha256

    def has(self, sha256: str) -> bool:
        return check_digest(sha256) in self._blobs

    def missing(self, digests: Iterable[str]) -> list[str]:
        return [sha256 for sha256 in digests if not self._touch(sha256)]

    def read(self, sha256: str) -> bytes:
        if not self.has(sha256):
            raise NotFound(f"cannot find artifact {sha256}", "upload it first")
        return self._blobs[sha256]

    def put_tree(self, files: Sequence[TreeFile]) -> str:
        content = encode_tree(files)
        for one in files:
            check_size(one, len(self.read(one.sha256)))
            self._touch(one.sha256)
        return self.put_bytes(content)

    def tree(self, digest: str) -> list[TreeFile]:
        content = self.read(digest)
        check_tree_size(digest, len(content))
        return decode_tree(digest, content)

    def put_folder(self, folder: Path) -> str:
        return self.put_tree(
            [
                TreeFile(path, *self.put_file(on_disk), executable=executable)
                for path, on_disk, executable in walk_folder(folder)
            ]
        )

    def lay_out(self, digest: str, folder: Path, *, share: bool) -> None:
        build_folder(self.tree(digest), folder, self._share if share else self._copy)

    def stored(self) -> list[StoredArtifact]:
        return [StoredArtifact(one, len(content), self._touched[one]) for one, content in self._blobs.items()]

    def drop(self, sha256: str, touched_before: float) -> bool:
        if not self.has(sha256) or self._touched[sha256] >= touched_before:
            return False
        del self._blobs[sha256], self._touched[sha256]
        return True

    def _keep(self, sha256: str, content: bytes) -> None:
        self._blobs[sha256] = content
        self._touch(sha256)

    def _touch(self, sha256: str) -> bool:
        if not self.has(sha256):
            return False
        self._touched[sha256] = time.time()
        return True

    def _share(self, one: TreeFile, target: Path) -> None:
        target.write_bytes(self.read(one.sha256))
        target.chmod(0o555 if one.executable else 0o444)

    def _copy(self, one: TreeFile, target: Path) -> None:
        target.write_bytes(self.read(one.sha256))
        target.chmod(0o755 if one.executable else 0o644)
