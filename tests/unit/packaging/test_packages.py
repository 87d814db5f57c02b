"""Packages in the real artifact store."""

import json
from pathlib import Path

import pytest
from modelyard_worker.packages import read_package

from modelyard.errors import InvalidValue
from modelyard.packaging.package import build_package
from modelyard.store.artifacts import FileArtifacts

UBJ = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner"
PREDICTOR = {"path": "predictor.py", "class": None, "config": {"b": 1, "a": [True, None]}, "python_path": "src"}


@pytest.fixture
def artifacts(tmp_path: Path) -> FileArtifacts:
    return FileArtifacts(tmp_path / "artifacts")


def tree(artifacts: FileArtifacts, folder: Path, **files: bytes) -> str:
    for path, content in files.items():
        place = folder / path.replace("__", "/").replace("_DOT_", ".")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return artifacts.put_folder(folder)


@pytest.fixture
def code(artifacts: FileArtifacts, tmp_path: Path) -> str:
    return tree(artifacts, tmp_path / "code", predictor_DOT_py=b"class Predictor: ...", src__help_DOT_py=b"")


@pytest.fixture
def model(artifacts: FileArtifacts, tmp_path: Path) -> str:
    return tree(artifacts, tmp_path / "model", model_DOT_ubj=UBJ, metrics_DOT_json=b'{"rmse": 1}')


def test_a_worker_reads_what_was_built(artifacts: FileArtifacts, code: str, model: str, tmp_path: Path) -> None:
    digest = build_package(
        artifacts, predictor=PREDICTOR, code_tree=code, model_tree=model, model_name="price", model_version=3
    )
    artifacts.lay_out(digest, tmp_path / "out", share=True)
    package = read_package(str(tmp_path / "out"))
    assert package.predictor is not None
    assert package.model is not None
    assert package.predictor.config == PREDICTOR["config"]
    assert (package.model.name, package.model.version, package.model.framework) == ("price", 3, "xgboost")
    assert package.libraries == ["xgboost"]
    assert Path(str(package.model_path)).read_bytes() == UBJ
    assert (Path(package.code_folder) / "src" / "help.py").exists()


def test_the_same_inputs_give_the_same_digest(artifacts: FileArtifacts, code: str, model: str) -> None:
    turned = {key: PREDICTOR[key] for key in reversed(PREDICTOR)}
    turned["config"] = {"a": [True, None], "b": 1}
    first, second = (
        build_package(artifacts, predictor=one, code_tree=code, model_tree=model) for one in (PREDICTOR, turned)
    )
    assert first == second


def test_code_without_a_predictor_changes_nothing(artifacts: FileArtifacts, code: str, model: str) -> None:
    assert build_package(artifacts, predictor=None, code_tree=code, model_tree=model) == build_package(
        artifacts, predictor=None, code_tree=None, model_tree=model
    )


def test_another_version_of_the_model_is_another_package(artifacts: FileArtifacts, model: str) -> None:
    packages = {
        build_package(
            artifacts, predictor=None, code_tree=None, model_tree=model, model_name="price", model_version=version
        )
        for version in (1, 2)
    }
    assert len(packages) == 2


@pytest.mark.parametrize("path", ["missing.py", "../predictor.py", "/etc/passwd", ""])
def test_a_predictor_that_is_not_in_the_code_is_refused(artifacts: FileArtifacts, code: str, path: str) -> None:
    with pytest.raises(InvalidValue, match="predictor"):
        build_package(artifacts, predictor={"path": path}, code_tree=code, model_tree=None)


def test_a_model_without_loader_and_predictor_is_refused(artifacts: FileArtifacts, tmp_path: Path) -> None:
    net = tree(artifacts, tmp_path / "net", net_DOT_pt=b"PK")
    with pytest.raises(InvalidValue, match="PyTorch"):
        build_package(artifacts, predictor=None, code_tree=None, model_tree=net)


def test_a_predictor_reads_any_model(artifacts: FileArtifacts, code: str, tmp_path: Path) -> None:
    net = tree(artifacts, tmp_path / "net", net_DOT_pt=b"PK")
    digest = build_package(artifacts, predictor=PREDICTOR, code_tree=code, model_tree=net)
    document = next(one for one in artifacts.tree(digest) if one.path == "package.json")
    assert json.loads(artifacts.read(document.sha256))["model"]["framework"] is None


def test_nothing_to_run_is_refused(artifacts: FileArtifacts) -> None:
    with pytest.raises(InvalidValue, match="neither a model nor a predictor"):
        build_package(artifacts, predictor=None, code_tree=None, model_tree=None)


def test_a_config_that_json_cannot_say_is_refused(artifacts: FileArtifacts, code: str) -> None:
    predictor = {"path": "predictor.py", "config": {"x": float("nan")}}
    with pytest.raises(InvalidValue, match="JSON"):
        build_package(artifacts, predictor=predictor, code_tree=code, model_tree=None)
