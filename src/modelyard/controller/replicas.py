"""Replicas: brings one up until it has proved that it predicts, and says what is known of each."""

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from modelyard.clock import Clock
from modelyard.domain.endpoints import Endpoint
from modelyard.domain.failures import forgettable
from modelyard.domain.names import name_key
from modelyard.domain.replicas import FailureKind, ReplicaFact, ReplicaState, wants_memory
from modelyard.domain.starts import SharedTime
from modelyard.engines.ports import Engine, Probe, ReplicaOrder, ReplicaSight
from modelyard.errors import ModelyardError

REASON_LINES = 20
REASON_LENGTH_MAX = 2000

PROVE_SECONDS_MIN = 1.0
"""What a replica is given that an earlier controller had started, whatever of its limit is left."""

MISSED_SECONDS_MIN = 0.5
"""Less than this of the machine is not made up for."""

LIMIT_TIMES_MAX = 10
"""How many times its limit a start may take at most, however many start with it."""

_KILLED = "killed: "
"""What the line begins with that says in a replica's own output why it was ended."""

_READY_AT = "ready_at"
_DESCRIPTION = "description"
_FAILURE = "failure"
_REASON = "reason"

_log = logging.getLogger("modelyard.controller")


class Replicas:
    def __init__(
        self, engine: Engine, clock: Clock, wake: Callable[[], None], mask: Callable[[str], str] = str
    ) -> None:
        """`mask` hides secrets in what goes into reasons: users' code printed it."""
        self._engine = engine
        self._clock = clock
        self._wake = wake
        self._mask = mask
        self._coming: dict[str, asyncio.Task[None]] = {}
        self._shared = SharedTime(engine.job_room().cpu_millis // 1000, engine.cores_wanted)
        self._never_started: dict[str, list[ReplicaFact]] = {}
        self._changed: set[str] = set()

    # -- coming up ---------------------------------------------------------------------------------------------------

    def bring_up(self, order: ReplicaOrder) -> None:
        """Starts a replica in the background; its facts tell how it goes."""
        self._begin(order.id, order.endpoint, self._bring_up(order))

    def go_on_proving(self, sights: list[ReplicaSight], start_seconds: Callable[[ReplicaSight], float]) -> None:
        """Probes living replicas that nobody probes: those that an earlier controller had started."""
        for sight in sights:
            if _is_unproved(sight) and sight.id not in self._coming:
                left = sight.started_at + start_seconds(sight) - self._clock.now()
                self._begin(sight.id, sight.endpoint, self._prove(sight.id, max(PROVE_SECONDS_MIN, left)))

    def _begin(self, replica: str, endpoint: str, steps: Coroutine[Any, Any, None]) -> None:
        self._coming[replica] = asyncio.get_running_loop().create_task(self._guarded(replica, endpoint, steps))

    async def _guarded(self, replica: str, endpoint: str, steps: Coroutine[Any, Any, None]) -> None:
        try:
            await steps
        except Exception:  # noqa: BLE001 (whatever it was, the replica is looked at again from what is then there)
            _log.exception("replica %s: cannot bring it up", replica)
        finally:
            self._coming.pop(replica, None)
            self._changed.add(name_key(endpoint))
            self._wake()

    async def _bring_up(self, order: ReplicaOrder) -> None:
        try:
            await self._engine.start_replica(order)
        except ModelyardError as error:
            _log.warning("replica %s: %s", order.id, error)
            self.note_failed_start(order, error)
        else:
            await self._prove(order.id, order.spec.start_seconds)

    async def _prove(self, replica: str, limit_seconds: float) -> None:
        result = await self._probe(replica, limit_seconds)
        sight = self._engine.replica(replica)
        if sight is None or not _is_unproved(sight):
            return
        if result.ok:
            self._engine.note_replica(replica, **{_READY_AT: self._clock.now(), _DESCRIPTION: result.description})
        else:
            self._give_up(replica, _failure_kind(result, sight), result.reason or "it failed its probe")

    async def _probe(self, replica: str, limit_seconds: float) -> Probe:
        """What its probe says within the limit. Where many programs start together, it is given what it missed of the
        machine meanwhile; one that was forked has nothing to load, so that for it the limit is the limit."""
        began_at = self._clock.monotonic()
        began = self._shared.enter(began_at)
        try:
            result = await self._engine.probe_replica(replica, limit_seconds)
            while result.timed_out and not self._is_forked(replica):
                now = self._clock.monotonic()
                took, had = now - began_at, self._shared.read(now) - began
                left = min(limit_seconds - had, limit_seconds * LIMIT_TIMES_MAX - took)
                if min(left, took - had) < MISSED_SECONDS_MIN:
                    break
                again = await self._engine.probe_replica(replica, left)
                if not again.timed_out:
                    return again
            return result
        finally:
            self._shared.leave(self._clock.monotonic())

    def _is_forked(self, replica: str) -> bool:
        sight = self._engine.replica(replica)
        return sight is None or sight.forked

    def stuck(self, replica: str, seconds: float) -> None:
        """One call in this replica does not end: it is killed. Harmless where it is gone, or going for another
        reason."""
        sight = self._engine.replica(replica)
        if sight is not None and sight.alive and _FAILURE not in sight.notes:
            self._give_up(replica, FailureKind.STUCK, f"one call had not ended after {seconds:.0f} s")

    def _give_up(self, replica: str, kind: FailureKind, reason: str) -> None:
        # First the word: a controller that dies in between leaves a replica that the next one kills.
        self._engine.note_replica(replica, **{_FAILURE: kind.value, _REASON: reason})
        self._engine.stop_replica(replica, kill=True)
        self._engine.add_to_output(replica, f"{_KILLED}{reason}")
        _log.warning("replica %s: %s; killed", replica, reason)

    # -- what is known -----------------------------------------------------------------------------------------------

    def take_changed(self) -> set[str]:
        """Endpoints, by `name_key`, of whose replicas something is known since the last call that the engine does not
        tell."""
        changed, self._changed = self._changed, set()
        return changed

    def facts(self, endpoint: str, sights: list[ReplicaSight]) -> list[ReplicaFact]:
        """Every replica of this endpoint, ended ones included, also starts that came to nothing."""
        never = self._never_started.get(name_key(endpoint), [])
        return [self._fact(sight) for sight in sights] + never

    def _fact(self, sight: ReplicaSight) -> ReplicaFact:
        ready_at = sight.notes.get(_READY_AT)
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
            reason=reason or (f"not forked: {sight.why_fresh}" if sight.alive and sight.why_fresh else None),
            forked=sight.forked,
            pid=sight.pid if sight.alive else None,
        )

    def _failure(self, sight: ReplicaSight) -> tuple[FailureKind | None, str | None]:
        """What went wrong, and why: one line first, for lists, then the last lines of its output."""
        noted = sight.notes.get(_FAILURE)
        if noted is None and (sight.alive or sight.stopping or sight.interrupted):
            return None, None
        kind = FailureKind(noted) if noted else FailureKind.DIED if _READY_AT in sight.notes else FailureKind.START
        if sight.out_of_memory or (kind is FailureKind.START and wants_memory(sight.reason)):
            kind = FailureKind.OUT_OF_MEMORY
        printed = self._engine.output_tail(sight.id, REASON_LINES).splitlines(keepends=True)
        tail = "".join(line for line in printed if not line.startswith(_KILLED))
        return kind, self._mask(_shortened(_first_line(sight, tail), tail))

    # -- forgetting --------------------------------------------------------------------------------------------------

    def forget_old(self, endpoint: Endpoint, facts: list[ReplicaFact]) -> None:
        """Drops what nobody will ask for any more of the endpoint's ended replicas, with their output."""
        self._forget(endpoint.name, forgettable(endpoint, facts, self._clock.now()))

    def forget_all(self, endpoint: str, sights: list[ReplicaSight]) -> None:
        self._forget(endpoint, [one.id for one in sights])
        self._never_started.pop(name_key(endpoint), None)

    def _forget(self, endpoint: str, replicas: Iterable[str]) -> None:
        gone = set(replicas)
        for replica in gone:
            self._engine.forget_replica(replica)
        never = self._never_started.get(name_key(endpoint), [])
        never[:] = [one for one in never if one.id not in gone]

    def note_failed_start(self, order: ReplicaOrder, error: ModelyardError) -> None:
        """Remembers a start that came to nothing, whether or not the engine knows of it."""
        if self._engine.replica(order.id) is not None:
            self._engine.note_replica(order.id, **{_FAILURE: FailureKind.START.value, _REASON: error.message})
            return
        now = self._clock.now()
        fact = ReplicaFact(
            id=order.id,
            version=order.version,
            state=ReplicaState.ENDED,
            started_at=now,
            ended_at=now,
            failure=FailureKind.START,
            reason=self._mask(error.message),
        )
        self._never_started.setdefault(name_key(order.endpoint), []).append(fact)
        self._changed.add(name_key(order.endpoint))

    async def close(self) -> None:
        tasks = list(self._coming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_ready(sight: ReplicaSight) -> bool:
    """Whether gateways may send it requests."""
    return sight.alive and not sight.stopping and _READY_AT in sight.notes and _FAILURE not in sight.notes


def description_of(sights: Iterable[ReplicaSight], version: int | None) -> str:
    """What the replicas of a version said of what they serve, as JSON; empty where none has said it."""
    said = (str(one.notes.get(_DESCRIPTION) or "") for one in sights if one.version == version)
    return next((one for one in said if one), "")


def why_no_fork(facts: Iterable[ReplicaFact], version: int) -> str:
    """Why replicas of a version are not forked, from the one that hung."""
    hung = next((one for one in facts if one.version == version and one.failure is FailureKind.HUNG_AFTER_FORK), None)
    reason = (hung.reason or "").partition("\n")[0] if hung is not None else ""
    return f"a forked one hung: {reason}" if reason else "a forked one hung"


def _is_unproved(sight: ReplicaSight) -> bool:
    return sight.alive and not sight.stopping and _READY_AT not in sight.notes and _FAILURE not in sight.notes


def _state(sight: ReplicaSight) -> ReplicaState:
    if not sight.alive:
        return ReplicaState.ENDED
    if sight.stopping:
        return ReplicaState.DRAINING
    return ReplicaState.READY if _READY_AT in sight.notes else ReplicaState.STARTING


def _failure_kind(result: Probe, sight: ReplicaSight) -> FailureKind:
    if not result.timed_out:
        return FailureKind.START
    return FailureKind.HUNG_AFTER_FORK if sight.forked else FailureKind.PROBE


def _first_line(sight: ReplicaSight, tail: str) -> str:
    """What it says about its own end, where it could; else why it was given up; else how it ended."""
    if sight.out_of_memory and sight.reason:
        return sight.reason
    noted = str(sight.notes.get(_REASON) or "")
    ended_by_itself = sight.exit_code is not None and sight.exit_code > 0
    if sight.reason and (ended_by_itself or not noted):
        return sight.reason
    return noted or _ending(sight, tail)


def _ending(sight: ReplicaSight, tail: str) -> str:
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
    last = next((line.strip() for line in reversed(tail.splitlines()) if line.strip()), None)
    return f"it ended with exit code {code}: {last}" if last else f"it ended with exit code {code}"


def _shortened(first: str, tail: str) -> str:
    """The first line whole, and of the tail its end."""
    first = first[:REASON_LENGTH_MAX]
    left = REASON_LENGTH_MAX - len(first) - 1
    if not tail or left <= len("..."):
        return first
    return f"{first}\n{tail}" if len(tail) <= left else f"{first}\n...{tail[3 - left :]}"
