"""What the supervisor decides without starting anything."""

from typing import Any

import pytest
from modelyard_worker.records import Identity

from modelyard.processes.supervisor import (
    RESTART_SECONDS_FIRST,
    RESTART_SECONDS_MAX,
    _pause_seconds,
    _written_processes,
)


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
