from collections.abc import Iterator

import pytest

from modelyard.sdk import Client
from tests.unit.sdk.small_yard import KEY, SmallYard


@pytest.fixture
def yard() -> Iterator[SmallYard]:
    small = SmallYard()
    server = small.serve()
    yield small
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(yard: SmallYard) -> Iterator[Client]:
    with Client(yard.url, KEY) as one:
        yield one
