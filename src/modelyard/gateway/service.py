"""One endpoint in the gateway: its replicas, its queue, its deadlines, the one retry, and its counts."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from modelyard_worker.frames import TIMES

from modelyard.domain.access import PUBLIC, Policy
from modelyard.domain.metrics import Figures
from modelyard.domain.names import name_key
from modelyard.domain.replicas import STUCK_GRACE_SECONDS
from modelyard.errors import DeadlinePassed, NotFound, NotReady, QueueFull, ReplicaDied, TooManyRequests
from modelyard.gateway.balancer import least_in_flight
from modelyard.gateway.load import Loads
from modelyard.gateway.metrics import Measurements
from modelyard.gateway.shadow import Shadow
from modelyard.gateway.split import ALL_TRAFFIC, TARGET_VARIANT, Choice, Option, Split, no_variant
from modelyard.gateway.target import Target
from modelyard.protocol.messages import Load
from modelyard.protocol.table import ENDPOINT, Candidate, EndpointEntry, Member

if TYPE_CHECKING:
    from modelyard.gateway.prediction import Prediction
    from modelyard.gateway.visit import Visit

ATTEMPTS_MAX = 2
"""A request is sent once more after its replica died, never oftener."""

VERSIONS_COUNTED_MAX = 8
"""Versions of one endpoint whose figures are kept; beyond it those that were first used first go."""

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
        whole: "Service | None" = None,
    ) -> None:
        """`note_busy` is told that `tick` wants to be called, until it says that it does no longer. `whole` is the
        endpoint's own service where this one is its candidate's: load and figures are counted there."""
        self.tracer = measurements.tracer
        self.follow_entry(entry)
        self.name = entry.name
        self.is_open = True
        """Whether everybody may call it: then nobody is asked who they are."""
        self._policy = PUBLIC
        self.entry_key = name_key(entry.name)
        self.whole = whole or self
        self.split: Split | None = None
        """Who answers, where it is not simply this one."""
        self.shadow: Shadow | None = None
        self.queue: deque[Prediction] = deque()
        self.lobby: deque[Visit] = deque()
        """Visits that no replica has taken in yet; of an app alone."""
        self.departing: dict[str, Target] = {}
        """Replicas that are no longer in the table and are still visited, by id."""
        self.heads: dict[tuple[bytes, int | bytes], tuple[int, bytes, str | float | None]] = {}
        self.figures: dict[int, Figures] = {} if whole is None else whole.figures
        """By version; 0 stands for none, where nothing serves yet."""
        self.is_web_app: bool | None = None
        """Whether other paths than invocations reach it; None until a replica has said."""
        self.arrivals = 0
        self._least = self._most = 0
        self._loads = loads
        self._measurements = measurements
        self.queued_bytes = 0
        self.deadlines: deque[Prediction] = deque()
        self.targets: dict[str, Target] = {}
        self.ready_targets: list[Target] = []
        self._candidate: Service | None = None
        self._successor: Service | None = None
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

    def follow_entry(self, entry: EndpointEntry) -> None:
        self.entry = entry
        self.is_observed = entry.capture is not None or self.tracer is not None
        """Whether somebody looks at each answer (`Gateway.observe`)."""

    # -- the table ---------------------------------------------------------------------------------------------------

    def update(self, entry: EndpointEntry) -> None:
        """Follows the table: connects to replicas that came, lets go of those that went. A replica that only changes
        sides, between the version that serves and the candidate, keeps its connection and what it holds."""
        self.follow_entry(entry)
        others = self._candidate_for(entry.candidate)
        free = dict(self.targets)
        for one in (self._candidate, others):
            free |= one.targets if one is not None else {}
        self.take_replicas(entry, free)
        if others is not None and entry.candidate is not None:
            others.follow_entry(entry.candidate.entry)
            others.take_replicas(entry.candidate.entry, free)
        for gone in free.values():
            gone.service.release(gone)
            if gone.visits:
                self.departing[gone.address.id] = gone
            gone.leave()
        if self._candidate is not None and others is not self._candidate:
            self._candidate.hand_over(self)
        self._candidate = others
        if others is not None and entry.candidate is not None:
            self._split_with(others, entry.candidate)
        elif not entry.members:
            self.split = self.shadow = None
        if entry.why_not_ready is not None and not self.targets:
            self._refuse_queue(NotReady(self._not_ready_message(), "`modelyard get` says more"))

    def _candidate_for(self, candidate: Candidate | None) -> "Service | None":
        if candidate is None:
            return None
        if self._candidate is not None and self._candidate.entry.version == candidate.entry.version:
            return self._candidate
        return Service(
            candidate.entry,
            self._gateway_id,
            self._report_stuck,
            self._loads,
            self._measurements,
            self._note_busy,
            whole=self,
        )

    def take_replicas(self, entry: EndpointEntry, free: dict[str, Target]) -> None:
        """Makes the replicas of `entry` this service's own: those among `free`, and new ones."""
        for address in entry.replicas:
            target = free.pop(address.id, None)
            if target is None:
                target = self.targets[address.id] = Target(address, self, self._gateway_id)
                target.connect()
            elif target.service is not self:
                target.service.release(target)
                target.service = self
                self.targets[address.id] = target
                if target.connected:
                    self.target_ready(target)

    def release(self, target: Target) -> None:
        """A replica is no longer this service's."""
        self.targets.pop(target.address.id, None)
        self.target_leaves(target)

    def _split_with(self, other: "Service", candidate: Candidate) -> None:
        self.shadow = self._shadow_on(other, candidate)
        names = [b"v%d" % (one.entry.version or 0) for one in (self, other)]
        weights = [100.0 - candidate.percent, candidate.percent]
        present = [] if self.split is None else [(one.service, one.weight, one.name) for one in self.split.options]
        if (
            self.split is None
            or self.split.shadow is not self.shadow
            or present != list(zip((self, other), weights, names, strict=True))
        ):
            options = [Option(*one) for one in zip((self, other), weights, names, strict=True)]
            self.split = Split(options, self.shadow, avoids_unready=True)

    def _shadow_on(self, other: "Service", candidate: Candidate) -> Shadow | None:
        if not candidate.mirror_percent:
            return None
        shadow = self.shadow
        if shadow is None or shadow.service is not other:
            shadow = Shadow(other, compare=candidate.compare, tolerance=candidate.tolerance)
        shadow.follow(candidate.mirror_percent, compare=candidate.compare, tolerance=candidate.tolerance)
        return shadow

    def split_between(self, members: Sequence[Member], service: "Callable[[str], Service | None]") -> None:
        """Answers through other endpoints: those of a traffic splitter that there are."""
        found = [(one, service(one.endpoint)) for one in members]
        there = [(one, other) for one, other in found if other is not None]
        options = [
            Option(other, one.weight, one.variant.encode(), one.variant.encode())
            for one, other in there
            if not one.shadow
        ]
        copied = next((other for one, other in there if one.shadow), None)
        if copied is None:
            self.shadow = None
        elif self.shadow is None or self.shadow.service is not copied:
            self.shadow = Shadow(copied, compare=False)
        present = [] if self.split is None else [(one.service, one.weight, one.name) for one in self.split.options]
        changed = present != [(one.service, one.weight, one.name) for one in options]
        if self.split is None or changed or self.split.shadow is not self.shadow:
            self.split = Split(options, self.shadow)

    def hand_over(self, successor: "Service") -> None:
        """This version gets no more requests: what waits here waits there, and what is sent again goes there."""
        self._successor = successor
        deadlines, self.deadlines = self.deadlines, deque()
        queue, self.queue, self.queued_bytes = self.queue, deque(), 0
        for prediction in deadlines:
            prediction.service = successor
            if not prediction.is_copy:
                successor.watch(prediction)
        for prediction in queue:
            if prediction.is_copy:
                prediction.break_off()
            else:
                successor.queue.append(prediction)
                successor.queued_bytes += prediction.held_bytes
        successor.drain()

    def close(self) -> None:
        """The endpoint is deleted."""
        self.split = None
        self.update(EndpointEntry(self.name, None, (), None, 0, 0, self.entry.timeout_seconds, 0, False))
        self._refuse_queue(NotFound(f"cannot answer: {self.reference} was deleted"))

    @property
    def reference(self) -> str:
        """As people and grants name it."""
        return f"{self.entry.kind}/{self.name}"

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of it is wished to run."""
        return self.entry.stopped

    # -- visits ------------------------------------------------------------------------------------------------------

    def admit(self, visit: "Visit") -> None:
        """Lets a visitor in to the replica where they were before, else to the one with the fewest; where none is
        there, they wait, which wakes the app."""
        self._note_arrival()
        target = self._target_for(visit)
        if target is not None:
            target.take_in(visit)
            return
        if self.entry.stopped or (self.entry.why_not_ready is not None and not self.targets):
            visit.refuse(NotReady(self._not_ready_message(), f"`modelyard get {self.reference}` says more"))
        elif len(self.lobby) >= self.entry.max_queue_length:
            visit.refuse(QueueFull(f"cannot show {self.name}: {len(self.lobby)} wait for it", "try again later"))
        else:
            if not self.deadlines and not self.lobby:
                self._note_busy(self)
            visit.wait_until(self._loop.time(), self.entry.timeout_seconds)
            self.lobby.append(visit)
            if not self.targets:
                self._loads.urgent.set()

    def _target_for(self, visit: "Visit") -> Target | None:
        known = self._known_target(visit.asked.replica)
        if known is None or (visit.asked.begins and known not in self.ready_targets):
            # A page that is loaded anew has nothing open yet: it is to be the new version's.
            return least_in_flight(self._open_targets()) or known
        return known

    def _open_targets(self) -> list[Target]:
        chosen = self.choose(None).service if self.split is not None else self
        return chosen.ready_targets or self.ready_targets

    def _known_target(self, replica: str | None) -> Target | None:
        """Where the visitor was before. One that leaves takes in those only who still have something open there."""
        if replica is None or not self.entry.sticky:
            return None
        for one in self.parts:
            found = one.targets.get(replica)
            if found is not None and found.connected and (not found.leaving or found.visits):
                return found
        found = self.departing.get(replica)
        return found if found is not None and found.connected and found.visits else None

    def visit_ended(self, target: Target) -> None:
        if not target.visits and self.departing.get(target.address.id) is target:
            del self.departing[target.address.id]
        if self.lobby:
            self.drain()

    def dismiss(self, visit: "Visit") -> None:
        """It waits no longer."""
        if visit in self.lobby:
            self.lobby.remove(visit)

    def count_visit(self, version: int | None, status: int, seconds: float) -> None:
        """Counts an app's answer, when its head leaves."""
        self._measurements.changed.add(self.whole)
        self.figures_of(version).count(status, seconds)

    def _note_arrival(self) -> None:
        if not self.arrivals:
            self._loads.begin(self.entry_key, self.whole)
            self._measurements.changed.add(self.whole)
        self.arrivals += 1

    # -- requests ----------------------------------------------------------------------------------------------------

    def direct(self, prediction: "Prediction", fields: dict[bytes, bytes]) -> None:
        """Sends a request where weights or its own words want it; to be called where there are any. Raises NotFound for
        a variant that there is not."""
        prediction.follow(self.choose(fields.get(TARGET_VARIANT)))

    def choose(self, wanted: bytes | None) -> Choice:
        if self.split is not None:
            choice = self.split.choose(wanted)
            if choice.service is self or choice.service.split is None or choice.service.whole is self:
                return choice
            # A member of a traffic splitter may itself be on its way to another version.
            below = choice.service.choose(None)
            return Choice(below.service, choice.variant, choice.shadow or below.shadow)
        own = b"v%d" % (self.entry.version or 0)
        if wanted is not None and wanted.lower() not in (own, ALL_TRAFFIC):
            raise no_variant(wanted, [own])
        return Choice(self, None, None)

    def submit(self, prediction: "Prediction") -> None:
        """Sends the request to the replica with the fewest in flight, or queues it, or refuses it at once."""
        prediction.sent_at = prediction.started_at
        terms = prediction.terms
        limit_seconds = self.entry.timeout_seconds if terms is None else terms.timeout_seconds
        prediction.deadline = prediction.started_at + limit_seconds
        most = self.entry.under_way_max
        if most is not None and self.whole.in_flight + self.whole.queued >= most:
            prediction.fail(
                TooManyRequests(
                    f"cannot take the event: {most} are under way in function {self.name}",
                    "try again a little later, or raise the function's `concurrency`",
                )
            )
            return
        self.watch(prediction)
        self._note_arrival()
        if not self.queue:
            target = least_in_flight(self.ready_targets)
            if target is not None:
                target.send(prediction)
                return
        self._enqueue(prediction)

    def watch(self, prediction: "Prediction") -> None:
        """Its deadline is kept here from now on."""
        if not self.deadlines:
            self._note_busy(self)
        self.deadlines.append(prediction)

    def _enqueue(self, prediction: "Prediction") -> None:
        entry = self.entry
        if self._successor is not None:
            # Its body came in while the version that it was meant for went.
            self.queue.append(prediction)
            self.hand_over(self._successor)
        elif entry.why_not_ready is not None and not self.targets:
            prediction.fail(NotReady(self._not_ready_message(), "`modelyard get` says more"))
        elif (
            len(self.queue) >= entry.max_queue_length
            or self.queued_bytes + prediction.held_bytes > entry.max_queue_bytes
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
            self.queued_bytes += prediction.held_bytes
            if not self.targets and len(self.queue) == 1:
                self._loads.urgent.set()

    def drain(self) -> None:
        """Sends what waits, as far as there is room."""
        while self.lobby:
            target = self._target_for(self.lobby[0])
            if target is None:
                return
            target.take_in(self.lobby.popleft())
        while self.queue:
            target = least_in_flight(self.ready_targets)
            if target is None:
                return
            prediction = self.queue.popleft()
            self.queued_bytes -= prediction.held_bytes
            prediction.sent_at = time.monotonic()
            target.send(prediction)

    def abandon(self, prediction: "Prediction") -> None:
        """The client is gone, or the deadline has passed."""
        if prediction.target is not None:
            prediction.target.cancel(prediction.stream, overdue=self._loop.time() >= prediction.deadline)
        elif prediction in self.queue:
            self.queue.remove(prediction)
            self.queued_bytes -= prediction.held_bytes

    def figures_of(self, version: int | None) -> Figures:
        """What is counted of a version."""
        found = self.figures.get(version or 0)
        if found is None:
            if len(self.figures) >= VERSIONS_COUNTED_MAX:
                used = {target.address.version for one in self.whole.parts for target in one.targets.values()}
                self.figures.pop(next((one for one in self.figures if one not in used), 0), None)
            found = self.figures[version or 0] = Figures()
        return found

    def count(self, prediction: "Prediction", status: int) -> None:
        """Counts an answer, when its first byte leaves."""
        self._measurements.changed.add(self.whole)
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

    def parts_of(self, prediction: "Prediction") -> tuple[float | None, float | None]:
        """Seconds that a request waited and that its call took, where its replica says so."""
        if not prediction.times:
            return None, None
        waited, called, _ = unpack_times(prediction.times)
        return prediction.sent_at - prediction.started_at + waited * 1e-6, called * 1e-6

    def tick(self, now: float) -> bool:
        """Answers what is past its deadline, forgets what is done, and reports calls that never end. False where
        nothing is under way any more."""
        waiting: deque[Prediction] = deque()
        for prediction in self.deadlines:
            if prediction.done or prediction.begun:
                continue
            if prediction.deadline > now:
                waiting.append(prediction)
                continue
            self.abandon(prediction)
            prediction.fail(
                DeadlinePassed(
                    f"cannot answer: endpoint {self.name} did not answer within "
                    f"{prediction.deadline - prediction.started_at:g} s",
                    "raise `timeout` of the endpoint, or make the prediction faster",
                )
            )
        self.deadlines = waiting
        for visit in [one for one in self.lobby if one.wanted_until <= now]:
            self.lobby.remove(visit)
            visit.give_up()
        for target in self.targets.values():
            overdue = target.overdue_seconds(now)
            if overdue > STUCK_GRACE_SECONDS:
                self._report_stuck(target.address.id, self.entry.timeout_seconds + overdue)
        return bool(self.deadlines or self.lobby) or any(target.in_flight for target in self.targets.values())

    # -- replicas ----------------------------------------------------------------------------------------------------

    def target_ready(self, target: Target) -> None:
        if not target.leaving and target not in self.ready_targets:
            self.ready_targets.append(target)
            self.drain()
            if self.whole.lobby:
                self.whole.drain()

    def target_leaves(self, target: Target) -> None:
        if target in self.ready_targets:
            self.ready_targets.remove(target)

    def target_lost(self, target: Target, orphans: Iterable["Prediction"]) -> None:
        """The connection closed with these requests unanswered: each goes once more to another replica, alone."""
        self.target_leaves(target)
        heir = self._successor or self
        for prediction in reversed(list(orphans)):
            prediction.target = None
            if prediction.begun or prediction.is_copy:
                prediction.break_off()
            elif prediction.attempt < ATTEMPTS_MAX and self.entry.idempotent and prediction.terms is None:
                prediction.attempt += 1
                self.figures_of(target.address.version).retries += 1
                prediction.service = heir
                heir.queue.appendleft(prediction)
                heir.queued_bytes += prediction.held_bytes
            else:
                prediction.fail(
                    ReplicaDied(
                        f"cannot answer: the replica of endpoint {self.name} died while it held the request"
                        + (" (the second one)" if prediction.attempt > 1 else ""),
                        f"`modelyard logs {self.name}` shows its last words",
                    )
                )
        heir.drain()

    def note(self, sentence: str) -> None:
        _log.warning("endpoint %s: %s", self.name, sentence)

    # -- what is measured --------------------------------------------------------------------------------------------

    @property
    def parts(self) -> "tuple[Service, ...]":
        """This one and its candidate's."""
        return (self,) if self._candidate is None else (self, self._candidate)

    @property
    def queued(self) -> int:
        """As `in_flight` and `ready`, of the whole endpoint."""
        return sum(len(one.queue) + len(one.lobby) for one in self.parts)

    @property
    def in_flight(self) -> int:
        return sum(target.in_flight for one in self.parts for target in one.targets.values())

    def take_load(self) -> Load:
        """What it holds now, and the arrivals since the last call."""
        self.look_at_load()
        arrivals, least, most = 0, self._least, self._most
        for one in self.parts:
            arrivals, one.arrivals = arrivals + one.arrivals, 0
        self._least, self._most = self.in_flight + self.queued, 0
        found = next((one for part in self.parts for one in part.ready_targets), None)
        stated, batches = (found.stated, found.batches) if found is not None else (None, False)
        return Load(self.in_flight, self.queued, arrivals, least, most, stated, batches)

    def look_at_load(self) -> None:
        """Remembers how many requests there are now, if they are the fewest or the most since the last report."""
        demand = self.in_flight + self.queued
        self._least = min(self._least, demand)
        self._most = max(self._most, demand)

    @property
    def ready(self) -> int:
        return sum(len(one.ready_targets) for one in self.parts)

    @property
    def ready_here(self) -> bool:
        """Whether this very version can answer at once."""
        return bool(self.ready_targets)

    @property
    def can_answer(self) -> bool:
        """Whether a request would be answered: at once, or by a replica that it wakes."""
        if self.entry.members:
            return self.split is not None and any(one.weight and one.service.can_answer for one in self.split.options)
        return bool(self.ready_targets) or (self.entry.version is not None and self.entry.why_not_ready is None)

    def version_can_answer(self, version: str | None) -> bool:
        """The same of one version, as the Open Inference Protocol names it: of a splitter, a variant."""
        if version is None:
            return self.can_answer
        if not self.entry.members:
            return self.can_answer and version == str(self.entry.version)
        options = self.split.options if self.split is not None else ()
        return any(one.name.lower() == version.lower().encode("latin-1") and one.service.can_answer for one in options)

    def _not_ready_message(self) -> str:
        why = self.entry.why_not_ready or ("it is stopped" if self.entry.stopped else "none is wished")
        if self.entry.kind == ENDPOINT:
            return f"cannot predict: endpoint {self.name} has no ready replica ({why})"
        return f"cannot show {self.name}: it has no ready replica ({why})"

    def _refuse_queue(self, error: NotReady | NotFound) -> None:
        waiting, self.queue = self.queue, deque()
        self.queued_bytes = 0
        for prediction in waiting:
            prediction.fail(error)
        while self.lobby:
            self.lobby.popleft().refuse(error)
