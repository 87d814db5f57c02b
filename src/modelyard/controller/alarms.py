"""The pass over alarms: judges each by what was recorded, acts on a change, and sends the messages that tell of it.

First what a change leads to, then the change itself together with its messages, in one transaction: whoever dies in
between finds the alarm unchanged, judges it again, and a rollback that was made is not made twice. Messages are sent
from what is written down, so they are sent whoever dies.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.controller.messages import Send
from modelyard.domain.alarms import (
    AlarmChange,
    AlarmSpec,
    AlarmState,
    Delivery,
    alarm_spec_from,
    judge,
    message_body,
    messages_of,
    values_of,
    why_not_rolled_back,
)
from modelyard.domain.endpoints import Endpoint
from modelyard.domain.names import name_key
from modelyard.domain.resources import Resource
from modelyard.domain.webhooks import retry_at
from modelyard.errors import ModelyardError, NotFound
from modelyard.store.ports import Store

SENT_AT_ONCE = 4
"""Messages under way at the same time; a receiver that does not answer holds one for ten seconds."""

LOOKS_A_PERIOD = 12
"""How often an alarm is judged within one of its periods, at most with every record."""

_log = logging.getLogger("modelyard.controller")


class AlarmsPass:
    def __init__(self, store: Store, clock: Clock, wake: Callable[[], None], send: Send) -> None:
        self._store = store
        self._clock = clock
        self._wake = wake
        self._send = send
        self._states = store.alarms.states()
        self._judged_at: dict[str, float] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}

    def __call__(self, *, recorded: bool) -> None:
        """One pass. `recorded` says that there is something new to judge."""
        if recorded:
            self._judge_all()
        self._send_due()

    def states(self) -> list[tuple[str, str, str]]:
        """(alarm, endpoint, state) of every alarm that was judged."""
        return [(one.alarm, one.endpoint, one.state.value) for one in self._states.values()]

    async def close(self) -> None:
        """Lets what is under way end; what is not sent yet is sent by the next controller."""
        await asyncio.gather(*self._sending.values(), return_exceptions=True)

    # -- judging -----------------------------------------------------------------------------------------------------

    def _judge_all(self) -> None:
        alarms = self._store.resources.select("alarm")
        known = {name_key(one.name.name) for one in alarms}
        for key in [one for one in self._states if one not in known]:
            del self._states[key]
            self._store.alarms.forget(key)
        for resource in alarms:
            try:
                self._judge(resource)
            except Exception:  # noqa: BLE001 (one alarm in trouble must not silence the others)
                _log.exception("alarm %s: cannot be judged", resource.name.name)

    def _judge(self, resource: Resource) -> None:
        name, key = resource.name.name, name_key(resource.name.name)
        spec = alarm_spec_from(resource.wished.spec)
        now = self._clock.now()
        before = self._states.get(key)
        changed_since = before is not None and resource.wished.created_at > self._judged_at.get(key, 0.0)
        pause = spec.period_seconds / LOOKS_A_PERIOD
        if not changed_since and abs(now - self._judged_at.get(key, 0.0)) < pause:
            return
        self._judged_at[key] = now
        endpoint = self._endpoint(spec.endpoint)
        born_at = max(resource.versions[0].created_at, endpoint.versions[0].created_at) if endpoint else now
        watched = spec.period_seconds * spec.periods
        records = self._store.metrics.select(spec.endpoint, now - watched, now, spec.version)
        values = values_of(spec, records, now, born_at)
        present = before.state if before is not None else AlarmState.INSUFFICIENT_DATA
        verdict = judge(spec, values, present)
        if before is not None and verdict.state is present:
            return
        change = AlarmChange(name, spec.endpoint, verdict.state, now, verdict.sentence, verdict.value)
        if verdict.state is AlarmState.ALARM and spec.rollback and endpoint is not None:
            self._roll_back(endpoint, spec, change)
        self._move(resource, spec, change, before)

    def _move(self, resource: Resource, spec: AlarmSpec, change: AlarmChange, before: AlarmChange | None) -> None:
        tells = change.state in spec.notify and (change.state is not AlarmState.OK or self._was_in_alarm(before))
        body = message_body(change, before.state if before else None, spec, resource.project)
        messages = messages_of(change, spec, body, lambda: f"msg_{secrets.token_hex(16)}") if tells else []
        self._store.alarms.move(change, messages)
        self._states[name_key(change.alarm)] = change
        tell(self._store.events, "alarm", change.alarm, f"{change.state.value}: {change.sentence}", change.at)

    def _was_in_alarm(self, before: AlarmChange | None) -> bool:
        """Whether there is an alarm to call off: that nothing is wrong from the beginning on is no news."""
        if before is None or before.state is not AlarmState.INSUFFICIENT_DATA:
            return before is not None
        earlier = self._store.alarms.history(before.alarm, limit=2)[1:]
        return bool(earlier) and earlier[0].state is AlarmState.ALARM

    def _endpoint(self, name: str) -> Endpoint | None:
        try:
            return self._store.endpoints.get(name)
        except NotFound:
            return None

    def _roll_back(self, endpoint: Endpoint, spec: AlarmSpec, change: AlarmChange) -> None:
        why_not = why_not_rolled_back(endpoint, spec, change.at)
        if why_not is not None:
            sentence = f"not rolled back by alarm {change.alarm}: {why_not}"
        else:
            try:
                by = f"alarm {change.alarm}"
                reason = f"{by}: {change.sentence}"
                outcome = self._store.endpoints.roll_back(endpoint.name, None, change.at, by, reason)
                sentence = f"{outcome.sentence}: {by}, {change.sentence}"
                self._wake()
            except ModelyardError as error:
                sentence = f"not rolled back by alarm {change.alarm}: {error.message}"
        tell(self._store.events, "endpoint", endpoint.name, sentence, change.at)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        room = SENT_AT_ONCE - len(self._sending)
        if room <= 0:
            return
        for delivery in self._store.alarms.due(self._clock.now(), limit=SENT_AT_ONCE + room):
            if delivery.id not in self._sending and len(self._sending) < SENT_AT_ONCE:
                task = asyncio.get_running_loop().create_task(self._deliver(delivery))
                self._sending[delivery.id] = task

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            failure = await self._send(delivery)
            now, attempts = self._clock.now(), delivery.attempts + 1
            due_at = None if failure is None else retry_at(attempts, now)
            self._store.alarms.put_delivery(
                replace(delivery, attempts=attempts, due_at=due_at, outcome=failure or "delivered")
            )
            if failure is not None and due_at is None:
                sentence = f"gave up telling {delivery.target} after {attempts} attempts: {failure}"
                tell(self._store.events, "alarm", delivery.alarm, sentence, now)
        except Exception:  # noqa: BLE001 (it is still due; the next pass tries again)
            _log.exception("alarm %s: cannot tell %s", delivery.alarm, delivery.target)
        finally:
            del self._sending[delivery.id]
            self._wake()
