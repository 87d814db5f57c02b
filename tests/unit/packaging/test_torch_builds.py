"""Which build of PyTorch an environment gets: what its requirements say, in the words that uv is given."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from modelyard_worker.packages import EnvironmentSpec, Package

from modelyard.errors import StartFailed
from modelyard.packaging.environments import Environments, resolve, torch_backend
from modelyard.packaging.frameworks import ALGORITHM_REQUIREMENTS, DEFAULT_REQUIREMENTS, Framework
from modelyard.packaging.images import write_context
from modelyard.packaging.installer import Installer

CPU = ["--torch-backend", "cpu"]
LOCK = "# torch-backend: cpu\ntorch==2.9.0+cpu\n"


class ToldInstaller:
    """Keeps what it is told in place of running uv."""

    def __init__(self, *, reaches_torch: bool = True) -> None:
        self.told: list[list[str]] = []
        self._reaches_torch = reaches_torch

    async def run(self, words: Sequence[str], *_rest: object) -> str:
        self.told.append(list(words))
        if "--torch-backend" not in words:
            return "torch==2.9.0\n"
        if not self._reaches_torch:
            raise StartFailed("failed to look up its address")
        return "torch==2.9.0+cpu\n"


def resolved(folder: Path, requirements: str, installer: ToldInstaller) -> str:
    (folder / "requirements.txt").write_text(requirements)
    log = folder / "output.log"
    return asyncio.run(resolve(cast("Installer", installer), "requirements.txt", folder, "python", log))


def test_the_defaults_for_pytorch_ask_for_the_build_for_processors(tmp_path: Path) -> None:
    for needed in (DEFAULT_REQUIREMENTS[Framework.PYTORCH], ALGORITHM_REQUIREMENTS["autoencoder"]):
        installer = ToldInstaller()
        assert resolved(tmp_path, "\n".join(needed.lines), installer) == LOCK
        assert [words[-2:] for words in installer.told] == [CPU]


def test_requirements_that_name_no_build_get_the_ordinary_one(tmp_path: Path) -> None:
    installer = ToldInstaller()
    assert resolved(tmp_path, "torch\n", installer) == "torch==2.9.0\n"
    assert "--torch-backend" not in installer.told[0]


def test_where_pytorchs_index_cannot_be_asked_the_log_says_so_and_the_ordinary_build_is_taken(tmp_path: Path) -> None:
    installer = ToldInstaller(reaches_torch=False)
    assert resolved(tmp_path, "# torch-backend: cpu\ntorch\n", installer) == "torch==2.9.0\n"
    assert "taking the registry's own" in (tmp_path / "output.log").read_text()


def test_a_lock_is_installed_from_where_it_was_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (tmp_path / "requirements.lock").write_text(LOCK)
    spec = EnvironmentSpec(None, "requirements.txt", "", "requirements.lock")
    told: list[list[str]] = []

    async def run(_: Installer, words: Sequence[str], *_rest: object) -> str:
        told.append(list(words))
        if words[0] == "venv":
            await asyncio.to_thread(Path(words[-1]).mkdir)
        return ""

    monkeypatch.setattr(Installer, "run", run)
    package = Package(str(tmp_path), None, None, [], spec)
    asyncio.run(Environments(tmp_path / "environments").ensure(package, "build", lambda _: None))
    (sync,) = [words for words in told if words[:2] == ["pip", "sync"]]
    assert sync[4:6] == CPU


@pytest.mark.parametrize("line", ["# torch-backend: ../x", "#torch-backend:cpu --index x", "torch-backend: cpu"])
def test_any_other_line_is_a_comment(line: str) -> None:
    assert torch_backend(f"{line}\ntorch\n") == []


def test_the_image_of_such_a_package_is_installed_by_uv(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    write_context(tmp_path / "context", Package(str(package), None, None, [], None), "3.12.1", LOCK)
    lines = (tmp_path / "context" / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("RUN ") and "--torch-backend cpu -r requirements.lock" in line for line in lines)
