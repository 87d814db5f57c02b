"""A stage for each story."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from modelyard.settings import Home
from tests.unit.controller.stage import Stage, Tell


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    """Tells a story on a stage of its own, on a loop of its own."""
    home = Home(tmp_path / "home")
    home.make()

    async def on_stage(story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
        stage = Stage(home)
        await story(stage)
        await stage.controller._end()

    return lambda story: asyncio.run(on_stage(story))
