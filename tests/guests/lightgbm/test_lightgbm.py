"""LightGBM's text models, served by LightGBM."""

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("lightgbm", tmp_path_factory.mktemp("lightgbm"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", ["regression", "classes"])
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


@pytest.mark.parametrize("framework", ["xgboost", "catboost", "sklearn"])
def test_it_is_named_where_it_is_loaded_as_something_else(models: ModelFiles, framework: str) -> None:
    reason = models.refusal("regression", framework)
    assert f"model.txt is a LightGBM model; it does not load as {framework}, but as lightgbm" in reason
