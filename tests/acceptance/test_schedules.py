"""Schedules in a real yard: what was missed while it was down, and what a function is called with."""

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from modelyard.clock import SystemClock
from modelyard.protocol.views_of_schedules import ScheduleView
from modelyard.settings import Home
from modelyard.store.sqlite import open_store
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

APP = """
def handler(event, context):
    if event.get("refuse"):
        raise ValueError("never")
    return event
"""
# The first of January is far enough from the test to have no time of its own in it.
YARD_FILE = """
- {name: once, kind: function, handler: app.handler, schedule: {cron: 0 0 1 1 *, event: {hello: 1}}}
- {name: skipped, kind: function, handler: app.handler, schedule: {cron: 0 0 1 1 *, missed: skip}}
- name: failing
  kind: function
  handler: app.handler
  async: {attempts: 1}
  schedule: {cron: 0 0 1 1 *, event: {refuse: true}}
- {name: count, kind: task, entry: count.py, schedule: 0 0 1 1 *}
"""
FUNCTIONS = ("once", "skipped", "failing")
YEAR_SECONDS = 366 * 86400.0


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """It was down at the last New Year."""
    folder = tmp_path_factory.mktemp("schedules")
    (folder / "app.py").write_text(APP)
    (folder / "count.py").write_text("print(1)\n")
    (folder / "modelyard.yaml").write_text(YARD_FILE)
    yard = Yard(folder / "home").up()
    yard.client().deploy(folder, project="shop")
    eventually(lambda: known(yard) == {*FUNCTIONS, "count"})
    yard.down()
    store = open_store(Home(yard.home))
    for one in store.schedules.select():
        store.schedules.put(replace(one, looked_at=SystemClock().now() - YEAR_SECONDS))
    store.close()
    yield yard.up()
    yard.down()
    yard.close()


def known(yard: Yard) -> set[str]:
    """Whose schedules the controller has looked at."""
    store = open_store(Home(yard.home))
    try:
        return {one.name for one in store.schedules.select()}
    finally:
        store.close()


def schedule(yard: Yard, name: str) -> ScheduleView:
    return next(one for one in yard.client().schedules() if one.name == name)


def test_what_a_yard_that_was_down_missed_is_started_once_or_waited_for_as_it_says(yard: Yard) -> None:
    eventually(lambda: [one["status"] for one in yard.client().invocations("once")] == ["completed"])
    eventually(lambda: schedule(yard, "count").last_started == "count-1")
    assert "missed" in str(schedule(yard, "once").sentence)
    assert [run["id"] for run in yard.client().runs("count")] == ["count-1"]
    waiting = eventually(lambda: schedule(yard, "skipped").sentence)
    assert waiting.endswith("the next is waited for")
    assert yard.client().invocations("skipped") == []


def test_a_scheduled_event_is_what_the_schedule_says_and_a_dead_letter_where_its_function_fails(yard: Yard) -> None:
    (done,) = eventually(lambda: yard.client().invocations("once"))
    place = f"{yard.url}/endpoints/once/async-invocations/{done['id']}/result"
    assert httpx.get(place).json() == {"hello": 1}
    failed = eventually(lambda: [one for one in yard.client().invocations("failing") if one["status"] == "failed"])
    assert "never" in str(failed[0]["reason"])
