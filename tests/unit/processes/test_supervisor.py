"""What the supervisor decides without starting anything."""

import socket
from pathlib import Path
from typing import Any

import pytest
from modelyard_worker.records import Identity

from modelyard.domain.hosts import PORTS_MAX
from modelyard.processes.supervisor import (
    RESTART_SECONDS_FIRST,
    RESTART_SECONDS_MAX,
    Supervisor,
    _listen_for_wishes,
    _pause_seconds,
    _written_processes,
)
from modelyard.protocol.wishes import drop_listener, keep_listener
from modelyard.settings import Home, YardSettings


def test_the_wait_before_a_start_doubles_to_its_limit_and_stays_there_for_ever() -> None:
    pauses = [_pause_seconds(failures) for failures in (0, 1, 2, 3, 100, 10_000)]
    assert pauses[:4] == [0.0, RESTART_SECONDS_FIRST, 2 * RESTART_SECONDS_FIRST, 4 * RESTART_SECONDS_FIRST]
    assert pauses[4:] == [RESTART_SECONDS_MAX] * 2


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, []),
        ({"processes": None}, []),
        (
            {"processes": [{"name": "gateway", "boot": "b", "pid": 1, "start": 2}, {"name": "control"}, "nonsense"]},
            [("gateway", Identity("b", 1, 2))],
        ),
    ],
)
def test_of_what_a_dead_supervisor_wrote_only_what_can_be_read_is_adopted(
    document: dict[str, Any], expected: list[tuple[str, Identity]]
) -> None:
    assert _written_processes(document) == expected


def test_what_listens_outlives_whoever_gave_it_to_be_kept_until_it_is_dropped(tmp_path: Path) -> None:
    supervisor = Supervisor(Home(tmp_path), YardSettings())
    path = tmp_path / "asking.sock"
    with _listen_for_wishes(path) as asking:
        supervisor._asking = asking
        with socket.create_server(("127.0.0.1", 0)) as listening:
            address = listening.getsockname()
            assert keep_listener(path, address[1], listening)
        supervisor._hear_wishes()
        socket.create_connection(address, 5).close()
        assert drop_listener(path, address[1])
        supervisor._hear_wishes()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 5)
    assert not drop_listener(path, address[1]), "nobody is there to hear it"


def test_no_more_is_kept_than_can_be_handed_over_at_once(tmp_path: Path) -> None:
    supervisor = Supervisor(Home(tmp_path), YardSettings())
    for port in range(1, PORTS_MAX + 20):
        supervisor._hear_wish(f"keep {port}".encode(), [socket.socket()])
    assert len(supervisor._listeners) == PORTS_MAX
    for port in range(1, PORTS_MAX + 20):
        supervisor._hear_wish(f"drop {port}".encode(), [])
    assert not supervisor._listeners
