"""Keras files, served by Keras on JAX."""

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("keras", tmp_path_factory.mktemp("keras"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", ["rows", "image", "two-inputs"])
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


@pytest.mark.parametrize("framework", ["tensorflow", "pytorch"])
def test_it_is_named_where_it_is_loaded_as_something_else(models: ModelFiles, framework: str) -> None:
    reason = models.refusal("rows", framework)
    assert f"model.keras is a Keras model; it does not load as {framework}, but as keras" in reason
