"""Counts of what the gateway did, as Prometheus text (exposition format 0.0.4)."""

from collections.abc import Iterable
from typing import Protocol

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measured(Protocol):
    """What is read of a service."""

    name: str
    answers: dict[int, int]
    latency_counts: list[int]
    latency_sum_seconds: float
    retries: int

    @property
    def queued(self) -> int: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def ready(self) -> int: ...


def exposition(services: Iterable[Measured], connections: int, table_number: int) -> bytes:
    """Everything, in one text. Latency runs from the last byte of the request to the first of the answer."""
    measured = sorted(services, key=lambda one: one.name)
    lines = ["# HELP modelyard_requests_total Answers to predictions.", "# TYPE modelyard_requests_total counter"]
    for one in measured:
        lines += [
            f'modelyard_requests_total{{endpoint="{one.name}",status="{status}"}} {count}'
            for status, count in sorted(one.answers.items())
        ]
    lines += [
        "# HELP modelyard_request_seconds Time from request to answer.",
        "# TYPE modelyard_request_seconds histogram",
    ]
    for one in measured:
        total = 0
        for bound, count in zip((*LATENCY_BUCKETS_SECONDS, "+Inf"), one.latency_counts, strict=True):
            total += count
            lines.append(f'modelyard_request_seconds_bucket{{endpoint="{one.name}",le="{bound}"}} {total}')
        lines.append(f'modelyard_request_seconds_sum{{endpoint="{one.name}"}} {one.latency_sum_seconds:.6f}')
        lines.append(f'modelyard_request_seconds_count{{endpoint="{one.name}"}} {total}')
    gauges = (
        ("modelyard_queued_requests", "Requests that wait in the gateway.", [one.queued for one in measured]),
        ("modelyard_in_flight_requests", "Requests inside replicas.", [one.in_flight for one in measured]),
        ("modelyard_ready_replicas", "Replicas that take requests.", [one.ready for one in measured]),
    )
    for name, text, values in gauges:
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{endpoint="{one.name}"}} {value}' for one, value in zip(measured, values, strict=True)]
    lines += ["# HELP modelyard_retries_total Requests sent again.", "# TYPE modelyard_retries_total counter"]
    lines += [f'modelyard_retries_total{{endpoint="{one.name}"}} {one.retries}' for one in measured]
    lines += ["# HELP modelyard_connections Open client connections.", "# TYPE modelyard_connections gauge"]
    lines.append(f"modelyard_connections {connections}")
    lines += ["# HELP modelyard_table_number Number of the table in use.", "# TYPE modelyard_table_number gauge"]
    lines.append(f"modelyard_table_number {table_number}")
    return ("\n".join(lines) + "\n").encode()
