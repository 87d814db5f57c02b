"""What code asks of its environment, by the files beside it."""

import pytest
from modelyard_worker.packages import EnvironmentSpec

from modelyard.errors import InvalidValue
from modelyard.packaging.requirements import requested_environment

PROJECT = b'[project]\nname = "x"\nversion = "0"\ndependencies = ["idna"]\n'
PREDICTOR = "serving/predictor.py"


def asked(python: str | None = None, **files: bytes) -> EnvironmentSpec | None:
    named = {path.replace("__", "/").replace("_DOT_", "."): content for path, content in files.items()}
    return requested_environment(named, named.__getitem__, PREDICTOR, python)


def test_code_that_names_nothing_runs_in_the_environment_of_the_yard() -> None:
    assert asked(serving__predictor_DOT_py=b"") is None


def test_a_project_file_that_is_there_for_its_tools_names_nothing() -> None:
    assert asked(pyproject_DOT_toml=b"[tool.ruff]\nline-length = 100\n") is None


def test_requirements_are_found_in_the_root() -> None:
    assert asked(requirements_DOT_txt=b"idna") == EnvironmentSpec(None, "requirements.txt", "", None)


def test_requirements_beside_the_predictor_come_before_those_of_the_root() -> None:
    found = asked(requirements_DOT_txt=b"idna", serving__requirements_DOT_txt=b"certifi")
    assert found == EnvironmentSpec(None, "requirements.txt", "serving", None)


def test_a_lock_comes_before_requirements_and_those_before_a_project() -> None:
    everything = {"pyproject_DOT_toml": PROJECT, "requirements_DOT_txt": b"idna", "uv_DOT_lock": b"version = 1"}
    kinds: list[str | None] = []
    for left_out in ("", "uv_DOT_lock", "requirements_DOT_txt"):
        everything.pop(left_out, None)
        found = asked(None, **everything)
        assert found is not None
        kinds.append(found.kind)
    assert kinds == ["uv.lock", "requirements.txt", "pyproject.toml"]


def test_the_version_is_the_stated_one_then_that_of_its_file_then_that_of_the_project() -> None:
    project = PROJECT + b'requires-python = ">=3.10"\n'
    by_project = asked(pyproject_DOT_toml=project)
    assert by_project is not None
    assert by_project.python == ">=3.10"
    files = {"pyproject.toml": project, ".python-version": b"# ours\n3.12\n"}
    by_file = requested_environment(files, files.__getitem__, PREDICTOR)
    stated = requested_environment(files, files.__getitem__, PREDICTOR, "3.13")
    assert by_file is not None
    assert stated is not None
    assert (by_file.python, stated.python) == ("3.12", "3.13")


def test_a_version_alone_is_an_environment_too() -> None:
    assert asked(python="3.12") == EnvironmentSpec("3.12", None, "", None)


@pytest.mark.parametrize("version", ["2.7", "three", "3", ">=3.9", "--help", "3.12; import os"])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidValue, match="no version"):
        asked(python=version)
    files = {".python-version": version.encode()}
    with pytest.raises(InvalidValue, match="no version"):
        requested_environment(files, files.__getitem__)


def test_a_project_file_that_is_no_toml_is_refused_with_the_place() -> None:
    with pytest.raises(InvalidValue, match=r"cannot read pyproject\.toml: .*line 1"):
        asked(pyproject_DOT_toml=b"[project\n")
