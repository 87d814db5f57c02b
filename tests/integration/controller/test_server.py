"""The controller's socket, over a real one."""

import asyncio
import json
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from modelyard.controller.server import Server
from modelyard.protocol.table import EndpointEntry
from modelyard.settings import Home
from tests.unit.controller.stage import Stage

LIMIT_SECONDS = 10.0

IRIS = EndpointEntry(
    "iris", 1, (), None, max_queue_length=1, max_queue_bytes=1, timeout_seconds=1.0, max_body_bytes=1, idempotent=True
)


class Peers:
    """A server with what it was told, and connections to it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "controller.sock"
        stage = Stage(Home(folder))
        self.publisher = stage.controller.publisher
        self.pokes = 0
        self.stuck: list[tuple[str, float]] = []
        self.server = Server(
            self.publisher,
            self._poke,
            lambda replica, seconds: self.stuck.append((replica, seconds)),
            stage.controller.autoscaler,
            stage.controller.metrics,
            stage.controller.idleness,
            stage.controller.access,
            stage.controller.shadows,
        )
        self._writers: list[asyncio.StreamWriter] = []

    def _poke(self) -> None:
        self.pokes += 1

    async def say(self, *messages: Any) -> asyncio.StreamReader:
        """A new connection that says these; text is sent as it is."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        self._writers.append(writer)
        for message in messages:
            writer.write((message if isinstance(message, str) else json.dumps(message)).encode() + b"\n")
        return reader

    async def hear(self, reader: asyncio.StreamReader) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT_SECONDS):
            return json.loads(await reader.readline())

    async def let_go(self, reader: asyncio.StreamReader) -> None:
        async with asyncio.timeout(LIMIT_SECONDS):
            assert await reader.read() == b""

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()
        self.server.close()


Tell = Callable[[Callable[[Peers], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def tell(tmp_path: Path) -> Tell:
    async def with_peers(story: Callable[[Peers], Coroutine[Any, Any, None]]) -> None:
        peers = Peers(tmp_path)
        peers.path.touch()  # what a dead controller left
        await peers.server.listen(peers.path)
        try:
            await story(peers)
        finally:
            await peers.close()

    return lambda story: asyncio.run(with_peers(story))


def test_the_socket_is_its_owners_alone(tell: Tell) -> None:
    async def story(peers: Peers) -> None:
        assert stat.S_IMODE(peers.path.stat().st_mode) == 0o600

    tell(story)


def test_a_gateway_gets_the_snapshot_and_then_what_changes(tell: Tell) -> None:
    async def story(peers: Peers) -> None:
        gateway = await peers.say({"type": "gateway", "id": "0a1b2c3d"})
        assert (await peers.hear(gateway))["type"] == "snapshot"
        assert (await peers.hear(gateway))["type"] == "credentials"
        peers.publisher.publish({"iris": IRIS})
        delta = await peers.hear(gateway)
        assert (delta["type"], delta["delta"]["number"]) == ("delta", 1)

    tell(story)


def test_pokes_and_reports_are_taken_from_anyone(tell: Tell) -> None:
    async def story(peers: Peers) -> None:
        gateway = await peers.say(
            {"type": "poke"},
            {"type": "stuck", "replica": "iris-1-aa", "seconds": 75.0},
            {"type": "of tomorrow"},
            {"type": "gateway"},
        )
        await peers.hear(gateway)
        assert (peers.pokes, peers.stuck) == (1, [("iris-1-aa", 75.0)])

    tell(story)


@pytest.mark.parametrize(
    "nonsense", ["{half", "[1, 2]", {"type": "stuck"}, {"type": "stuck", "replica": 1, "seconds": {}}]
)
def test_a_peer_that_cannot_be_understood_is_let_go_and_nobody_else(tell: Tell, nonsense: Any) -> None:
    async def story(peers: Peers) -> None:
        other = await peers.say({"type": "gateway"})
        assert [(await peers.hear(other))["type"] for _ in range(2)] == ["snapshot", "credentials"]
        await peers.let_go(await peers.say(nonsense))
        peers.publisher.publish({"iris": IRIS})
        assert (await peers.hear(other))["type"] == "delta"

    tell(story)
