from concurrent.futures import ThreadPoolExecutor

import pytest

from modelyard.domain.models import ALIASES_MAX, Approval, ApprovalState, Lineage, ModelReference
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


def test_a_version_knows_which_were_trained_from_it(store):
    for number in (1, 2, 1):
        lineage = Lineage(parents={"base": f"price:{number}"}, sources={"base": "run:price-training-1/model"})
        register(store, "tuned", lineage=lineage)
    register(store, "other", lineage=Lineage(hyperparameters={"note": "price:1"}))
    assert store.models.children("price:1") == ["tuned:1", "tuned:3"]
    assert store.models.children("price:2") == ["tuned:2"]
    assert store.models.children("tuned:1") == []


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


def test_an_alias_names_one_version_at_a_time_and_moves(store):
    register(store)
    register(store)
    assert store.models.put_alias("price", "champion", 1, 5.0, "ada") is None
    assert store.models.resolve(ModelReference("PRICE", alias="Champion")).reference == "price:1"
    assert store.models.put_alias("price", "CHAMPION", 2, 6.0) == 1
    assert [one.aliases for one in store.models.versions("price")] == [("champion",), ()]
    assert store.models.get("price", 2).aliases == ("champion",)
    assert [one.aliases for one in store.models.select()] == [("champion",)]
    assert store.models.resolve(ModelReference("price")).version == 2
    assert store.models.resolve(ModelReference("price", 1)).version == 1


def test_a_version_may_have_several_aliases_and_other_models_the_same_ones(store):
    register(store)
    register(store, "rent")
    for model, alias in (("price", "champion"), ("price", "baseline"), ("rent", "champion")):
        store.models.put_alias(model, alias, 1, 1.0)
    assert store.models.get("price", 1).aliases == ("baseline", "champion")
    assert store.models.get("rent", 1).aliases == ("champion",)


def test_an_alias_is_taken_away_by_hand_or_with_its_version(store):
    register(store)
    register(store)
    store.models.put_alias("price", "champion", 1, 1.0)
    store.models.put_alias("price", "challenger", 2, 1.0)
    assert store.models.delete_alias("price", "Champion") == 1
    store.models.delete("price", 2)
    assert store.models.get("price").aliases == ()
    for alias in ("champion", "challenger"):
        with pytest.raises(NotFound):
            store.models.delete_alias("price", alias)
    store.models.put_alias("price", "champion", 1, 1.0)
    store.models.delete("price")
    register(store, project="other")
    with pytest.raises(NotFound, match="alias 'champion'"):
        store.models.resolve(ModelReference("price", alias="champion"))


def test_an_alias_that_is_not_there_is_refused_with_the_nearest(store):
    register(store)
    store.models.put_alias("price", "champion", 1, 1.0)
    with pytest.raises(NotFound) as found:
        store.models.resolve(ModelReference("price", alias="champoin"))
    assert found.value.hint == "did you mean champion?"
    for call in (
        lambda: store.models.put_alias("price", "x", 9, 1.0),
        lambda: store.models.put_alias("no", "x", 1, 1.0),
    ):
        with pytest.raises(NotFound):
            call()


@pytest.mark.parametrize("alias", ["latest", "v3", "3", "a b", "-a", "a-", "", "a" * 64])
def test_an_alias_that_could_mean_something_else_is_refused(store, alias):
    register(store)
    with pytest.raises(InvalidValue, match="cannot use alias"):
        store.models.put_alias("price", alias, 1, 1.0)


def test_a_model_has_only_so_many_aliases_but_they_go_on_moving(store):
    register(store)
    for number in range(ALIASES_MAX):
        store.models.put_alias("price", f"a{number}", 1, 1.0)
    with pytest.raises(Conflict):
        store.models.put_alias("price", "one-more", 1, 1.0)
    assert store.models.put_alias("price", "a1", 1, 1.0) == 1


def test_tags_are_merged_and_taken_away(store):
    register(store)
    store.models.put_tags("price", 1, {"team": "shop", "data": "2026"})
    changed = store.models.put_tags("PRICE", 1, {"team": "sales", "data": None, "gone": None})
    assert changed.tags == {"team": "sales"}
    assert store.models.get("price", 1) == changed
    with pytest.raises(InvalidValue, match="cannot tag price:1"):
        store.models.put_tags("price", 1, {"": "x"})
    with pytest.raises(NotFound):
        store.models.put_tags("price", 2, {})


def test_a_version_waits_for_approval_until_somebody_decides_and_may_decide_again(store):
    assert register(store).approval == Approval()
    for approval in (
        Approval(ApprovalState.REJECTED, "ada@desk", 5.0, "leaks the target"),
        Approval(ApprovalState.APPROVED, "bob@desk", 6.0),
    ):
        assert store.models.put_approval("price", 1, approval).approval == approval
        assert store.models.get("price").approval == approval
    with pytest.raises(NotFound):
        store.models.put_approval("price", 2, Approval())


def test_what_is_said_of_a_version_changes_nothing_of_what_it_is(store):
    first = register(store, lineage=LINEAGE)
    store.models.put_tags("price", 1, {"a": "b"})
    store.models.put_alias("price", "champion", 1, 1.0)
    said = store.models.put_approval("price", 1, Approval(ApprovalState.APPROVED, "ada", 5.0))
    assert (said.tree, said.lineage, said.created_at) == (first.tree, first.lineage, first.created_at)
    assert register(store, lineage=LINEAGE) == said
    assert said.aliases == ("champion",)
