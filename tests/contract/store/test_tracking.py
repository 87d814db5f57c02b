"""Metrics of runs, in every implementation."""

from modelyard.domain.tracking import Point
from modelyard.store.database import Database
from modelyard.store.memory_tracking import MemoryTracking
from modelyard.store.migrate import database_path
from modelyard.store.ports import Store
from modelyard.store.tracking import SqlTracking


def points(name: str, count: int) -> list[Point]:
    return [Point(name, 1.0 / (1 + step), step, 1000.0 + step) for step in range(count)]


def test_points_come_back_in_the_order_of_logging_page_by_page(store: Store) -> None:
    store.tracking.add("a-1", points("rmse", 5), 100, read_all=False)
    store.tracking.add("A-1", points("loss", 2), 140, read_all=True)
    first = store.tracking.points("a-1", limit=4)
    rest = store.tracking.points("a-1", after=first[-1][0], limit=4)
    assert [point for _, point in first + rest] == points("rmse", 5) + points("loss", 2)
    assert [point for _, point in store.tracking.points("a-1", name="loss")] == points("loss", 2)
    assert store.tracking.series("a-1") == {"loss": 2, "rmse": 5}
    progress = store.tracking.progress("a-1")
    assert (progress.read_bytes, progress.read_all, progress.count) == (140, True, 7)


def test_values_that_are_no_finite_numbers_are_kept(store: Store) -> None:
    store.tracking.add("a-1", [Point("x", float("inf"), 0, 1.0), Point("x", float("nan"), 1, 1.0)], 1, read_all=False)
    values = [point.value for _, point in store.tracking.points("a-1")]
    assert values[0] == float("inf")
    assert values[1] != values[1]


def test_a_run_that_is_about_to_log_waits_to_be_read_and_to_be_told(store: Store) -> None:
    store.tracking.open("a-1")
    assert store.tracking.unread() == ["a-1"]
    assert [one.run for one in store.tracking.unsent(10)] == ["a-1"]
    store.tracking.add("a-1", points("rmse", 2), 10, read_all=True)
    store.tracking.open("A-1")
    assert store.tracking.unread() == []
    assert store.tracking.progress("a-1").count == 2


def test_a_run_waits_to_be_read_and_to_be_told_until_it_was(store: Store) -> None:
    store.tracking.add("a-1", [], 0, read_all=False)
    store.tracking.add("b-1", points("rmse", 1), 10, read_all=True)
    assert store.tracking.unread() == ["a-1"]
    assert [one.run for one in store.tracking.unsent(10)] == ["a-1", "b-1"]
    store.tracking.note_sent("b-1", begun=True)
    store.tracking.note_sent("b-1", sent=7)
    store.tracking.note_sent("b-1", closed=True)
    progress = store.tracking.progress("b-1")
    assert (progress.begun, progress.sent, progress.closed) == (True, 7, True)
    assert [one.run for one in store.tracking.unsent(10)] == ["a-1"]


def test_points_are_bounded_for_a_run_and_for_all_together(home) -> None:
    database = Database(database_path(home, "history"), synchronous="NORMAL")
    for tracking in (SqlTracking(database, 10, 6), MemoryTracking(10, 6)):
        tracking.add("a-1", points("rmse", 4), 1, read_all=True)
        kept = tracking.add("b-1", points("rmse", 9), 1, read_all=False)
        assert (kept.count, kept.dropped) == (6, 3)
        tracking.add("c-1", points("rmse", 2), 1, read_all=False)
        assert tracking.progress("a-1").count == 0
        assert tracking.progress("a-1").dropped == 4
        assert tracking.points("a-1") == []
        assert len(tracking.points("c-1")) == 2
    database.close()
