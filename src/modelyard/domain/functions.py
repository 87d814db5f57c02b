"""Functions: a handler that is called with an event and a context, in AWS Lambda's contract.

A function is an endpoint whose predictor is a handler: it has its versions, its rollouts, its logs, its queue. What
differs is decided here: an instance takes one event at a time, how many there may be at once is bounded, what is beyond
the bound is refused at once, and with nothing to do there are none.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from modelyard.errors import InvalidValue

TIMEOUT_SECONDS = 3.0
"""Lambda's default."""
TIMEOUT_SECONDS_MAX = 900.0
"""Lambda's limit."""

CONCURRENCY = 10
INSTANCES_MAX = 256

ATTEMPTS = 3
"""Of an event that was queued: Lambda tries it twice again."""

START_SECONDS = 10.0
"""How long an event may wait for an instance beside the time that it takes: Lambda's limit for an initialization."""

SCHEDULED_EVENT_BYTES_MAX = 8192
"""Of the event that a schedule names: EventBridge's limit for a target's input."""

RUNTIMES = ("python", "awslambdaric", "provided")
"""`python` is a replica of ours; the others are programs that ask for events over Lambda's runtime API."""


@dataclass(frozen=True, slots=True)
class Function:
    concurrency: int = CONCURRENCY
    """Most events that are under way at once; beyond it 429."""
    schedule: dict[str, Any] | None = None
    """When it is called by the clock: `domain.schedules.Timing.document`, and in `event` what with; without one it is
    EventBridge's. None calls it at no time."""


def function_from(document: dict[str, Any]) -> Function:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    return Function(**{key: document[key] for key in Function.__dataclass_fields__ if key in document})


def parse_handler(text: str) -> tuple[str, str]:
    """(path of the file, name of the function in it) of `app.handler` or `folder/app.handler`. Raises InvalidValue."""
    module, dot, name = text.rpartition(".")
    parts = module.split("/")
    if not dot or not name.isidentifier() or not all(one.isidentifier() for one in parts):
        raise InvalidValue(f"cannot read handler {text[:100]!r}", "write FILE.FUNCTION, such as app.handler")
    return f"{PurePosixPath(*parts)}.py", name


def scaling_of(function: Function, provisioned: int = 0) -> dict[str, Any]:
    """Fields of `domain.autoscaling.Autoscaling` for a function: an instance for each event under way, as soon as it
    comes, and none when there is nothing to do. `provisioned` are kept ready."""
    return {
        "min_replicas": provisioned,
        "init_replicas": max(1, provisioned),
        "max_replicas": function.concurrency,
        "target_in_flight": 1.0,
        "window_seconds": 10.0,
        "upscale_stabilization_seconds": 0.0,
        "downscale_stabilization_seconds": 60.0,
        "last_replica_delay_seconds": 300.0,
    }


def scheduled_event(name: str, invocation: str, at: str) -> dict[str, Any]:
    """What a function is called with at a time of its schedule where the schedule names no event: EventBridge's own.
    `at` is that time, 2030-01-31T06:30:00Z."""
    return {
        "version": "0",
        "id": invocation,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": at,
        "region": "local",
        "resources": [f"arn:aws:events:local:000000000000:rule/{name}"],
        "detail": {},
    }
