"""How a replica leaves: it says so, finishes what it holds, and is gone when nobody needs it."""

import os
import signal
import time
from pathlib import Path

import pytest
from modelyard_worker import frames

from tests.contract.worker.replica_harness import Place, wait_until

SLOW = """
import os
import time

class Predictor:
    def __init__(self, config):
        pass

    def predict(self, payload):
        if payload == "wait":
            open("waiting", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.001)
        return payload
"""


def test_what_is_held_is_finished_before_it_leaves(place: Place) -> None:
    package = place.package(SLOW)
    with place.replica(package, threads=2) as replica:
        client = replica.connect()
        stream = client.request(b'"wait"')
        wait_until((package / "code" / "waiting").exists, "the call")
        replica.tell_to_leave()
        assert client.take().type == frames.GOAWAY
        # What was on its way when it said so is served too.
        assert client.ask("late").json == "late"
        (package / "code" / "go").touch()
        assert client.answers([stream])[stream].json == "wait"
        assert replica.exit is None
        client.close()
        found = replica.wait_for_exit()
        assert (found["code"], found["by"]) == (0, "stop")
        assert replica.process is not None
        assert replica.process.wait(10) == 0
        assert not Path(replica.socket).exists()


def test_a_replica_that_nobody_ever_asked_leaves_at_once(place: Place) -> None:
    with place.replica(place.package(SLOW), stop_socket_seconds=60.0) as replica:
        client = replica.connect()
        assert client.probe() == {"ok": True}
        client.close()
        began = time.monotonic()
        replica.tell_to_leave()
        replica.wait_for_exit()
        assert time.monotonic() - began < 30


def test_a_gateway_that_has_not_heard_is_still_answered(place: Place) -> None:
    with place.replica(place.package(SLOW), stop_socket_seconds=5.0) as replica:
        client = replica.connect()
        client.ask(1)
        client.close()
        replica.tell_to_leave()
        late = replica.connect()
        assert late.take().type == frames.GOAWAY
        assert late.ask(2).json == 2
        late.close()
        assert replica.wait_for_exit()["code"] == 0


def test_a_replica_waits_for_a_gateway_only_so_long(place: Place) -> None:
    with place.replica(place.package(SLOW), stop_socket_seconds=0.2) as replica:
        client = replica.connect()
        client.ask(1)
        client.close()
        replica.tell_to_leave()
        assert replica.wait_for_exit()["code"] == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_draining_has_an_end(place: Place, threads: int) -> None:
    package = place.package(SLOW)
    with place.replica(package, threads=threads, drain_seconds=0.2) as replica:
        client = replica.connect()
        if threads == 2:
            client.request(b'"wait"')
            wait_until((package / "code" / "waiting").exists, "the call")
        replica.tell_to_leave()
        found = replica.wait_for_exit()
        assert (found["code"], found["reason"]) == (0, "left after 0.2 s")
        assert replica.process is not None
        assert replica.process.wait(10) == 0


def test_an_interrupt_from_a_terminal_is_not_for_it(place: Place) -> None:
    with place.replica(place.package(SLOW)) as replica:
        client = replica.connect()
        client.ask(1)
        os.kill(replica.pid, signal.SIGINT)
        assert client.ask(2).json == 2


def test_being_told_twice_is_being_told_once(place: Place) -> None:
    with place.replica(place.package(SLOW)) as replica:
        client = replica.connect()
        replica.tell_to_leave()
        assert client.take().type == frames.GOAWAY
        replica.tell_to_leave()
        assert client.ask(1).json == 1
        client.close()
        replica.wait_for_exit()


def test_a_call_that_never_returns_does_not_hold_a_replica_whose_gateways_are_gone(place: Place) -> None:
    package = place.package(SLOW)
    with place.replica(package, threads=2) as replica:
        client = replica.connect()
        client.request(b'"wait"')
        wait_until((package / "code" / "waiting").exists, "the call")
        replica.tell_to_leave()
        assert client.take().type == frames.GOAWAY
        client.close()
        assert replica.wait_for_exit()["code"] == 0
        assert replica.process is not None
        assert replica.process.wait(10) == 0
