"""Replicas: brings one up until it has proved that it predicts, and says what is known of each."""

import asyncio
import logging
import signal
from collections.abc import Callable

from modelyard.clock import Clock
from modelyard.domain.names import name_key
from modelyard.domain.replicas import FailureKind, ReplicaFact, ReplicaState
from modelyard.engines.ports import Engine, Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import ModelyardError

REASON_LINES = 20
REASON_LENGTH_MAX = 2000

KEPT_PER_ENDPOINT = 10
"""Ended replicas that are remembered, with their output, for back-off and for people."""

_log = logging.getLogger("modelyard.controller")


class Replicas:
    def __init__(self, engine: Engine, clock: Clock, wake: Callable[[], None]) -> None:
        self._engine = engine
        self._clock = clock
        self._wake = wake
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._never_started: dict[str, list[ReplicaFact]] = {}

    # -- coming up ---------------------------------------------------------------------------------------------------

    def bring_up(self, order: ReplicaOrder) -> None:
        """Starts a replica in the background; its facts tell how it goes."""
        self._coming[order.id] = asyncio.get_running_loop().create_task(self._bring_up(order))

    async def _bring_up(self, order: ReplicaOrder) -> None:
        try:
            await self._engine.start_replica(order)
            await self._prove(order.id, order.spec.start_seconds)
        except ModelyardError as error:
            _log.warning("replica %s: %s", order.id, error)
            self._note_failed_start(order, error)
        finally:
            self._coming.pop(order.id, None)
            self._wake()

    def go_on_proving(self, sights: list[ReplicaSight], start_seconds: Callable[[ReplicaSight], float]) -> None:
        """Probes living replicas that nobody probes: those that an earlier controller had started."""
        for sight in sights:
            if sight.alive and not sight.stopping and "ready_at" not in sight.notes and sight.id not in self._coming:
                left = max(1.0, sight.started_at + start_seconds(sight) - self._clock.now())
                self._coming[sight.id] = asyncio.get_running_loop().create_task(self._prove_found(sight.id, left))

    async def _prove_found(self, replica: str, limit_seconds: float) -> None:
        try:
            await self._prove(replica, limit_seconds)
        finally:
            self._coming.pop(replica, None)
            self._wake()

    async def _prove(self, replica: str, limit_seconds: float) -> None:
        result = await self._engine.probe_replica(replica, limit_seconds)
        if result.ok:
            self._engine.note_replica(replica, ready_at=self._clock.now())
            return
        sight = next((one for one in self._engine.replicas() if one.id == replica), None)
        if sight is not None and sight.alive and not sight.stopping:
            self._engine.note_replica(replica, failure=_failure_kind(result, sight).value, reason=result.reason or "")
            self._engine.stop_replica(replica, kill=True)

    def stuck(self, replica: str, seconds: float) -> None:
        """One call in this replica does not end: it is killed."""
        reason = f"one call had not ended after {seconds:.0f} s"
        self._engine.note_replica(replica, failure=FailureKind.STUCK.value, reason=reason)
        self._engine.stop_replica(replica, kill=True)
        _log.warning("replica %s: %s; killed", replica, reason)

    # -- what is known -----------------------------------------------------------------------------------------------

    def facts(self, endpoint: str, sights: list[ReplicaSight]) -> list[ReplicaFact]:
        """Every replica of this endpoint, ended ones included, also starts that came to nothing."""
        never = self._never_started.get(name_key(endpoint), [])
        return [self._fact(sight) for sight in sights] + never

    def _fact(self, sight: ReplicaSight) -> ReplicaFact:
        ready_at = sight.notes.get("ready_at")
        kind, reason = self._failure(sight)
        return ReplicaFact(
            id=sight.id,
            version=sight.version,
            state=_state(sight),
            started_at=sight.started_at,
            ready_at=float(ready_at) if ready_at is not None else None,
            drain_began_at=sight.stop_began_at,
            ended_at=sight.ended_at,
            failure=kind,
            reason=reason,
            forked=sight.forked,
            pid=sight.pid if sight.alive else None,
        )

    def _failure(self, sight: ReplicaSight) -> tuple[FailureKind | None, str | None]:
        if sight.alive:
            return None, None
        noted = sight.notes.get("failure")
        if noted is None and sight.stopping:
            return None, None
        kind = FailureKind(noted) if noted else (FailureKind.DIED if "ready_at" in sight.notes else FailureKind.START)
        said = str(sight.notes.get("reason") or "") or _ending(sight)
        tail = self._engine.output_tail(sight.id, REASON_LINES)
        return kind, _shortened(f"{said}\n{tail}" if tail else said)

    def forget_old(self, sights: list[ReplicaSight]) -> None:
        """Keeps the newest ended replicas of one endpoint, drops the others with their output."""
        ended = sorted((one for one in sights if not one.alive), key=lambda one: one.ended_at or 0.0, reverse=True)
        for sight in ended[KEPT_PER_ENDPOINT:]:
            self._engine.forget_replica(sight.id)

    def forget_all(self, endpoint: str, sights: list[ReplicaSight]) -> None:
        self._never_started.pop(name_key(endpoint), None)
        for sight in sights:
            self._engine.forget_replica(sight.id)

    def _note_failed_start(self, order: ReplicaOrder, error: ModelyardError) -> None:
        if any(one.id == order.id for one in self._engine.replicas()):
            self._engine.note_replica(order.id, failure=FailureKind.START.value, reason=error.message)
            return
        now = self._clock.now()
        fact = ReplicaFact(
            id=order.id,
            version=order.version,
            state=ReplicaState.ENDED,
            started_at=now,
            ended_at=now,
            failure=FailureKind.START,
            reason=error.message,
        )
        kept = self._never_started.setdefault(name_key(order.endpoint), [])
        kept.append(fact)
        del kept[:-KEPT_PER_ENDPOINT]

    async def close(self) -> None:
        for task in list(self._coming.values()):
            task.cancel()
        await asyncio.gather(*self._coming.values(), return_exceptions=True)


def _state(sight: ReplicaSight) -> ReplicaState:
    if not sight.alive:
        return ReplicaState.ENDED
    if sight.stopping:
        return ReplicaState.DRAINING
    return ReplicaState.READY if "ready_at" in sight.notes else ReplicaState.STARTING


def _failure_kind(result: Probe, sight: ReplicaSight) -> FailureKind:
    if not result.timed_out:
        return FailureKind.START
    return FailureKind.HUNG_AFTER_FORK if sight.forked else FailureKind.PROBE


def _ending(sight: ReplicaSight) -> str:
    """How it ended, in words."""
    code = sight.exit_code
    if code is None:
        return "its process is gone and left no record"
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"it was killed by {name}"
    return f"it ended with exit code {code}"


def _shortened(text: str) -> str:
    return text if len(text) <= REASON_LENGTH_MAX else "..." + text[3 - REASON_LENGTH_MAX :]
