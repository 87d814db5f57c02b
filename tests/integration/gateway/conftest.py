"""A real gateway process in front of replicas that do what the test says."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelyard.protocol.table import EndpointEntry, HostEntry, Table, host_key, table_document
from modelyard.settings import Home
from tests.integration.gateway.scripted_replica import ScriptedReplica

ENTRY = EndpointEntry(
    name="Price",
    version=1,
    replicas=(),
    max_in_flight=None,
    max_queue_length=2,
    max_queue_bytes=1_000_000,
    timeout_seconds=20.0,
    max_body_bytes=20 * 2**20,
    idempotent=True,
)


class GatewayProcess:
    def __init__(self, home: Home) -> None:
        self.home = home
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._log = (home.logs / "gateway.log").open("ab")
        self._connections: list[socket.socket] = []

    def start(
        self,
        *entries: EndpointEntry,
        hosts: Sequence[HostEntry] = (),
        more: Sequence[str] = (),
        keep: Sequence[socket.socket] = (),
    ) -> Any:
        """`more` are further options of its command, `keep` further sockets that it inherits."""
        self._number += 1
        origins = {host_key(one.kind, one.name): one for one in hosts}
        table = Table(self._number, {entry.name.lower(): entry for entry in entries}, origins)
        self.home.table.write_text(json.dumps(table_document(table)))
        descriptor = self.listening.fileno()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "modelyard.processes.gateway",
                "--home",
                str(self.home.root),
                "--fd",
                str(descriptor),
                *more,
            ],
            pass_fds=(descriptor, *(one.fileno() for one in keep)),
            stderr=self._log,
        )
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            if httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200:
                return self
            time.sleep(0.02)
        raise AssertionError("the gateway did not become ready")

    def post(self, body: Any = b"{}", **more: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/endpoints/price/invocations", content=body, timeout=15, **more)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        self._connections.append(connection)
        return connection

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        for one in (*self._connections, self.listening, self._log):
            one.close()


@pytest.fixture
def home() -> Iterator[Home]:
    root = Path(tempfile.mkdtemp(prefix="gw-"))
    one = Home(root)
    one.make()
    one.make_sockets()
    one.key.write_text("secret-key\n")
    yield one
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def gateway(home: Home) -> Iterator[GatewayProcess]:
    one = GatewayProcess(home)
    yield one
    one.stop()


@pytest.fixture
def replica_at(home: Home) -> Iterator[Callable[..., ScriptedReplica]]:
    made: list[ScriptedReplica] = []

    def make(name: str = "r1", **more: Any) -> ScriptedReplica:
        made.append(ScriptedReplica(home.replica_sockets, name, **more))
        return made[-1]

    yield make
    for one in made:
        one.die()


@pytest.fixture
def serving(gateway: GatewayProcess, replica_at: Callable[..., ScriptedReplica]) -> Callable[..., Any]:
    """Starts the gateway in front of these replicas; `more` are fields of the table's entry."""

    def start(*replicas: ScriptedReplica, **more: Any) -> GatewayProcess:
        entry = replace(ENTRY, replicas=tuple(one.address for one in replicas), **more)
        gateway.start(entry)
        for one in replicas:
            assert one.greeted.wait(10)
        return gateway

    return start
