"""The newest change is an alarm's state, and what is to be sent is sent whoever dies."""

from dataclasses import replace

import pytest

from modelyard.domain.alarms import AlarmChange, AlarmState, Delivery
from modelyard.store import alarms, memory
from modelyard.store.ports import Store

FIRED = AlarmChange("Errors", "Price", AlarmState.ALARM, 100.0, "error_rate of price > 0.05", 0.25)
CALM = replace(FIRED, state=AlarmState.OK, at=160.0, value=None)
MESSAGE = Delivery("d1", "Errors", "https://hooks.example.com/", "hook-key", "{}", 100.0, due_at=100.0)


def test_the_newest_change_is_the_state(store: Store) -> None:
    store.alarms.move(FIRED)
    assert store.alarms.states() == {"errors": FIRED}
    store.alarms.move(CALM)
    assert store.alarms.states() == {"errors": CALM}
    assert store.alarms.history("errors") == [CALM, FIRED]
    assert store.alarms.history("ERRORS", limit=1) == [CALM]


def test_those_that_fire_can_be_asked_for_by_endpoint(store: Store) -> None:
    store.alarms.move(FIRED)
    store.alarms.move(replace(FIRED, alarm="slow", endpoint="other"))
    store.alarms.move(replace(CALM, alarm="queue"))
    assert store.alarms.firing() == {"Errors", "slow"}


def test_a_message_is_due_until_it_is_over(store: Store) -> None:
    store.alarms.move(FIRED, [MESSAGE, replace(MESSAGE, id="d2", due_at=90.0)])
    assert [one.id for one in store.alarms.due(100.0)] == ["d2", "d1"]
    assert store.alarms.due(80.0) == []
    failed = replace(MESSAGE, attempts=1, due_at=130.0, outcome="answered 500")
    store.alarms.put_delivery(failed)
    store.alarms.put_delivery(replace(MESSAGE, id="d2", attempts=1, due_at=None, outcome="answered 200"))
    assert store.alarms.due(120.0) == []
    assert store.alarms.due(130.0) == [failed]
    assert [one.outcome for one in store.alarms.deliveries("errors")] == ["answered 200", "answered 500"]
    store.alarms.put_delivery(replace(MESSAGE, id="nobody's"))


def test_changes_and_messages_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (alarms, memory):
        monkeypatch.setattr(module, "CHANGES_PER_ALARM_MAX", 2)
        monkeypatch.setattr(module, "DELIVERIES_MAX", 3)
    for number in range(5):
        store.alarms.move(replace(FIRED, at=float(number)), [replace(MESSAGE, id=str(number))])
    assert [one.at for one in store.alarms.history("errors")] == [4.0, 3.0]
    assert [one.id for one in store.alarms.deliveries("errors")] == ["4", "3", "2"]


def test_what_is_forgotten_is_gone_with_what_was_to_be_sent(store: Store) -> None:
    store.alarms.move(FIRED, [MESSAGE])
    store.alarms.move(replace(FIRED, alarm="slow"))
    store.alarms.forget("ERRORS")
    assert list(store.alarms.states()) == ["slow"]
    assert store.alarms.due(1000.0) == []
