"""Projects under DVC, and a yard that is their remote."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import yard
from tests.acceptance.yard import Yard
from tests.guests.dvc.project import DVC, Project

REMOTE = "houses"

__all__ = ["yard"]
"""A fixture: pytest finds it by its name here."""


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    if not DVC.exists():
        pytest.skip("`tests/guests/dvc/run` builds the environment with DVC")


@pytest.fixture
def project(yard: Yard, tmp_path: Path) -> Project:
    """A project with the yard as its remote."""
    one = Project(tmp_path / "project").begin()
    one.use_remote(f"{yard.url}/dvc/{REMOTE}", yard.key)
    return one


@pytest.fixture
def clone(yard: Yard, project: Project, tmp_path: Path) -> Callable[[], Project]:
    """Another work tree of the project, on a machine that has none of its data."""

    def make() -> Project:
        other = Project(tmp_path / "clone")
        project.git("clone", "--quiet", str(project.folder), str(other.folder))
        other.give_key(yard.key)
        return other

    return make
