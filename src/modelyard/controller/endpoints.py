"""The pass over endpoints: what is wished, what is there, what to do about it."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from modelyard.clock import Clock
from modelyard.controller.agenda import Agenda
from modelyard.controller.autoscaling import Autoscaler, may_be_at_zero, may_be_evicted
from modelyard.controller.environments import EnvironmentsPass
from modelyard.controller.events import tell
from modelyard.controller.eviction import Eviction
from modelyard.controller.evidence import Watch
from modelyard.controller.idleness import Idleness
from modelyard.controller.metrics import Metrics
from modelyard.controller.replicas import Replicas, description_of, is_ready, why_no_fork
from modelyard.controller.secrets import mask, reveal
from modelyard.controller.shadows import Shadows
from modelyard.controller.surroundings import Surroundings
from modelyard.domain.access import policy_document
from modelyard.domain.actions import (
    Decision,
    Drain,
    Kill,
    MarkFailed,
    MarkReady,
    MarkRolledBack,
    Proceed,
    Remove,
    Start,
    Traffic,
)
from modelyard.domain.endpoints import (
    ERRORS,
    Endpoint,
    EndpointState,
    EndpointStatus,
    EndpointVersion,
    ReplicaStatus,
    VersionState,
)
from modelyard.domain.eviction import Loaded, MemoryLimits
from modelyard.domain.fleets import LOOK_AGAIN_SECONDS
from modelyard.domain.functions import START_SECONDS
from modelyard.domain.idleness import idle_since
from modelyard.domain.invocations import Asynchronous
from modelyard.domain.names import name_key
from modelyard.domain.replicas import ReplicaFact, ReplicaState
from modelyard.domain.rollouts import decide_rollout
from modelyard.engines.ports import Engine, ReplicaOrder, ReplicaSight
from modelyard.errors import ModelyardError
from modelyard.protocol.table import Candidate, EndpointEntry, ReplicaAddress
from modelyard.store.ports import Artifacts, Store

LOOKED_AT_MAX = 500
"""Endpoints that one pass looks at: a controller that starts looks at all, and must hear of other things meanwhile."""

_log = logging.getLogger("modelyard.controller")


@dataclass(frozen=True, slots=True)
class Changes:
    """What a pass makes of the table's entries, by `name_key`. Those that it did not look at stay as they are."""

    put: dict[str, EndpointEntry] = field(default_factory=dict[str, EndpointEntry])
    drop: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class _Untold:
    """A status that is to be written down."""

    endpoint: str
    status: EndpointStatus
    news: bool
    """Whether people should hear of it."""


