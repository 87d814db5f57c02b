"""Alarms are judged by what was recorded; a change is told once, whoever dies, and may roll an endpoint back."""

import json
from dataclasses import asdict, replace
from typing import Any

from modelyard.controller.alarms import AlarmsPass
from modelyard.domain.alarms import AlarmSpec, AlarmState, Comparison, Delivery, Webhook
from modelyard.domain.deployments import Wanted
from modelyard.domain.metrics import Figures, MetricRecord
from modelyard.domain.resources import ResourceName
from tests.unit.controller.stage import Stage, Tell

ERRORS = AlarmSpec(
    "iris",
    "error_rate",
    Comparison.ABOVE,
    0.2,
    period_seconds=10.0,
    periods=3,
    datapoints=2,
    webhooks=(Webhook("https://hooks.example.com/"),),
)


class Receiver:
    """Gets the messages; `failing` says what goes wrong instead."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.failing: str | None = None

    async def __call__(self, delivery: Delivery) -> str | None:
        self.got.append(delivery)
        return self.failing

    @property
    def types(self) -> list[str]:
        return [json.loads(one.body)["type"] for one in self.got]


def watched(stage: Stage, spec: AlarmSpec = ERRORS) -> Receiver:
    """An alarm over iris, and who hears of it."""
    wanted = Wanted(resources={ResourceName("alarm", "errors"): asdict(spec)})
    stage.store.deployments.apply("shop", wanted, stage.clock.now())
    receiver = Receiver()
    stage.controller.alarms = AlarmsPass(stage.store, stage.clock, stage.controller.wake, receiver)
    return receiver


async def serve(stage: Stage, *statuses: int, seconds: float = 10.0) -> None:
    """So many seconds in which these were answered, and a look at the end."""
    figures = Figures()
    for status in statuses:
        figures.count(status, 0.01)
    at = stage.clock.now() + seconds / 2
    if statuses:
        stage.store.metrics.add([("iris", MetricRecord(at, seconds / 2, 1, figures))], {})
    await stage.wait(seconds)


def state(stage: Stage) -> AlarmState:
    return stage.store.alarms.states()["errors"].state


def test_an_alarm_goes_off_and_is_over_with_one_sentence_and_one_message_each(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris")
        receiver = watched(stage)
        await serve(stage, 200, 200)
        assert state(stage) is AlarmState.OK
        await serve(stage, 500, 200)
        assert state(stage) is AlarmState.OK
        assert receiver.got == []
        await serve(stage, 500)
        assert state(stage) is AlarmState.ALARM
        assert stage.store.alarms.firing() == {"errors"}
        await serve(stage, 500)
        assert receiver.types == ["alarm.alarm"]
        await serve(stage, 200)
        await serve(stage, 200)
        assert state(stage) is AlarmState.OK
        assert receiver.types == ["alarm.alarm", "alarm.ok"]
        assert stage.sentences("errors")[1] == (
            "alarm: error_rate of iris > 0.2 in 2 of the last 3 periods of 10 s; 1 at most"
        )

    tell(story)


def test_a_message_that_fails_is_sent_again_later_and_given_up_with_a_sentence(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris")
        receiver = watched(stage)
        receiver.failing = "answered 500"
        await serve(stage, 500)
        await serve(stage, 500)
        first = len(receiver.got)
        assert first == 1
        for _ in range(400):
            await stage.wait(15.0)
        assert {one.id for one in receiver.got} == {receiver.got[0].id}
        assert len(receiver.got) == 6
        assert "gave up telling https://hooks.example.com/ after 6 attempts: answered 500" in stage.sentences("errors")
        assert stage.store.alarms.due(stage.clock.now() + 1e6) == []

    tell(story)


def test_a_controller_that_comes_after_a_dead_one_tells_what_was_not_told_and_nothing_twice(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris")
        receiver = watched(stage)
        receiver.failing = "nobody there"
        await serve(stage, 500)
        await serve(stage, 500)
        await stage.restart()
        later = Receiver()
        stage.controller.alarms = AlarmsPass(stage.store, stage.clock, stage.controller.wake, later)
        for _ in range(3):
            await serve(stage, 500)
        assert [one.id for one in later.got] == [receiver.got[0].id]
        states = [one.state for one in stage.store.alarms.history("errors")]
        assert states == [AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA]

    tell(story)


def rolling_back(**more: Any) -> AlarmSpec:
    return replace(ERRORS, rollback=True, datapoints=1, webhooks=(), **more)


def test_a_young_version_is_rolled_back_once_with_the_reason(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris", "one")
        await stage.deploy("iris", "two")
        watched(stage, rolling_back())
        await serve(stage, 500)
        endpoint = stage.store.endpoints.get("iris")
        assert (endpoint.wished.number, endpoint.wished.origin.source) == (3, 1)
        assert endpoint.wished.origin.by == "alarm errors"
        assert (endpoint.versions[1].reason or "").startswith("alarm errors: error_rate")
        assert any(
            one.startswith("rolling back iris (endpoint) to version 1 as version 3: alarm errors, error_rate")
            for one in stage.sentences("iris")
        )
        for _ in range(5):
            await serve(stage, 500)
        assert stage.store.endpoints.get("iris").wished.number == 3

    tell(story)


def test_an_old_version_is_left_alone_and_the_event_says_why(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris", "one")
        await stage.deploy("iris", "two")
        watched(stage, rolling_back(rollback_within_seconds=5.0))
        await serve(stage, 500)
        assert stage.store.endpoints.get("iris").wished.number == 2
        assert any("not rolled back by alarm errors: version 2 has been" in one for one in stage.sentences("iris"))

    tell(story)


def test_an_alarm_that_is_deleted_is_forgotten(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris")
        watched(stage, rolling_back())
        await serve(stage, 500)
        assert stage.store.alarms.firing() == {"errors"}
        stage.store.resources.delete("alarm", "errors")
        await serve(stage)
        assert stage.store.alarms.firing() == frozenset()
        assert stage.store.alarms.states() == {}

    tell(story)


def test_silence_is_no_error_and_no_traffic_can_be_an_alarm(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.deploy("iris")
        silent = replace(ERRORS, metric="requests", comparison=Comparison.BELOW, threshold=1.0, webhooks=())
        watched(stage, silent)
        await serve(stage)
        assert state(stage) is AlarmState.INSUFFICIENT_DATA
        await serve(stage)
        await serve(stage)
        assert state(stage) is AlarmState.ALARM

    tell(story)
