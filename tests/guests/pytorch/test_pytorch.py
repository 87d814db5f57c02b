"""TorchScript and exported programs, served by PyTorch's build for processors."""

import pytest

from tests.guests.model_files import TEST_SECONDS, ModelFiles, check_fresh_and_forked, make_models

pytestmark = [pytest.mark.environments, pytest.mark.timeout(TEST_SECONDS)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return make_models("pytorch", tmp_path_factory.mktemp("pytorch"), by_pip="torch==2.13.0")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "case", ["torchscript", "torchscript-image", "exported", "exported-one-row", "exported-two-inputs"]
)
def test_a_model_answers_what_the_library_answers_fresh_and_forked(models: ModelFiles, case: str, threads: int) -> None:
    check_fresh_and_forked(models, case, threads)


def test_a_state_dict_is_refused_because_it_has_no_code(models: ModelFiles) -> None:
    reason = models.refusal("state-dict", "pytorch")
    assert "weights.pt: it is a PyTorch file as torch.save writes it, which has no code" in reason
    assert "torch.jit.save or torch.export.save" in reason
