from modelyard.store.limits import SENTENCE_LENGTH_MAX
from tests.contract.store.conftest import EVENTS_MAX


def test_events_come_newest_first_with_rising_numbers(store):
    store.events.add("endpoint", "price", "creating", 1.0)
    store.events.add("run", "price-1", "begun", 2.0)
    newest, oldest = store.events.select()
    assert (newest.kind, newest.name, newest.sentence, newest.at) == ("run", "price-1", "begun", 2.0)
    assert newest.number == oldest.number + 1


def test_events_are_selected_by_kind_and_name(store):
    store.events.add("endpoint", "Price", "one", 1.0)
    store.events.add("endpoint", "other", "two", 1.0)
    store.events.add("model", "price", "three", 1.0)
    assert [one.sentence for one in store.events.select("endpoint")] == ["two", "one"]
    assert [one.sentence for one in store.events.select(name="price")] == ["three", "one"]
    assert [one.sentence for one in store.events.select("endpoint", "PRICE")] == ["one"]
    assert [one.sentence for one in store.events.select(limit=1)] == ["three"]


def test_only_the_newest_events_are_remembered(store):
    for number in range(EVENTS_MAX * 3):
        store.events.add("endpoint", "price", str(number), 1.0)
    kept = [int(one.sentence) for one in store.events.select()]
    assert kept == list(range(EVENTS_MAX * 3 - 1, EVENTS_MAX * 2 - 1, -1))


def test_a_long_sentence_is_cut(store):
    store.events.add("endpoint", "price", "x" * 10_000, 1.0)
    assert store.events.select()[0].sentence == "x" * SENTENCE_LENGTH_MAX
