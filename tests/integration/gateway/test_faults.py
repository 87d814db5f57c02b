"""A wire between gateway and replica that delays, trickles, cuts and ends: requests come through, or go elsewhere."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self

import pytest

from modelyard.settings import Home
from tests.acceptance.fault_proxy import CUT_ANSWER, NONE, SLOW, TRICKLE, Fault, FaultProxy
from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import ScriptedReplica

ReplicaAt = Callable[..., ScriptedReplica]
HELLO_BYTES = 200
"""A replica's greeting is longer than this."""


class Answering:
    """Answers what a scripted replica gets with what was sent, for as long as the block lasts."""

    def __init__(self, replica: ScriptedReplica) -> None:
        self.answered = 0
        self._replica = replica
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(5)

    def _run(self) -> None:
        pause = threading.Event()
        while not self._ended.is_set():
            if not self._replica.waiting():
                pause.wait(0.002)
                continue
            request = self._replica.next_request()
            try:
                self._replica.answer(request, request.body)
            except OSError:
                continue
            self.answered += 1


def serve(gateway: GatewayProcess, home: Home, *replicas: ScriptedReplica) -> None:
    """The first replica is reached through the proxy, the others as they are."""
    first, *others = (one.address for one in replicas)
    proxied = replace(first, socket=str(home.replica_sockets / "proxy.s"))
    gateway.start(replace(ENTRY, replicas=(proxied, *others), max_queue_length=100))


def ask_many(gateway: GatewayProcess, count: int = 24) -> list[tuple[int, Any]]:
    def ask(number: int) -> tuple[int, Any]:
        answer = gateway.post(json.dumps({"n": number, "fill": "x" * (number * 100)}).encode())
        return answer.status_code, answer.json().get("n")

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, range(count)))


@pytest.mark.parametrize("fault", [SLOW, TRICKLE], ids=lambda fault: fault.name)
def test_frames_that_come_late_or_in_crumbs_are_put_together(
    gateway: GatewayProcess, home: Home, replica_at: ReplicaAt, fault: Fault
) -> None:
    replica = replica_at(max_in_flight=8)
    with FaultProxy(replica.path, (fault,), at=home.replica_sockets / "proxy.s"), Answering(replica):
        serve(gateway, home, replica)
        assert ask_many(gateway) == [(200, number) for number in range(24)]


@pytest.mark.parametrize(
    "fault",
    [
        CUT_ANSWER,
        Fault("cut among answers", cut_answer_at=HELLO_BYTES + 2000),
        Fault("cut among requests", cut_request_at=HELLO_BYTES + 2000),
        Fault("ends after a request", half_closes=True),
    ],
    ids=lambda fault: fault.name,
)
def test_a_replica_whose_wire_breaks_is_left_to_the_others_and_no_request_fails(
    gateway: GatewayProcess, home: Home, replica_at: ReplicaAt, fault: Fault
) -> None:
    first, second = replica_at("r1", max_in_flight=8), replica_at("r2", max_in_flight=8)
    with (
        FaultProxy(first.path, (fault,), at=home.replica_sockets / "proxy.s") as proxy,
        Answering(first),
        Answering(second) as sound,
    ):
        serve(gateway, home, first, second)
        assert second.greeted.wait(10)
        assert ask_many(gateway) == [(200, number) for number in range(24)]
        assert proxy.befell[fault.name] >= 1
        assert sound.answered > 0


def test_a_replica_is_found_again_when_its_wire_is_whole(
    gateway: GatewayProcess, home: Home, replica_at: ReplicaAt
) -> None:
    replica = replica_at(max_in_flight=8)
    faults = (CUT_ANSWER, CUT_ANSWER, NONE)
    with FaultProxy(replica.path, faults, at=home.replica_sockets / "proxy.s") as proxy, Answering(replica):
        serve(gateway, home, replica)
        assert ask_many(gateway, 10) == [(200, number) for number in range(10)]
        assert proxy.befell["cut answer"] >= 2
