"""A transform as `transforms` shows it."""

from dataclasses import replace

from modelyard.cli.transforms import transform_lines
from modelyard.protocol.views import view_from
from modelyard.protocol.views_of_transforms import TransformView

THEN = "2026-01-31T12:00:00Z"
FAILED = view_from(
    TransformView,
    {
        "id": "price-transform-1",
        "project": "shop",
        "status": "Failed",
        "model": "price:1",
        "package": "ab" * 32,
        "input": "/in",
        "output": "/out",
        "options": {},
        "created_at": THEN,
        "started_at": THEN,
        "ended_at": "2026-01-31T12:00:02Z",
        "attempts": 1,
        "failure_reason": "cannot score b.csv",
        "failed": [{"name": "b.csv", "reason": "cannot score b.csv"}],
        "stop_requested": False,
        "progress": {
            "objects": 2,
            "objects_done": 1,
            "objects_failed": 1,
            "records": 500,
            "bytes": 16,
            "bytes_total": 100,
            "records_per_second": 250.0,
            "seconds_left": 9.0,
            "tries_failed": 1,
            "seconds_per_request": None,
        },
        "priority": 0,
        "waiting": None,
    },
)


def test_one_that_goes_on_says_how_long_it_will_and_one_that_ended_does_not() -> None:
    going_on = replace(FAILED, status="InProgress", ended_at=None)
    assert "scored: 16% (500 records), 1 of 2 objects, 250 records/s, 9s left" in transform_lines(going_on)
    assert "scored: 16% (500 records), 1 of 2 objects, 250 records/s" in transform_lines(FAILED)
