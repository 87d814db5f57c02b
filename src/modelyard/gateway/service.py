"""One endpoint in the gateway: its replicas, its queue, its deadlines, the one retry, and its counts."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from modelyard_worker.frames import TIMES

from modelyard.domain.access import PUBLIC, Policy
from modelyard.domain.metrics import Figures
from modelyard.domain.names import name_key
from modelyard.domain.rollouts import STUCK_GRACE_SECONDS
from modelyard.errors import DeadlinePassed, NotFound, NotReady, QueueFull, ReplicaDied
from modelyard.gateway.balancer import least_in_flight
from modelyard.gateway.load import Loads
from modelyard.gateway.metrics import Measurements
from modelyard.gateway.target import Target
from modelyard.protocol.messages import Load
from modelyard.protocol.table import EndpointEntry

if TYPE_CHECKING:
    from modelyard.gateway.prediction import Prediction

ATTEMPTS_MAX = 2
"""A request is sent once more after its replica died, never oftener."""

VERSIONS_COUNTED_MAX = 8
"""Versions of one endpoint whose figures are kept; beyond it those that were first used first go."""

HEADS_MAX = 256
"""Heads of answers that are kept for use again."""

_log = logging.getLogger("modelyard.gateway")

unpack_times = TIMES.unpack


class Service:
    def __init__(
        self,
        entry: EndpointEntry,
        gateway_id: str,
        report_stuck: Callable[[str, float], None],
        loads: Loads,
        measurements: Measurements,
        note_busy: Callable[["Service"], None],
    ) -> None:
        """`note_busy` is told that `tick` wants to be called, until it says that it does no longer."""
        self.entry = entry
        self.name = entry.name
        self.is_open = True
        """Whether everybody may call it: then nobody is asked who they are."""
        self._policy = PUBLIC
        self.entry_key = name_key(entry.name)
        self.queue: deque[Prediction] = deque()
        self.heads: dict[tuple[bytes, int], tuple[int, bytes, str | float | None]] = {}
        self.figures: dict[int, Figures] = {}
        """By version; 0 stands for none, where nothing serves yet."""
        self.is_web_app: bool | None = None
        """Whether other paths than invocations reach it; None until a replica has said."""
        self._arrivals = 0
        self._least = self._most = 0
        self._loads = loads
        self._measurements = measurements
        self._queued_bytes = 0
        self._deadlines: deque[Prediction] = deque()
        self._targets: dict[str, Target] = {}
        self._ready: list[Target] = []
        self._gateway_id = gateway_id
        self._report_stuck = report_stuck
        self._note_busy = note_busy
        self._loop = asyncio.get_running_loop()

    @property
    def policy(self) -> Policy:
        """Who may call it."""
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._policy = policy
        self.is_open = policy == PUBLIC

    # -- the table ---------------------------------------------------------------------------------------------------

    def update(self, entry: EndpointEntry) -> None:
        """Follows the table: connects to replicas that came, lets go of those that went."""
        self.entry = entry
        wanted = {one.id: one for one in entry.replicas}
        for replica in [one for one in self._targets if one not in wanted]:
            gone = self._targets.pop(replica)
            self.target_leaves(gone)
            gone.leave()
        for replica, address in wanted.items():
            if replica not in self._targets:
                target = self._targets[replica] = Target(address, self, self._gateway_id)
                target.connect()
        if entry.why_not_ready is not None and not self._targets:
            self._refuse_queue(NotReady(self._not_ready_message(), "`modelyard get` says more"))

    def close(self) -> None:
        """The endpoint is deleted."""
        self.update(EndpointEntry(self.name, None, (), None, 0, 0, self.entry.timeout_seconds, 0, False))
        self._refuse_queue(NotFound(f"cannot predict: endpoint {self.name} was deleted"))

    # -- requests ----------------------------------------------------------------------------------------------------

    def submit(self, prediction: "Prediction") -> None:
        """Sends the request to the replica with the fewest in flight, or queues it, or refuses it at once."""
        prediction.sent_at = prediction.started_at
        prediction.deadline = prediction.started_at + self.entry.timeout_seconds
        if not self._deadlines:
            self._note_busy(self)
        self._deadlines.append(prediction)
        if not self._arrivals:
            self._loads.begin(self.entry_key, self)
            self._measurements.changed.add(self)
        self._arrivals += 1
        if not self.queue:
            target = least_in_flight(self._ready)
            if target is not None:
                target.send(prediction)
                return
        self._enqueue(prediction)

    def _enqueue(self, prediction: "Prediction") -> None:
        entry = self.entry
        if entry.why_not_ready is not None and not self._targets:
            prediction.fail(NotReady(self._not_ready_message(), "`modelyard get` says more"))
        elif (
            len(self.queue) >= entry.max_queue_length
            or self._queued_bytes + prediction.held_bytes > entry.max_queue_bytes
        ):
            prediction.fail(
                QueueFull(
                    f"cannot take the request: the queue of endpoint {self.name} is full"
                    f" ({len(self.queue)} of {entry.max_queue_length} requests)",
                    "try again later, or give the endpoint more replicas or a longer queue",
                )
            )
        else:
            self.queue.append(prediction)
            self._queued_bytes += prediction.held_bytes
            if not self._targets and len(self.queue) == 1:
                self._loads.urgent.set()

    def drain(self) -> None:
        """Sends what waits, as far as there is room."""
        while self.queue:
            target = least_in_flight(self._ready)
            if target is None:
                return
            prediction = self.queue.popleft()
            self._queued_bytes -= prediction.held_bytes
            prediction.sent_at = time.monotonic()
            target.send(prediction)

    def abandon(self, prediction: "Prediction") -> None:
        """The client is gone, or the deadline has passed."""
        if prediction.target is not None:
            prediction.target.cancel(prediction.stream, overdue=self._loop.time() >= prediction.deadline)
        elif prediction in self.queue:
            self.queue.remove(prediction)
            self._queued_bytes -= prediction.held_bytes

    def figures_of(self, version: int | None) -> Figures:
        """What is counted of a version."""
        found = self.figures.get(version or 0)
        if found is None:
            if len(self.figures) >= VERSIONS_COUNTED_MAX:
                used = {target.address.version for target in self._targets.values()}
                self.figures.pop(next((one for one in self.figures if one not in used), 0), None)
            found = self.figures[version or 0] = Figures()
        return found

    def count(self, prediction: "Prediction", status: int) -> None:
        """Counts an answer, when its first byte leaves."""
        self._measurements.changed.add(self)
        seconds = time.monotonic() - prediction.started_at
        target = prediction.target
        if target is None:
            self.figures_of(self.entry.version).count(status, seconds)
        elif prediction.times:
            waited, called, size = unpack_times(prediction.times)
            queued = prediction.sent_at - prediction.started_at + waited * 1e-6
            target.figures.count_call(status, seconds, queued, called * 1e-6, size)
        else:
            target.figures.count(status, seconds)

    def tick(self, now: float) -> bool:
        """Answers what is past its deadline, forgets what is done, and reports calls that never end. False where
        nothing is under way any more."""
        waiting: deque[Prediction] = deque()
        for prediction in self._deadlines:
            if prediction.done or prediction.begun:
                continue
            if prediction.deadline > now:
                waiting.append(prediction)
                continue
            self.abandon(prediction)
            prediction.fail(
                DeadlinePassed(
                    f"cannot answer: endpoint {self.name} did not answer within {self.entry.timeout_seconds:g} s",
                    "raise `timeout` of the endpoint, or make the prediction faster",
                )
            )
        self._deadlines = waiting
        for target in self._targets.values():
            overdue = target.overdue_seconds(now)
            if overdue > STUCK_GRACE_SECONDS:
                self._report_stuck(target.address.id, self.entry.timeout_seconds + overdue)
        return bool(self._deadlines) or self.in_flight > 0

    # -- replicas ----------------------------------------------------------------------------------------------------

    def target_ready(self, target: Target) -> None:
        if not target.leaving and target not in self._ready:
            self._ready.append(target)
            self.drain()

    def target_leaves(self, target: Target) -> None:
        if target in self._ready:
            self._ready.remove(target)

    def target_lost(self, target: Target, orphans: Iterable["Prediction"]) -> None:
        """The connection closed with these requests unanswered: each goes once more to another replica, alone."""
        self.target_leaves(target)
        for prediction in reversed(list(orphans)):
            prediction.target = None
            if prediction.begun:
                prediction.break_off()
            elif prediction.attempt < ATTEMPTS_MAX and self.entry.idempotent:
                prediction.attempt += 1
                self.figures_of(target.address.version).retries += 1
                self.queue.appendleft(prediction)
                self._queued_bytes += prediction.held_bytes
            else:
                prediction.fail(
                    ReplicaDied(
                        f"cannot answer: the replica of endpoint {self.name} died while it held the request"
                        + (" (the second one)" if prediction.attempt > 1 else ""),
                        f"`modelyard logs {self.name}` shows its last words",
                    )
                )
        self.drain()

    def note(self, sentence: str) -> None:
        _log.warning("endpoint %s: %s", self.name, sentence)

    # -- what is measured --------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        return len(self.queue)

    @property
    def in_flight(self) -> int:
        return sum(one.in_flight for one in self._targets.values())

    def take_load(self) -> Load:
        """What it holds now, and the arrivals since the last call."""
        self.look_at_load()
        arrivals, least, most = self._arrivals, self._least, self._most
        self._arrivals, self._least, self._most = 0, self.in_flight + self.queued, 0
        one = self._ready[0] if self._ready else None
        capacity, batches = (one.capacity, one.batches) if one is not None else (None, False)
        return Load(self.in_flight, self.queued, arrivals, least, most, capacity, batches)

    def look_at_load(self) -> None:
        """Remembers how many requests there are now, if they are the fewest or the most since the last report."""
        demand = self.in_flight + self.queued
        self._least = min(self._least, demand)
        self._most = max(self._most, demand)

    @property
    def ready(self) -> int:
        return len(self._ready)

    @property
    def can_answer(self) -> bool:
        """Whether a request would be answered: at once, or by a replica that it wakes."""
        return bool(self._ready) or (self.entry.version is not None and self.entry.why_not_ready is None)

    def _not_ready_message(self) -> str:
        return f"cannot predict: endpoint {self.name} has no ready replica ({self.entry.why_not_ready})"

    def _refuse_queue(self, error: NotReady | NotFound) -> None:
        waiting, self.queue = self.queue, deque()
        self._queued_bytes = 0
        for prediction in waiting:
            prediction.fail(error)
