"""Projects under DVC, and a yard that is their remote."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import yard
from tests.acceptance.yard import Yard
from tests.guests.dvc.project import Project
from tests.guests.guest_environment import guest_python

REMOTE = "houses"

__all__ = ["yard"]
"""A fixture: pytest finds it by its name here."""


@pytest.fixture(scope="session")
def dvc() -> Path:
    """The command, in an environment of its own."""
    return Path(guest_python("dvc")).with_name("dvc")


@pytest.fixture
def project(yard: Yard, tmp_path: Path, dvc: Path) -> Project:
    """A project with the yard as its remote."""
    one = Project(tmp_path / "project", dvc).begin()
    one.use_remote(f"{yard.url}/dvc/{REMOTE}", yard.key)
    return one


@pytest.fixture
def clone(yard: Yard, project: Project, tmp_path: Path) -> Callable[[], Project]:
    """Another work tree of the project, on a machine that has none of its data."""

    def make() -> Project:
        other = Project(tmp_path / "clone", project.command)
        project.git("clone", "--quiet", str(project.folder), str(other.folder))
        other.give_key(yard.key)
        return other

    return make
