"""Every implementation of the store's ports, so that one suite runs against each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.settings import Home
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.memory import MemoryArtifacts, MemoryStore
from modelyard.store.migrate import migrate
from modelyard.store.ports import Artifacts, Store
from modelyard.store.sqlite import open_store

EVENTS_MAX = 5


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """Databases without content, migrated once for all tests."""
    home = Home(tmp_path_factory.mktemp("migrated"))
    home.make()
    migrate(home)
    return home.databases


@pytest.fixture
def home(tmp_path, migrated) -> Home:
    home = Home(tmp_path / "home")
    home.make()
    for file in migrated.iterdir():
        (home.databases / file.name).write_bytes(file.read_bytes())
    return home


@pytest.fixture(params=["sqlite", "memory"])
def store(request, home) -> Iterator[Store]:
    opened = open_store(home, EVENTS_MAX) if request.param == "sqlite" else MemoryStore(EVENTS_MAX)
    yield opened
    opened.close()


@pytest.fixture(params=["files", "memory"])
def artifacts(request, tmp_path) -> Artifacts:
    return FileArtifacts(tmp_path / "artifacts") if request.param == "files" else MemoryArtifacts()
