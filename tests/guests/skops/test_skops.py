"""skops files, served by scikit-learn."""

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("skops", tmp_path_factory.mktemp("skops"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", ["pipeline", "vectors"])
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


def test_types_that_nobody_trusts_are_named(models: ModelFiles) -> None:
    reason = models.refusal("own-type", "skops")
    assert "skops does not trust the types __main__.Doubling in it" in reason
    assert "trusted=[...]" in reason
