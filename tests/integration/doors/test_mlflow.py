"""Who is let in to the tracking server, before anything is handed on to it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from modelyard.domain.disk import Disk
from modelyard.doors.mlflow import MlflowDoor
from modelyard.doors.tracking_server import TrackingServer
from modelyard.settings import Home
from modelyard.store.memory import MemoryStore

BROWSER = {"accept": "text/html,application/xhtml+xml"}

Get = Callable[[str, dict[str, str]], httpx.Response]


@pytest.fixture
def get(tmp_path: Path) -> Get:
    store = MemoryStore()
    room = Disk(free_bytes=2**40, total_bytes=2**40, limit_bytes=0)
    server = TrackingServer(Home(tmp_path), None)
    door = MlflowDoor(server, store.keys, store.runs, lambda: "k" * 43, lambda: room, lambda _: None)

    async def ask(path: str, headers: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="http://yard") as client:
            return await client.get(path, headers=headers)

    return lambda path, headers: asyncio.run(ask(path, headers))


def test_a_browser_without_a_session_is_sent_to_the_login_and_back(get: Get) -> None:
    answer = get("/mlflow/", BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/login?next=/mlflow/")


@pytest.mark.parametrize("headers", [{}, {**BROWSER, "authorization": "Bearer wrong"}])
def test_a_client_without_the_key_is_told_so(get: Get, headers: dict[str, str]) -> None:
    answer = get("/mlflow/api/2.0/mlflow/experiments/search", headers)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")