class EndpointsPass:
    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        engine: Engine,
        environments: EnvironmentsPass,
        metrics: Metrics,
        packages: Path,
        clock: Clock,
        wake: Callable[[], None],
        surroundings: Surroundings,
        limits: MemoryLimits,
        published: Iterable[str] = (),
    ) -> None:
        """`published` are the endpoints that the table has, by `name_key`."""
        self.replicas = Replicas(engine, clock, wake, lambda text: mask(store, text))
        self.autoscaler = Autoscaler(store, clock, wake)
        self.idleness = Idleness(store, clock)
        self.shadows = Shadows(clock)
        self.eviction = Eviction(engine, limits, clock, self._loaded, self._evict)
        self._watch = Watch(metrics.figures, store.alarms.firing, clock)
        self._store = store
        self._artifacts = artifacts
        self._engine = engine
        self._environments = environments
        self._metrics = metrics
        self._packages = packages
        self._clock = clock
        self._wake = wake
        self._surroundings = surroundings
        self._revision = 0
        self._agenda = Agenda()
        self._agenda.add(*published)
        self._held_back: set[str] = set()
        """Endpoints that wait for an environment or for memory, of which nothing else tells."""
        self._evicted: dict[str, str] = {}
        """Endpoints that are to go to zero, and why."""
        self._endpoints: dict[str, Endpoint] = {}
        self._statuses: dict[str, EndpointStatus] = {}
        """What is known of endpoints that have replicas; the others are read when something wakes them."""
        self._untold: list[_Untold] = []

    async def __call__(self) -> tuple[Changes, float | None]:
        """One pass: what it changes in the table, and when to look again at the latest."""
        changes = Changes()
        self._note_what_changed()
        await self._look_at(self._agenda.take(self._clock.monotonic(), LOOKED_AT_MAX), changes)
        self.idleness.write_down()
        self.autoscaler.write_down()
        next_at = self._agenda.next_at(self._clock.monotonic())
        return changes, None if next_at is None else self._clock.now() + next_at - self._clock.monotonic()

    def _note_what_changed(self) -> None:
        revision, changed = self._store.endpoints.changed_since(self._revision)
        self._revision = revision
        for key in changed:
            self._endpoints.pop(key, None)
        self._agenda.add(*changed, *self._held_back)
        self._agenda.add(*self._engine.take_changed(), *self.replicas.take_changed())
        self._agenda.add(*self.autoscaler.take_changed(), urgent=True)
        for key, at in self.autoscaler.take_due().items():
            self._agenda.put_by(key, self._clock.monotonic() + at - self._clock.now())

    async def _look_at(self, keys: list[str], changes: Changes) -> None:
        unread = [key for key in keys if key not in self._endpoints]
        self._endpoints |= self._store.endpoints.find(unread)
        self._statuses |= self._store.endpoints.statuses([key for key in unread if key not in self._statuses])
        for key in keys:
            endpoint = self._endpoints.get(key)
            if endpoint is None:
                self._end_strangers(key)
                self._forget(key)
                changes.drop.add(key)
                continue
            try:
                entry = await self._look(key, endpoint)
            except Exception:  # noqa: BLE001 (one endpoint in trouble must not stop the others, nor what it serves)
                _log.exception("endpoint %s: its pass failed", endpoint.name)
                self._agenda.put(key, self._clock.monotonic() + LOOK_AGAIN_SECONDS)
                continue
            if entry is not None:
                changes.put[key] = entry
            else:
                changes.drop.add(key)

    def tell(self) -> None:
        """Writes down what the pass saw. Called when the table is published: whoever reads that an endpoint is live may
        ask it at once."""
        untold, self._untold = self._untold, []
        if not untold:
            return
        try:
            self._store.endpoints.put_statuses({one.endpoint: one.status for one in untold})
        except ModelyardError as error:
            _log.error("cannot write down what %d endpoints came to: %s", len(untold), error)
            for one in untold:
                key = name_key(one.endpoint)
                self._statuses.pop(key, None)
                self._endpoints.pop(key, None)
                self._agenda.put(key, self._clock.monotonic() + LOOK_AGAIN_SECONDS)
            return
        for one in untold:
            if one.news:
                self._event(one.endpoint, f"{one.status.state.value}: {one.status.sentence}")

    async def _look(self, key: str, endpoint: Endpoint) -> EndpointEntry | None:
        """One endpoint's part of the pass: its entry, None while it goes."""
        sights = self._engine.replicas(endpoint.name)
        self.replicas.go_on_proving(sights, lambda sight: _start_seconds(endpoint, sight))
        facts = self.replicas.facts(endpoint.name, sights)
        now = self._clock.now()
        room = self._room(endpoint)
        wished = endpoint
        endpoint, scale_at = self._scale(endpoint, facts, room)
        decision = decide_rollout(endpoint, facts, now, room, self._watch.evidence(endpoint))
        ready = self.eviction.hold_back(key, await self._environments.hold_back(endpoint, decision))
        self._held_back.add(key) if ready is not decision else self._held_back.discard(key)
        decision = ready
        if await self._apply(endpoint, decision, facts, sights):
            self._forget(key)
            return None
        description = description_of(sights, decision.serving_version)
        self._note_status(endpoint, decision, facts, description, now)
        self.replicas.forget_old(endpoint, facts)
        judge_at = self.idleness.judge(wished)
        again_at = min((at for at in (decision.wake_at, scale_at, judge_at) if at is not None), default=None)
        self._agenda.put(key, None if again_at is None else self._clock.monotonic() + again_at - now)
        if not any(one.live for one in facts):
            # Read again when something wakes it: thousands at rest must not fill memory.
            self._endpoints.pop(key, None)
            self._statuses.pop(key, None)
        return None if endpoint.deleting else _entry(endpoint, decision, sights)

    def _loaded(self, held: Mapping[str, int]) -> list[Loaded]:
        """Endpoints that have replicas; `held` is what each replica holds of memory, by id."""
        found: list[Loaded] = []
        for key, endpoint in self._endpoints.items():
            if key in self._evicted:
                continue
            staying = [one.id for one in self._engine.replicas(key) if one.alive and not one.stopping]
            own = sum(held.get(one, 0) for one in staying)
            used_at = idle_since(endpoint.wished.created_at, self.idleness.requests_of(key))
            may_go_later = may_be_at_zero(endpoint) and not endpoint.deleting
            may_go = may_go_later and may_be_evicted(endpoint) and self.autoscaler.at_rest(key)
            found.append(Loaded(key, used_at, own, may_go, may_go_later))
        return found

    def _evict(self, key: str, sentence: str) -> None:
        """Sends an endpoint to zero at the next pass, if no request has come by then."""
        self._evicted[key] = sentence
        self._agenda.add(key, urgent=True)
        self._wake()

    def _forget(self, key: str) -> None:
        """The endpoint is gone."""
        self._endpoints.pop(key, None)
        self._statuses.pop(key, None)
        self._held_back.discard(key)
        self._evicted.pop(key, None)
        self._agenda.put(key, None)
        self.idleness.forget(key)
        self.eviction.forget(key)

    def _scale(self, endpoint: Endpoint, facts: list[ReplicaFact], room: int) -> tuple[Endpoint, float | None]:
        """The endpoint with as many replicas as its load asks for; what was asked for before is in its status."""
        before = self._statuses.get(name_key(endpoint.name))
        living = sum(one.live for one in facts)
        requested = before.requested if before is not None else None
        evicted_for = self._evicted.pop(name_key(endpoint.name), None)
        return self.autoscaler.scale(endpoint, requested, living, room, evicted_for)

    def _end_strangers(self, key: str) -> None:
        """Replicas of no endpoint have no business here."""
        for sight in self._engine.replicas(key):
            if sight.alive:
                _log.warning("replica %s belongs to no endpoint; ending it", sight.id)
                self._engine.stop_replica(sight.id, kill=True)
            else:
                self._engine.forget_replica(sight.id)

    def _room(self, endpoint: Endpoint) -> int:
        return self._engine.room(endpoint.wished.spec)

    # -- applying ----------------------------------------------------------------------------------------------------

    async def _apply(
        self, endpoint: Endpoint, decision: Decision, facts: list[ReplicaFact], sights: list[ReplicaSight]
    ) -> bool:
        """Does what was decided. True where the endpoint is gone now."""
        for action in decision.actions:
            match action:
                case Start():
                    await self._start(endpoint, action, facts)
                case Drain():
                    self._engine.stop_replica(action.replica)
                case Kill():
                    self._engine.stop_replica(action.replica, kill=True)
                case MarkReady():
                    self._store.endpoints.mark_version(endpoint.name, action.version, VersionState.READY, None)
                case MarkFailed():
                    self._store.endpoints.mark_version(
                        endpoint.name,
                        action.version,
                        VersionState.FAILED,
                        action.reason,
                        out_of_memory=action.out_of_memory,
                    )
                case MarkRolledBack():
                    self._store.endpoints.mark_version(
                        endpoint.name, action.version, VersionState.ROLLED_BACK, action.reason
                    )
                    self._event(endpoint.name, f"version {action.version} was rolled back: {action.reason}")
                case Proceed():
                    self._store.endpoints.put_progress(endpoint.name, action.version, action.progress)
                    if action.sentence is not None:
                        self._event(endpoint.name, action.sentence)
                case Remove():
                    self.replicas.forget_all(endpoint.name, sights)
                    self._store.endpoints.remove(endpoint.name)
                    self.autoscaler.forget(endpoint.name)
                    self._metrics.forget(endpoint.name)
                    self.shadows.forget(endpoint.name)
                    self._surroundings.forget(endpoint)
                    self._event(endpoint.name, "deleted")
                    return True
        return False

    async def _start(self, endpoint: Endpoint, action: Start, facts: list[ReplicaFact]) -> None:
        version = endpoint.version(action.version)
        if version is None:
            return
        spec = version.spec
        folder = self._packages / spec.package
        order = ReplicaOrder(
            id=f"{name_key(endpoint.name)[:20]}-{version.number}-{secrets.token_hex(4)}",
            endpoint=endpoint.name,
            version=version.number,
            spec=spec,
            package_folder=str(folder),
            python=self._environments.python_of(spec.package),
            why_fresh=_why_fresh(version, facts) if action.fresh or spec.app is not None else None,
        )
        try:
            if not folder.exists():
                await asyncio.to_thread(self._artifacts.lay_out, spec.package, folder, share=True)
        except ModelyardError as error:
            _log.error("endpoint %s: %s", endpoint.name, error)
            self.replicas.note_failed_start(order, error)
            return
        try:
            told = self._surroundings.variables(endpoint)
            order = replace(order, secrets=reveal(self._store, spec.secrets), told=told)
        except ModelyardError as error:
            self.replicas.note_failed_start(order, error)
            return
        self.replicas.bring_up(order)
        # The task's first step writes the intent; the next look must see it.
        await asyncio.sleep(0)
        self.eviction.note_start(order.id, name_key(endpoint.name))

    # -- telling -----------------------------------------------------------------------------------------------------

    def _note_status(
        self, endpoint: Endpoint, decision: Decision, facts: list[ReplicaFact], description: str, now: float
    ) -> None:
        key = name_key(endpoint.name)
        before = self._statuses.get(key)
        ready = [one for one in facts if one.state is ReplicaState.READY and one.failure is None]
        status = EndpointStatus(
            state=decision.state,
            sentence=decision.sentence,
            serving_version=decision.serving_version,
            ready=len(ready),
            requested=0 if endpoint.deleting else endpoint.wished.spec.replicas,
            up_to_date=sum(one.version == endpoint.wished.number for one in ready),
            updated_at=before.updated_at if before is not None and before.state is decision.state else now,
            replicas=tuple(_replica_status(one) for one in facts if one.live),
            # Kept while nothing serves, so that a sleeping endpoint can still be described.
            description=description or (before.description if before is not None else ""),
            shadow=self.shadows.told(
                endpoint, before, mirrors=decision.traffic is not None and decision.traffic.mirrors
            ),
        )
        if status == before:
            return
        self._statuses[key] = status
        news = before is None or (before.state, before.serving_version) != (status.state, status.serving_version)
        self._untold.append(_Untold(endpoint.name, status, news))

    def _event(self, endpoint: str, sentence: str) -> None:
        known = self._endpoints.get(name_key(endpoint))
        kind = known.kind if known is not None else "endpoint"
        tell(self._store.events, kind, endpoint, sentence, self._clock.now())


