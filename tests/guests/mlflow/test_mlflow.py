"""MLflow model folders, served through MLflow and without it."""

import sys

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("mlflow", tmp_path_factory.mktemp("mlflow"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", ["plain", "columns", "boosted", "labels", "function"])
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


@pytest.mark.parametrize("case", ["plain", "boosted"])
def test_flavors_that_are_known_need_no_mlflow(models: ModelFiles, case: str) -> None:
    with models.place(sys.executable) as place, place.replica(models.package(place, case)) as replica:
        models.check(replica, case)


@pytest.mark.parametrize("case", ["labels", "function"])
def test_where_the_answer_would_differ_mlflow_is_asked_for(models: ModelFiles, case: str) -> None:
    with models.place(sys.executable) as place, place.replica(models.package(place, case)) as replica:
        reason = replica.wait_for_exit()["reason"]
        assert "library mlflow is not installed in this package's environment; add it to requirements.txt" in reason
