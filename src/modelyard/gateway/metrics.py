"""Counts of what the gateway did, as Prometheus text (exposition format 0.0.4)."""

from collections.abc import Iterable
from typing import Protocol

from modelyard.gateway.tracked import Tracked

LATENCY_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Measured(Protocol):
    """What is read of a service."""

    name: str
    answers: dict[int, int]
    latency_counts: list[int]
    latency_sum_seconds: float
    retries: int
    tracked: Tracked | None

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
    lines += _tracked_lines([(one.name, one.tracked) for one in measured if one.tracked is not None])
    lines += ["# HELP modelyard_retries_total Requests sent again.", "# TYPE modelyard_retries_total counter"]
    lines += [f'modelyard_retries_total{{endpoint="{one.name}"}} {one.retries}' for one in measured]
    lines += ["# HELP modelyard_connections Open client connections.", "# TYPE modelyard_connections gauge"]
    lines.append(f"modelyard_connections {connections}")
    lines += ["# HELP modelyard_table_number Number of the table in use.", "# TYPE modelyard_table_number gauge"]
    lines.append(f"modelyard_table_number {table_number}")
    return ("\n".join(lines) + "\n").encode()


def _tracked_lines(tracked: list[tuple[str, Tracked]]) -> list[str]:
    """What trackers saw, where there are any."""
    lines: list[str] = []
    classified = [(name, one) for name, one in tracked if one.classes]
    if classified:
        lines += [
            "# HELP modelyard_predictions_total Predictions by class.",
            "# TYPE modelyard_predictions_total counter",
        ]
    for name, one in classified:
        lines += [
            f'modelyard_predictions_total{{endpoint="{name}",class="{_label(label)}"}} {count}'
            for label, count in sorted(one.classes.items())
        ]
    measured = [(name, one) for name, one in tracked if one.count]
    if measured:
        lines += ["# HELP modelyard_prediction Predicted values.", "# TYPE modelyard_prediction summary"]
    for name, one in measured:
        lines.append(f'modelyard_prediction_sum{{endpoint="{name}"}} {one.total:g}')
        lines.append(f'modelyard_prediction_count{{endpoint="{name}"}} {one.count}')
    for bound in ("minimum", "maximum") if measured else ():
        lines.append(f"# HELP modelyard_prediction_{bound} The {bound} of predicted values.")
        lines.append(f"# TYPE modelyard_prediction_{bound} gauge")
        lines += [
            f'modelyard_prediction_{bound}{{endpoint="{name}"}} {getattr(one, bound):g}' for name, one in measured
        ]
    return lines


def _label(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