def _why_fresh(version: EndpointVersion, facts: list[ReplicaFact]) -> str:
    return "an app runs its own command" if version.spec.app is not None else why_no_fork(facts, version.number)


def _start_seconds(endpoint: Endpoint, sight: ReplicaSight) -> float:
    return (endpoint.version(sight.version) or endpoint.wished).spec.start_seconds


def _replica_status(fact: ReplicaFact) -> ReplicaStatus:
    return ReplicaStatus(
        id=fact.id,
        version=fact.version,
        state=fact.state.value,
        pid=fact.pid,
        started_at=fact.started_at,
        forked=fact.forked,
        reason=fact.reason,
    )


def _entry(endpoint: Endpoint, decision: Decision, sights: list[ReplicaSight]) -> EndpointEntry:
    """What gateways must know. A replica that is to be drained in this very pass is left out already."""
    leaving = {action.replica for action in decision.actions if isinstance(action, Drain | Kill)}
    addresses = [
        ReplicaAddress(one.id, one.version, one.socket, one.token, one.package)
        for one in sights
        if is_ready(one) and one.id not in leaving
    ]
    serving = endpoint.version(decision.serving_version or 0) or endpoint.wished
    serves = decision.serves
    own = tuple(one for one in addresses if serves is None or one.version in serves)
    # A replica that is just being replaced, also by one of another version, is waited for; one that never was, or
    # cannot be, is not.
    begins_at_zero = serving.spec.autoscaling is not None and not serving.spec.autoscaling.begins_with
    hopeless = decision.state is not EndpointState.LIVE and endpoint.wished.state is not VersionState.READY
    hopeless = hopeless and not begins_at_zero and endpoint.fallback is None
    hopeless = hopeless or decision.state in (*ERRORS, EndpointState.COMPUTE_UNAVAILABLE)
    hopeless = hopeless and not decision.holds and not own
    entry = _entry_of(endpoint, serving, decision.serving_version, own)
    return replace(
        entry,
        why_not_ready=decision.sentence.splitlines()[0] if hopeless else None,
        candidate=_candidate(endpoint, decision.traffic, addresses),
    )


