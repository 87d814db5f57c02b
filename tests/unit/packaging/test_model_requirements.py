"""What a bare model requires of its environment."""

import json
from pathlib import Path

import pytest

from modelyard.packaging.package import build_package
from modelyard.store.artifacts import FileArtifacts


@pytest.fixture
def artifacts(tmp_path: Path) -> FileArtifacts:
    return FileArtifacts(tmp_path / "artifacts")


def package_of(artifacts: FileArtifacts, folder: Path, **files: bytes) -> str:
    """A bare model of these files, packaged."""
    for path, content in files.items():
        place = folder / path.replace("_DOT_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return build_package(artifacts, predictor=None, code_tree=None, model_tree=artifacts.put_folder(folder))


def environment_of(artifacts: FileArtifacts, package: str) -> tuple[dict[str, str] | None, str]:
    """What the package asks for, and its requirements.txt."""
    files = {one.path: one for one in artifacts.tree(package)}
    document = json.loads(artifacts.read(files["package.json"].sha256))
    asked = files.get("code/requirements.txt")
    return document.get("environment"), artifacts.read(asked.sha256).decode() if asked else ""


@pytest.fixture
def yard_without_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another environment happens to have must not decide here."""
    monkeypatch.setattr("modelyard.packaging.package.find_spec", lambda _module: None)


@pytest.mark.usefixtures("yard_without_guests")
def test_a_bare_model_that_the_yard_cannot_load_asks_for_its_library(artifacts: FileArtifacts, tmp_path: Path) -> None:
    package = package_of(artifacts, tmp_path / "trees", model_DOT_lgb=b"tree\n")
    environment, requirements = environment_of(artifacts, package)
    assert environment == {"python": None, "kind": "requirements.txt", "folder": "", "lock": None}
    assert requirements == "lightgbm>=4\nscikit-learn\n"


def test_a_bare_model_that_the_yard_can_load_runs_in_its_environment(artifacts: FileArtifacts, tmp_path: Path) -> None:
    package = package_of(artifacts, tmp_path / "trees", model_DOT_ubj=b"{L")
    assert environment_of(artifacts, package) == (None, "")


@pytest.mark.usefixtures("yard_without_guests")
def test_requirements_beside_a_bare_model_count(artifacts: FileArtifacts, tmp_path: Path) -> None:
    package = package_of(
        artifacts, tmp_path / "own", model_DOT_lgb=b"tree\n", requirements_DOT_txt=b"lightgbm==4.6.0\n"
    )
    assert environment_of(artifacts, package)[1] == "lightgbm==4.6.0\n"
