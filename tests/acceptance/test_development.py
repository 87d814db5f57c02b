"""`modelyard dev` as somebody uses it who saves, breaks and mends; what was deployed to stay notices nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.errors import NotFound
from tests.acceptance.yard import LIMIT_SECONDS, Yard, eventually

pytestmark = pytest.mark.acceptance

APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"page 1"})
"""
PREDICTOR = "class Predictor:\n    def predict(self, payload):\n        return [payload, 1]\n"
HANDLER = "def handler(event, context):\n    return ['function', 1]\n"
FILE = """
- {name: board, kind: app, app: 'board:app', access: login, hosts: [board.example.org]}
- {name: price, predictor: {path: price.py}, autoscaling: {min_replicas: 2}}
- {name: mail, kind: function, handler: mail.handler}
"""


class Session:
    """The command, and its lines as they come."""

    def __init__(self, yard: Yard, file: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modelyard.cli.main", "dev", str(file), "-o", "json"],
            env={**os.environ, "MODELYARD_HOME": str(yard.home)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ended(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(LIMIT_SECONDS)


@contextmanager
def session(yard: Yard, file: Path) -> Generator[Session]:
    one = Session(yard, file)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


def live(line: dict[str, Any]) -> dict[str, bool]:
    return {one["name"]: one["version"] == one["serving_version"] for one in line["endpoints"]}


def test_a_save_is_live_a_mistake_is_told_and_the_end_leaves_nothing(yard: Yard, project: Callable[..., Path]) -> None:
    file = project(FILE, board__py=APP, price__py=PREDICTOR, mail__py=HANDLER)
    folder, client = file.parent, yard.client()
    client.deploy(file)
    assert client.wait_endpoint("price").state == "live"

    def ask() -> Any:
        return client.predict("price-dev", 5)

    def page() -> str:
        headers = {"host": "board-dev.localhost", "authorization": f"Bearer {yard.key}"}
        return httpx.get(yard.url, headers=headers).text

    with session(yard, file) as dev:
        assert live(dev.line()) == {"board-dev": True, "price-dev": True, "mail-dev": True}
        assert (ask(), page()) == ([5, 1], "page 1")
        assert len(yard.replicas("price-dev")) == 1

        (folder / "price.py").write_text(PREDICTOR.replace("1]", "2]"))
        (folder / "board.py").write_text(APP.replace("page 1", "page 2"))
        line = dev.line()
        assert line["changed"] == ["board.py", "price.py"]
        assert all(live(line).values())
        assert (ask(), eventually(lambda: page() == "page 2")) == ([5, 2], True)

        (folder / "price.py").write_text("import nothing_of_that_name\n")
        line = dev.line()
        assert live(line) == {"board-dev": True, "price-dev": False, "mail-dev": True}
        assert "nothing_of_that_name" in next(one["reason"] for one in line["endpoints"] if one["name"] == "price-dev")
        assert ask() == [5, 2]

        file.write_text(FILE.replace("predictor:", "preditcor:"))
        assert "did you mean predictor" in str(dev.line()["error"])
        assert ask() == [5, 2]

        (folder / "price.py").write_text(PREDICTOR.replace("1]", "3]"))
        file.write_text(FILE.rpartition("- ")[0])
        assert live(dev.line()) == {"board-dev": True, "price-dev": True}
        assert ask() == [5, 3]

        assert dev.ended() == 0
        assert dev.line() == {"deleted": ["board-dev", "price-dev"]}

    for name in ("board-dev", "price-dev", "mail-dev"):
        eventually(lambda name=name: is_gone(yard, name), saying=f"{name} is gone")
    for name in ("board", "price", "mail"):
        assert client.endpoint(name).wished_version == 1
    assert client.predict("price", 5) == [5, 1]


def is_gone(yard: Yard, name: str) -> bool:
    try:
        yard.client().endpoint(name)
    except NotFound:
        return True
    return False
