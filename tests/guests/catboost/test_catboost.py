"""CatBoost's models, served by CatBoost."""

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("catboost", tmp_path_factory.mktemp("catboost"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", ["regression", "classes", "categories"])
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


@pytest.mark.parametrize("framework", ["xgboost", "lightgbm"])
def test_it_is_named_where_it_is_loaded_as_something_else(models: ModelFiles, framework: str) -> None:
    reason = models.refusal("regression", framework)
    assert f"model.cbm is a CatBoost model; it does not load as {framework}, but as catboost" in reason


def test_a_category_that_is_no_text_is_refused(models: ModelFiles) -> None:
    with models.place() as place, place.replica(models.package(place, "categories")) as replica:
        client = replica.connect()
        assert client.ask([{"area": 1.0, "town": 3}]).status == 200
        refused = client.ask([{"area": 1.0, "town": 3.5}])
        assert (refused.status, refused.meta["error"]) == (400, "invalid_value")
        assert "input town" in refused.meta["message"]
        missing = client.ask([{"area": 1.0}])
        assert "input town is missing; the model takes area, town" in missing.meta["message"]
        assert client.ask(b"1.0,Bern\n2.0,Kiel\n", "text/csv").status == 200
