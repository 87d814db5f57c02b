"""How far schedules were followed is remembered, by kind and name."""

from modelyard.domain.schedules import Schedule

TIMING = {"cron": "0 3 * * *", "time_zone": "UTC", "missed": "once", "overlap": "skip"}


def test_a_schedule_is_kept_as_it_was_put_and_case_does_not_tell_names_apart(store):
    assert store.schedules.get("training", "fit") is None
    first = Schedule("training", "Fit", TIMING, 10.0)
    store.schedules.put(first)
    assert store.schedules.get("training", "fit") == first
    second = Schedule("training", "Fit", TIMING, 20.0, 15.0, 16.0, "fit-1", "started fit-1")
    store.schedules.put(second)
    store.schedules.put(Schedule("batch", "fit"))
    assert store.schedules.get("training", "FIT") == second
    assert {(one.kind, one.name) for one in store.schedules.select()} == {("training", "Fit"), ("batch", "fit")}


def test_a_schedule_that_is_dropped_is_gone_and_dropping_it_again_is_harmless(store):
    store.schedules.put(Schedule("training", "fit", TIMING, 10.0))
    for _ in range(2):
        store.schedules.drop("training", "FIT")
    assert store.schedules.select() == []
