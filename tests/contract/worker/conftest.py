from collections.abc import Iterator

import pytest
from modelyard_worker.loaders import loaders

from tests.contract.worker.replica_harness import Place, Template, a_place


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made


@pytest.fixture(scope="session")
def template() -> Iterator[Template]:
    """One for all tests that do not ask how a replica came to be, with every library imported."""
    with a_place() as made, made.template() as template:
        libraries = {name for loader in loaders().values() for name in loader.libraries} | {"pydantic"}
        assert template.command("import", libraries=sorted(libraries))["ok"]
        yield template
