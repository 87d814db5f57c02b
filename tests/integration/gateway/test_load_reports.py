"""What a gateway tells the controller of its load: at once where a request waits to be woken, else in turn."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from modelyard.protocol.messages import Load, loads_from
from modelyard.protocol.table import EndpointEntry, HostEntry, Table, host_key, table_document
from modelyard.settings import Home
from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import ScriptedReplica


class ScriptedController:
    """Listens where a controller would; `tell` publishes a table, `load` waits for a report."""

    def __init__(self, home: Home) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(home.controller_socket))
        self._listening.listen()
        self._listening.settimeout(15)
        self._number = 100
        self._connection: socket.socket | None = None
        self._reading: Any = None

    def accept(self) -> "ScriptedController":
        self._connection, _ = self._listening.accept()
        self._connection.settimeout(15)
        self._reading = self._connection.makefile("rb")
        assert self._next()["type"] == "gateway"
        return self

    def tell(self, *entries: EndpointEntry, hosts: Sequence[HostEntry] = ()) -> None:
        self._number += 1
        origins = {host_key(one.kind, one.name): one for one in hosts}
        table = Table(self._number, {entry.name.lower(): entry for entry in entries}, origins)
        self.say({"type": "snapshot", "table": table_document(table)})

    def load(self, until: Callable[[Load], bool]) -> Load:
        """The first report on the endpoint for which this holds."""
        while True:
            found = loads_from(self.message("load"))["price"]
            if until(found):
                return found

    def say(self, message: dict[str, Any]) -> None:
        assert self._connection is not None
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def message(self, *kinds: str) -> dict[str, Any]:
        """The first of one of these kinds."""
        while True:
            message = self._next()
            if message["type"] in kinds:
                return message

    def _next(self) -> dict[str, Any]:
        return json.loads(self._reading.readline())

    def leave(self) -> None:
        if self._connection is not None:
            # The file shares the socket; only a shutdown reaches the other side while it is open.
            self._connection.shutdown(socket.SHUT_RDWR)
            self._reading.close()
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        self.leave()
        self._listening.close()


@pytest.fixture
def controller(home: Home) -> Iterator[ScriptedController]:
    one = ScriptedController(home)
    yield one
    one.close()


@pytest.fixture
def clients() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_a_request_to_an_endpoint_without_replicas_is_reported_held_and_answered_when_one_is_there(
    gateway: GatewayProcess,
    controller: ScriptedController,
    replica_at: Callable[..., ScriptedReplica],
    clients: ThreadPoolExecutor,
) -> None:
    gateway.start(ENTRY)
    controller.accept()
    pending = clients.submit(gateway.post)
    load = controller.load(lambda one: one.queued == 1)
    assert (load.in_flight, load.arrivals, load.max_in_flight) == (0, 1, None)
    replica = replica_at()
    controller.tell(replace(ENTRY, replicas=(replica.address,)))
    replica.answer(replica.next_request(), b"7")
    assert pending.result().content == b"7"


def test_a_controller_that_comes_later_hears_at_once_who_waits(
    gateway: GatewayProcess, controller: ScriptedController, clients: ThreadPoolExecutor
) -> None:
    gateway.start(replace(ENTRY, timeout_seconds=5.0))
    controller.accept()
    clients.submit(gateway.post)
    assert controller.load(lambda one: one.queued == 1)
    controller.leave()
    assert controller.accept().load(lambda _one: True).queued == 1


def test_a_load_is_reported_until_it_has_come_to_rest_with_what_a_replica_takes(
    gateway: GatewayProcess,
    controller: ScriptedController,
    replica_at: Callable[..., ScriptedReplica],
    clients: ThreadPoolExecutor,
) -> None:
    replica = replica_at(max_in_flight=2)
    gateway.start(replace(ENTRY, replicas=(replica.address,)))
    controller.accept()
    assert replica.greeted.wait(10)
    pending = [clients.submit(gateway.post) for _ in range(3)]
    full = controller.load(lambda one: one.in_flight == 2 and one.queued == 1)
    assert (full.most, full.max_in_flight, full.batches) == (3, 2, True)
    assert controller.load(lambda one: one.least == 3).least == 3
    for _ in pending:
        replica.answer(replica.next_request(), b"7")
    assert {one.result().status_code for one in pending} == {200}
    rest = controller.load(lambda one: not one.in_flight and not one.queued and not one.arrivals)
    assert rest.most <= 3
