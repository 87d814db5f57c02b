"""GPUs that are there, and who gets which."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.engines.local.gpus import free_gpus, gpus, visible

INFORMATION = """Model: \t\t NVIDIA A10
IRQ:   \t\t 33
GPU UUID: \t {uuid}
Video BIOS: \t 94.02
Device Minor: \t {minor}
"""


def put_gpu(root: Path, minor: int, uuid: str | None = None) -> None:
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev" / f"nvidia{minor}").touch()
    if uuid is not None:
        folder = root / "proc" / "driver" / "nvidia" / "gpus" / f"0000:0{minor}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(INFORMATION.format(uuid=uuid, minor=minor))


def test_a_machine_without_a_driver_has_none(tmp_path: Path) -> None:
    assert gpus(tmp_path) == ()


def test_gpus_are_known_by_what_does_not_change_and_only_those_with_a_device(tmp_path: Path) -> None:
    put_gpu(tmp_path, 1, "GPU-b")
    put_gpu(tmp_path, 0, "GPU-a")
    put_gpu(tmp_path, 2)
    (tmp_path / "dev" / "nvidiactl").touch()
    (tmp_path / "dev" / "nvidia1").unlink()
    assert gpus(tmp_path) == ("GPU-a", "2")


@pytest.mark.parametrize(
    ("every", "given_", "variables"),
    [
        ((), [], {}),
        (("GPU-a",), [], {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"}),
        (("a", "b"), ["b"], {"CUDA_VISIBLE_DEVICES": "b", "NVIDIA_VISIBLE_DEVICES": "b"}),
    ],
)
def test_a_process_sees_what_it_was_given(every: tuple[str, ...], given_: list[str], variables: dict[str, str]) -> None:
    assert visible(every, given_) == variables


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.lists(st.sampled_from("abcdef")))
def test_nobody_gets_what_somebody_has(every: list[str], taken: list[str]) -> None:
    free = free_gpus(every, taken)
    assert not set(free) & set(taken)
    assert set(free) | (set(taken) & set(every)) == set(every)
