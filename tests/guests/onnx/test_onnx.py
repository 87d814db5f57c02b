"""ONNX models, served by ONNX Runtime."""

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("onnx", tmp_path_factory.mktemp("onnx"))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("case", ["regression", "classes", "several-inputs", "one-row-at-a-time"])
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


@pytest.mark.parametrize("framework", ["xgboost", "keras"])
def test_it_is_named_where_it_is_loaded_as_something_else(models: ModelFiles, framework: str) -> None:
    reason = models.refusal("regression", framework)
    assert f"model.onnx is an ONNX model; it does not load as {framework}, but as onnx" in reason


def test_inputs_that_do_not_fit_are_refused_by_name(models: ModelFiles) -> None:
    with models.place() as place, place.replica(models.package(place, "several-inputs")) as replica:
        client = replica.connect()
        mask = [[1, 1, 1]]
        for ids, told in (
            ([[1, 2]], "input ids: a row of it has shape (3)"),
            ([[1, 2.5, 3]], "input ids: it takes whole numbers (int64)"),
            ([["1", "2", "3"]], "input ids: it is not of numbers"),
            ([[1, 2, 3], [4, 5]], "input ids: its rows have different lengths"),
            ([[1, 2, 3], [4, 5, 6]], "inputs have different numbers of rows (ids has 2, mask has 1)"),
        ):
            refused = client.ask({"inputs": {"ids": ids, "mask": mask}})
            assert (refused.status, refused.meta["error"]) == (400, "invalid_value"), refused.meta
            assert told in refused.meta["message"]


def test_several_outputs_are_an_object_of_lists_or_a_row_of_csv(models: ModelFiles) -> None:
    with models.place() as place, place.replica(models.package(place, "classes")) as replica:
        client = replica.connect()
        rows = models.cases["classes"]["ask"]
        (label,), (shares,) = client.ask(rows[:1], accept="application/json").json.values()
        cells = bytes(client.ask(rows[:1], accept="text/csv").body).decode().strip().split(",")
        assert label == int(cells[0]) == 0
        assert list(map(float, cells[1:])) == pytest.approx(list(shares.values()))
        assert client.ask(rows, accept="application/x-npy").status == 406


def test_a_damaged_file_is_refused_with_the_librarys_words(models: ModelFiles) -> None:
    with models.place() as place:
        package = models.package(place, "regression")
        (package / "model" / "model.onnx").write_bytes(b"\x08\x08\x12\x01x" + b"\xff" * 40)
        with place.replica(package) as replica:
            assert "ONNX Runtime 1." in replica.wait_for_exit()["reason"]
