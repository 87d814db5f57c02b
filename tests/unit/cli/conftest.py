from collections.abc import Callable, Iterator

import pytest

from modelyard.cli.main import main
from tests.unit.sdk.small_yard import KEY, SmallYard

Run = Callable[..., int]


@pytest.fixture
def yard(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallYard]:
    small = SmallYard()
    server = small.serve()
    monkeypatch.setenv("MODELYARD_URL", small.url)
    monkeypatch.setenv("MODELYARD_API_KEY", KEY)
    yield small
    server.shutdown()
    server.server_close()


@pytest.fixture
def run() -> Run:
    """Types a command: its exit code."""
    return lambda *words: main(list(words))
