"""Engines in homes of their own, which leave no process behind."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.settings import Home
from tests.contract.engines.harness import FakeHarness, Harness, LocalHarness, Run, RunLocal


@pytest.fixture
def short_home() -> Iterator[Home]:
    """A home whose path is short enough for sockets in it."""
    root = Path(tempfile.mkdtemp(prefix="yard-"))
    home = Home(root / "home")
    home.make()
    home.make_sockets()
    yield home
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["local", "fake"])
def run(request: pytest.FixtureRequest, short_home: Home, tmp_path: Path) -> Run:
    """Runs a story on a loop of its own with a harness, of each engine in turn."""

    async def with_harness(story: Callable[[Harness], Coroutine[Any, Any, None]]) -> None:
        harness = LocalHarness(short_home, tmp_path) if request.param == "local" else FakeHarness()
        try:
            await story(harness)
        finally:
            await harness.close()

    return lambda story: asyncio.run(with_harness(story))


@pytest.fixture
def run_local(short_home: Home, tmp_path: Path) -> RunLocal:
    """The same with real processes alone."""

    async def with_harness(story: Callable[[LocalHarness], Coroutine[Any, Any, None]]) -> None:
        harness = LocalHarness(short_home, tmp_path)
        try:
            await story(harness)
        finally:
            await harness.close()

    return lambda story: asyncio.run(with_harness(story))
