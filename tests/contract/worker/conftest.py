from collections.abc import Iterator

import pytest

from tests.contract.worker.replica_harness import Place, a_place


@pytest.fixture
def place() -> Iterator[Place]:
    with a_place() as made:
        yield made