def _candidate(endpoint: Endpoint, traffic: Traffic | None, addresses: list[ReplicaAddress]) -> Candidate | None:
    version = endpoint.version(traffic.version) if traffic is not None else None
    if traffic is None or version is None:
        return None
    own = tuple(one for one in addresses if one.version == version.number)
    strategy = endpoint.strategy
    return Candidate(
        entry=_entry_of(endpoint, version, version.number, own),
        percent=traffic.percent,
        mirror_percent=strategy.sample_percent if traffic.mirrors else 0.0,
        compare=strategy.compare,
        tolerance=strategy.tolerance,
    )


def _entry_of(
    endpoint: Endpoint, version: EndpointVersion, number: int | None, replicas: tuple[ReplicaAddress, ...]
) -> EndpointEntry:
    spec = version.spec
    return EndpointEntry(
        name=endpoint.name,
        version=number,
        replicas=replicas,
        max_in_flight=spec.max_in_flight,
        max_queue_length=spec.max_queue_length,
        max_queue_bytes=spec.max_queue_bytes,
        timeout_seconds=spec.timeout_seconds + (START_SECONDS if spec.function is not None else 0.0),
        max_body_bytes=spec.max_body_bytes,
        idempotent=spec.idempotent,
        queued=spec.asynchronous is not None and spec.function is None,
        concurrency=(spec.asynchronous or Asynchronous()).max_concurrency,
        capture=asdict(spec.capture) if spec.capture is not None else None,
        project=endpoint.project,
        access=policy_document(endpoint.access) if endpoint.access is not None else None,
        kind=endpoint.kind,
        sticky=spec.app is None or spec.app.sticky,
        stopped=spec.app is not None and spec.autoscaling is None and spec.replicas == 0,
        hosts=spec.app.hosts if spec.app is not None else (),
        port=spec.app.port if spec.app is not None else None,
        under_way_max=spec.function.concurrency if spec.function is not None else None,
    )
