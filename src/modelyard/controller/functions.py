"""What a scheduled function starts: an invocation, queued as an event that anybody sent would be."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime

from modelyard.clock import Clock
from modelyard.domain.functions import scheduled_event
from modelyard.domain.invocations import Asynchronous, Invocation, InvocationRequest, Stored
from modelyard.domain.resources import Resource
from modelyard.domain.schedules import FIELD, Schedule, scheduled_function
from modelyard.errors import Conflict, NotFound
from modelyard.store.ports import Store


class FunctionStarter:
    """Implements `schedules.Starter`. `wake` tells the dispatcher that something was queued: what comes of the event,
    how often it is tried again and when it is a dead letter are its affair."""

    def __init__(self, store: Store, clock: Clock, wake: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._revision = 0
        self._scheduled: dict[str, Resource] = {}
        """By key; a yard may have thousands of endpoints, so only those that changed are read again."""

    def resources(self) -> list[Resource]:
        revision, changed = self._store.endpoints.changed_since(self._revision)
        if changed:
            found = self._store.endpoints.find(changed)
            # Not before they were read: a change that was passed over would end its schedule.
            self._revision = revision
            for key in changed:
                resource = scheduled_function(found[key]) if key in found else None
                if resource is None:
                    self._scheduled.pop(key, None)
                else:
                    self._scheduled[key] = resource
        return [self._scheduled[key] for key in sorted(self._scheduled)]

    def start(self, resource: Resource, planned_at: float) -> str:
        name = resource.name.name
        at = datetime.fromtimestamp(planned_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        # One time, one id: what was queued before a kill is not queued twice.
        invocation_id = f"schedule-{at}"
        event = resource.wished.spec[FIELD].get("event")
        body = json.dumps(scheduled_event(name, invocation_id, at) if event is None else event).encode()
        terms = self._store.endpoints.get(name).governing.spec.asynchronous or Asynchronous()
        asked = InvocationRequest(
            Stored(len(body), hashlib.sha256(body).hexdigest()),
            "application/json",
            time_to_live_seconds=terms.time_to_live_seconds,
            timeout_seconds=terms.timeout_seconds,
            attempts=terms.attempts,
            webhook=terms.webhook,
            include_result=terms.include_result,
        )
        now = self._clock.now()
        invocation = Invocation(name, invocation_id, asked, now, now + asked.time_to_live_seconds, due_at=now)
        (accepted,) = self._store.invocations.accept([(invocation, body)])
        if isinstance(accepted, Conflict):
            raise accepted
        self._wake()
        return invocation_id

    def goes_on(self, schedule: Schedule) -> bool:
        try:
            return not self._store.invocations.get(schedule.name, str(schedule.started)).ended
        except NotFound:
            return False
