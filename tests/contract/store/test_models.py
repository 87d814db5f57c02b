from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.domain.models import Lineage
from modelyard.errors import Conflict, InvalidValue, NotFound

LINEAGE = Lineage(
    run="price-training-1",
    inputs={"train": "d" * 64},
    hyperparameters={"eta": "0.2"},
    metrics={"validation:rmse": 1.5},
    code_digest="builtin:xgboost@3.0",
    git_commit="abc+changes",
)


def register(store, model="price", project="shop", lineage=None, now=1.0):
    return store.models.register(model, project, "t" * 64, 10, "xgboost", lineage or Lineage(), now)


def test_versions_count_up_from_one_and_keep_their_lineage(store):
    first = register(store, lineage=LINEAGE)
    second = register(store, now=2.0)
    assert (first.version, second.version) == (1, 2)
    assert store.models.get("price", 1) == first
    assert first.lineage == LINEAGE
    assert first.reference == "price:1"
    assert store.models.get("price") == second
    assert store.models.versions("price") == [second, first]


def test_registering_twice_for_one_run_gives_the_same_version(store):
    first = register(store, lineage=LINEAGE)
    assert register(store, lineage=LINEAGE, now=9.0) == first
    assert len(store.models.versions("price")) == 1


def test_model_names_are_compared_without_case(store):
    register(store, "Price")
    assert register(store, "PRICE").model == "Price"
    assert store.models.get("price").version == 2


def test_another_projects_model_is_refused(store):
    register(store)
    with pytest.raises(Conflict, match="belongs to project shop"):
        register(store, project="other")


def test_a_bad_model_name_is_refused(store):
    with pytest.raises(InvalidValue, match="model name"):
        register(store, "no label")


def test_what_is_missing_is_refused_with_what_there_is(store):
    register(store)
    register(store)
    with pytest.raises(NotFound) as name:
        store.models.get("prise")
    assert name.value.hint == "did you mean price?"
    with pytest.raises(NotFound) as version:
        store.models.get("price", 7)
    assert version.value.hint == "there are 2, 1"
    for call in (store.models.versions, store.models.delete):
        with pytest.raises(NotFound):
            call("gone")


def test_the_newest_version_of_each_model_is_listed_by_name(store):
    register(store, "b", "one")
    register(store, "a", "two")
    register(store, "b", "one")
    assert [one.reference for one in store.models.select()] == ["a:1", "b:2"]
    assert [one.reference for one in store.models.select("one")] == ["b:2"]


def test_numbers_of_deleted_versions_are_never_given_again(store):
    for _ in range(3):
        register(store)
    assert store.models.delete("PRICE", 3) == 1
    assert store.models.get("price").version == 2
    assert register(store).version == 4
    with pytest.raises(NotFound):
        store.models.delete("price", 3)


def test_a_model_deleted_whole_is_gone_and_counts_on_in_other_hands(store):
    register(store)
    register(store)
    assert store.models.delete("price") == 2
    assert store.models.select() == []
    with pytest.raises(NotFound):
        store.models.get("price")
    again = register(store, "Price", "other")
    assert (again.model, again.project, again.version) == ("Price", "other", 3)


def test_versions_registered_by_many_threads_have_no_gaps(store):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: register(store).version, range(40)))
    assert sorted(made) == list(range(1, 41))


def test_one_run_registered_by_many_threads_makes_one_version(store):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: register(store, lineage=LINEAGE).version, range(20)))
    assert made == {1}
