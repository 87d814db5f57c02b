"""The pass over endpoints: what is wished, what is there, what to do about it."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modelyard.clock import Clock
from modelyard.controller.autoscaling import Autoscaler
from modelyard.controller.environments import EnvironmentsPass
from modelyard.controller.events import tell
from modelyard.controller.metrics import Metrics
from modelyard.controller.replicas import Replicas, description_of, is_ready, why_no_fork
from modelyard.controller.secrets import mask, reveal
from modelyard.domain.endpoints import (
    ERRORS,
    Endpoint,
    EndpointState,
    EndpointStatus,
    ReplicaStatus,
    VersionState,
)
from modelyard.domain.names import name_key
from modelyard.domain.replicas import ReplicaFact, ReplicaState
from modelyard.domain.rollouts import Decision, Drain, Kill, MarkFailed, MarkReady, Remove, Start, decide_rollout
from modelyard.engines.ports import Engine, ReplicaOrder, ReplicaSight
from modelyard.errors import ModelyardError
from modelyard.protocol.table import EndpointEntry, ReplicaAddress
from modelyard.store.ports import Artifacts, Store

_log = logging.getLogger("modelyard.controller")


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
    ) -> None:
        self.replicas = Replicas(engine, clock, wake, lambda text: mask(store, text))
        self.autoscaler = Autoscaler(store, clock, wake)
        self._store = store
        self._artifacts = artifacts
        self._engine = engine
        self._environments = environments
        self._metrics = metrics
        self._packages = packages
        self._clock = clock
        self._statuses: dict[str, EndpointStatus] = store.endpoints.statuses()
        self._entries: dict[str, EndpointEntry] = {}
        self._untold: list[Callable[[], None]] = []

    async def __call__(self) -> tuple[dict[str, EndpointEntry], float | None]:
        """One pass: the entries of the table, and when to look again at the latest."""
        endpoints = self._store.endpoints.select()
        by_endpoint = self._sights_by_endpoint(endpoints)
        entries: dict[str, EndpointEntry] = {}
        wake_at: float | None = None
        for endpoint in endpoints:
            key = name_key(endpoint.name)
            try:
                entry, again_at = await self._look(endpoint, by_endpoint.get(key, []))
            except Exception:  # noqa: BLE001 (one endpoint in trouble must not stop the others, nor what it serves)
                _log.exception("endpoint %s: its pass failed", endpoint.name)
                entry, again_at = self._entries.get(key), None
            if entry is not None:
                entries[key] = entry
            if again_at is not None:
                wake_at = min(wake_at or again_at, again_at)
        self._entries = entries
        return entries, wake_at

    def tell(self) -> None:
        """Writes down what the pass saw. Called when the table is published: whoever reads that an endpoint is live may
        ask it at once."""
        untold, self._untold = self._untold, []
        for write in untold:
            try:
                write()
            except Exception:  # noqa: BLE001 (one endpoint in trouble must not stop the others)
                _log.exception("cannot write down a status")

    def ready(self) -> dict[str, tuple[str, int]]:
        """Names of endpoints and how many of their replicas are ready, by `name_key`."""
        return {key: (entry.name, len(entry.replicas)) for key, entry in self._entries.items()}

    async def _look(self, endpoint: Endpoint, sights: list[ReplicaSight]) -> tuple[EndpointEntry | None, float | None]:
        """One endpoint's part of the pass: its entry, None while it goes, and when to look again at the latest."""
        self.replicas.go_on_proving(sights, lambda sight: _start_seconds(endpoint, sight))
        facts = self.replicas.facts(endpoint.name, sights)
        now = self._clock.now()
        room = self._room(endpoint)
        endpoint, scale_at = self._scale(endpoint, facts, room)
        decision = decide_rollout(endpoint, facts, now, room)
        decision = await self._environments.hold_back(endpoint, decision)
        removed = await self._apply(endpoint, decision, facts, sights)
        if removed:
            return None, None
        description = description_of(sights, decision.serving_version)
        self._untold.append(lambda: self._write_status(endpoint, decision, facts, description, now))
        self.replicas.forget_old(endpoint, facts)
        again_at = min((at for at in (decision.wake_at, scale_at) if at is not None), default=None)
        return None if endpoint.deleting else _entry(endpoint, decision, sights), again_at

    def _scale(self, endpoint: Endpoint, facts: list[ReplicaFact], room: int) -> tuple[Endpoint, float | None]:
        """The endpoint with as many replicas as its load asks for; what was asked for before is in its status."""
        before = self._statuses.get(name_key(endpoint.name))
        living = sum(one.live for one in facts)
        return self.autoscaler.scale(endpoint, before.requested if before is not None else None, living, room)

    def _sights_by_endpoint(self, endpoints: list[Endpoint]) -> dict[str, list[ReplicaSight]]:
        """Replicas by the key of their endpoint. Those of no endpoint have no business here and are ended."""
        known = {name_key(one.name) for one in endpoints}
        grouped: dict[str, list[ReplicaSight]] = {}
        for sight in self._engine.replicas():
            key = name_key(sight.endpoint)
            if key in known:
                grouped.setdefault(key, []).append(sight)
            elif sight.alive:
                _log.warning("replica %s belongs to no endpoint; ending it", sight.id)
                self._engine.stop_replica(sight.id, kill=True)
            else:
                self._engine.forget_replica(sight.id)
        return grouped

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
                case Remove():
                    self.replicas.forget_all(endpoint.name, sights)
                    self._store.endpoints.remove(endpoint.name)
                    self._statuses.pop(name_key(endpoint.name), None)
                    self.autoscaler.forget(endpoint.name)
                    self._metrics.forget(endpoint.name)
                    self._event(endpoint, "deleted")
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
            why_fresh=why_no_fork(facts, version.number) if action.fresh else None,
        )
        try:
            if not folder.exists():
                await asyncio.to_thread(self._artifacts.lay_out, spec.package, folder, share=True)
        except ModelyardError as error:
            _log.error("endpoint %s: %s", endpoint.name, error)
            self.replicas.note_failed_start(order, error)
            return
        try:
            order = replace(order, secrets=reveal(self._store, spec.secrets))
        except ModelyardError as error:
            self.replicas.note_failed_start(order, error)
            return
        self.replicas.bring_up(order)
        # The task's first step writes the intent; the next look must see it.
        await asyncio.sleep(0)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _write_status(
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
        )
        if status == before:
            return
        self._store.endpoints.put_status(endpoint.name, status)
        self._statuses[key] = status
        if before is None or (before.state, before.serving_version) != (status.state, status.serving_version):
            self._event(endpoint, f"{status.state.value}: {decision.sentence}")

    def _event(self, endpoint: Endpoint, sentence: str) -> None:
        tell(self._store.events, "endpoint", endpoint.name, sentence, self._clock.now())


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
    serving = endpoint.version(decision.serving_version or 0) or endpoint.wished
    addresses = tuple(
        ReplicaAddress(one.id, one.version, one.socket, one.token, one.package)
        for one in sights
        if is_ready(one) and one.id not in leaving
    )
    # A replica that is just being replaced is waited for; one that never was, or cannot be, is not.
    begins_at_zero = serving.spec.autoscaling is not None and not serving.spec.autoscaling.begins_with
    hopeless = decision.state is not EndpointState.LIVE and endpoint.wished.state is not VersionState.READY
    hopeless = hopeless and not begins_at_zero
    hopeless = hopeless or decision.state in (*ERRORS, EndpointState.COMPUTE_UNAVAILABLE)
    spec = serving.spec
    return EndpointEntry(
        name=endpoint.name,
        version=decision.serving_version,
        replicas=addresses,
        max_in_flight=spec.max_in_flight,
        max_queue_length=spec.max_queue_length,
        max_queue_bytes=spec.max_queue_bytes,
        timeout_seconds=spec.timeout_seconds,
        max_body_bytes=spec.max_body_bytes,
        idempotent=spec.idempotent,
        why_not_ready=decision.sentence.splitlines()[0] if hopeless and not addresses else None,
    )
