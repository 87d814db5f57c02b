"""What processes tell each other of what they measured, and all of it as Prometheus text (exposition format 0.0.4).

Each gateway reports to the controller what it counted since it started, each second what has changed. The controller
adds the gateways up; any gateway that is asked for `/metrics` asks it for the sum, with its own newest counts in the
question. Without a controller it shows what it knows itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.domain.metrics import (
    CALL_BOUNDS,
    SECONDS_BOUNDS,
    Figures,
    Histogram,
    figures_document,
    figures_from,
    total_of,
)
from modelyard.domain.names import name_key

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Label = tuple[str, str]


@dataclass(slots=True)
class EndpointMetrics:
    """One endpoint, as one gateway sees it or as all do."""

    name: str
    figures: dict[int, Figures] = field(default_factory=dict[int, Figures])
    """By version; 0 stands for none, where nothing served."""
    queued: int = 0
    in_flight: int = 0
    ready: int = 0


@dataclass(slots=True)
class GatewayMetrics:
    """What one gateway counted since it started."""

    endpoints: dict[str, EndpointMetrics] = field(default_factory=dict[str, EndpointMetrics])
    """By `name_key`; in a report those that have changed."""
    connections: int = 0
    control_answers: dict[int, int] = field(default_factory=dict[int, int])
    """Answers of the control process that it passed on, by status."""


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """One process, as the kernel counts it."""

    labels: tuple[Label, ...]
    cpu_seconds: float
    memory_bytes: int
    """What would be free without it: pages that nobody shares."""
    open_files: int


@dataclass(frozen=True, slots=True)
class ModelMetrics:
    """One replica of an endpoint with many models, as it counts them since it started."""

    labels: tuple[Label, ...]
    loads: int
    evictions: int
    loaded: int
    held_bytes: int


@dataclass(slots=True)
class YardMetrics:
    """Everything."""

    endpoints: list[EndpointMetrics]
    connections: int
    control_answers: dict[int, int]
    gateways: int
    table_number: int
    alarms: Sequence[tuple[str, str, str]] = ()
    """(alarm, endpoint, state)."""
    processes: Sequence[ProcessMetrics] = ()
    replicas: Sequence[ProcessMetrics] = ()
    models: Sequence[ModelMetrics] = ()
    variants: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    """(name that it answers under, name of the variant) of each endpoint that is one, by `name_key`."""


def merged(gateways: Iterable[GatewayMetrics]) -> dict[str, EndpointMetrics]:
    """Endpoints of all gateways together, by `name_key`."""
    found: dict[str, EndpointMetrics] = {}
    for gateway in gateways:
        for key, one in gateway.endpoints.items():
            whole = found.setdefault(key, EndpointMetrics(one.name))
            for version, figures in one.figures.items():
                whole.figures.setdefault(version, Figures()).add(figures)
            whole.queued += one.queued
            whole.in_flight += one.in_flight
            whole.ready = max(whole.ready, one.ready)
    return found


# -- messages --------------------------------------------------------------------------------------------------------


def metrics_document(one: GatewayMetrics) -> dict[str, Any]:
    return {
        "endpoints": {key: _endpoint_document(endpoint) for key, endpoint in one.endpoints.items()},
        "connections": one.connections,
        "control_answers": {str(status): count for status, count in one.control_answers.items()},
    }


def metrics_from(document: Mapping[str, Any]) -> GatewayMetrics:
    """The inverse of `metrics_document`. Raises KeyError, TypeError or ValueError where it is none."""
    return GatewayMetrics(
        {key: _endpoint_from(endpoint) for key, endpoint in document["endpoints"].items()},
        int(document["connections"]),
        {int(status): int(count) for status, count in document["control_answers"].items()},
    )


def _endpoint_document(one: EndpointMetrics) -> dict[str, Any]:
    versions = {str(version): figures_document(figures) for version, figures in one.figures.items()}
    return {
        "name": one.name,
        "versions": versions,
        "queued": one.queued,
        "in_flight": one.in_flight,
        "ready": one.ready,
    }


def _endpoint_from(document: Mapping[str, Any]) -> EndpointMetrics:
    versions = {int(version): figures_from(figures) for version, figures in document["versions"].items()}
    gauges = (int(document[name]) for name in ("queued", "in_flight", "ready"))
    return EndpointMetrics(str(document["name"]), versions, *gauges)


# -- as text ---------------------------------------------------------------------------------------------------------


def exposition(yard: YardMetrics) -> str:
    """Everything as one text."""
    return "\n".join(_lines(yard)) + "\n"


def _lines(yard: YardMetrics) -> Iterator[str]:
    endpoints = [(_place(yard, one), one) for one in sorted(yard.endpoints, key=lambda one: one.name)]
    versions = [
        ((*place, ("version", str(version))), figures)
        for place, one in endpoints
        for version, figures in sorted(one.figures.items())
    ]
    yield from _answers(versions)
    for name, text, part in _TIMES:
        yield from _histograms(name, text, [(labels, getattr(figures, part)) for labels, figures in versions])
    calls = [(labels, figures.calls) for labels, figures in versions]
    yield from _histograms("modelyard_batch_size", "Requests in one call of the model.", calls, CALL_BOUNDS)
    for name, text, part in _COUNTERS:
        counts = [(labels, float(getattr(figures, part))) for labels, figures in versions]
        yield from _family(name, "counter", text, [one for one in counts if one[1]])
    for name, text, part in _GAUGES:
        values = [(place, float(getattr(one, part))) for place, one in endpoints]
        yield from _family(name, "gauge", text, values)
    yield from _tracked(endpoints)
    yield from _alarms(yard)
    answers = [((("status", str(status)),), float(count)) for status, count in sorted(yard.control_answers.items())]
    yield from _family("modelyard_control_requests_total", "counter", "Answers of the control process.", answers)
    yield from _whole("modelyard_connections", "Open client connections.", yard.connections)
    yield from _whole("modelyard_gateways", "Gateways that are counted here.", yard.gateways)
    yield from _whole("modelyard_table_number", "Number of the table in use.", yard.table_number)
    yield from _process("modelyard_process", "the platform's processes", yard.processes)
    yield from _process("modelyard_replica", "replicas", yard.replicas)
    for name, kind, text, part in _MODELS:
        yield from _family(name, kind, text, [(one.labels, float(getattr(one, part))) for one in yard.models])


def _place(yard: YardMetrics, one: EndpointMetrics) -> tuple[Label, ...]:
    """An endpoint's labels; a variant's are those of SageMaker's metrics."""
    variant = yard.variants.get(name_key(one.name))
    return (("endpoint", one.name),) if variant is None else (("endpoint", variant[0]), ("variant", variant[1]))


_TIMES = (
    ("modelyard_request_seconds", "Time from request to answer.", "total"),
    ("modelyard_queue_seconds", "Time that requests wait, in a gateway or in a replica.", "queue"),
    ("modelyard_model_seconds", "Time of the calls that hold requests.", "model"),
    ("modelyard_overhead_seconds", "Time of requests that is neither queue nor model.", "overhead"),
)
_COUNTERS = (
    ("modelyard_retries_total", "Requests sent again.", "retries"),
    ("modelyard_captured_requests_total", "Requests that were captured.", "captured"),
    ("modelyard_uncaptured_requests_total", "Requests to be captured that there was no room for.", "dropped"),
)
_GAUGES = (
    ("modelyard_queued_requests", "Requests that wait in the gateways.", "queued"),
    ("modelyard_in_flight_requests", "Requests inside replicas.", "in_flight"),
    ("modelyard_ready_replicas", "Replicas that take requests.", "ready"),
)

_MODELS = (
    ("modelyard_model_loads_total", "counter", "Models that were loaded, of endpoints with many.", "loads"),
    ("modelyard_model_evictions_total", "counter", "Models that made room for others.", "evictions"),
    ("modelyard_loaded_models", "gauge", "Models that are loaded, of endpoints with many.", "loaded"),
    ("modelyard_loaded_models_bytes", "gauge", "Memory that loaded models were seen to take.", "held_bytes"),
)

Sample = tuple[tuple[Label, ...], float]


def _answers(versions: list[tuple[tuple[Label, ...], Figures]]) -> Iterator[str]:
    samples = [
        ((*labels, ("status", str(status))), float(count))
        for labels, figures in versions
        for status, count in sorted(figures.answers.items())
    ]
    return _family("modelyard_requests_total", "counter", "Answers to predictions.", samples)


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric with all its samples; nothing where there are none."""
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    if lines:
        yield f"# HELP {name} {text}"
        yield f"# TYPE {name} {kind}"
        yield from lines


def _whole(name: str, text: str, value: float) -> Iterator[str]:
    return _family(name, "gauge", text, [((), float(value))])


def _histograms(
    name: str,
    text: str,
    histograms: Iterable[tuple[tuple[Label, ...], Histogram]],
    bounds: Sequence[float] = SECONDS_BOUNDS,
) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} histogram"
    for labels, histogram in histograms:
        below = 0
        for bound, count in zip((*bounds, "+Inf"), histogram.counts, strict=True):
            below += count
            yield f"{name}_bucket{_labels((*labels, ('le', str(bound))))} {below}"
        yield f"{name}_sum{_labels(labels)} {histogram.total:.6f}"
        yield f"{name}_count{_labels(labels)} {below}"


def _tracked(endpoints: list[tuple[tuple[Label, ...], EndpointMetrics]]) -> Iterator[str]:
    """What trackers saw, where there are any: of the endpoint, all its versions together."""
    tracked = [(place, total_of(one.figures.values()).tracked) for place, one in endpoints]
    classes = [
        ((*place, ("class", label)), float(count))
        for place, one in tracked
        for label, count in sorted(one.classes.items())
    ]
    yield from _family("modelyard_predictions_total", "counter", "Predictions by class.", classes)
    measured = [(place, one) for place, one in tracked if one.count]
    if not measured:
        return
    yield "# HELP modelyard_prediction Predicted values."
    yield "# TYPE modelyard_prediction summary"
    for place, one in measured:
        yield f"modelyard_prediction_sum{_labels(place)} {one.total:g}"
        yield f"modelyard_prediction_count{_labels(place)} {one.count}"
    for bound in ("minimum", "maximum"):
        values = [(place, float(getattr(one, bound))) for place, one in measured]
        yield from _family(f"modelyard_prediction_{bound}", "gauge", f"The {bound} of predicted values.", values)


def _alarms(yard: YardMetrics) -> Iterator[str]:
    states = ("ok", "alarm", "insufficient_data")
    samples = [
        ((("alarm", alarm), ("endpoint", endpoint), ("state", state)), float(state == present))
        for alarm, endpoint, present in yard.alarms
        for state in states
    ]
    return _family("modelyard_alarm_state", "gauge", "1 for the state that an alarm is in.", samples)


def _process(name: str, whose: str, processes: Sequence[ProcessMetrics]) -> Iterator[str]:
    cpu = [(one.labels, one.cpu_seconds) for one in processes]
    yield from _family(f"{name}_cpu_seconds_total", "counter", f"Processor time of {whose}.", cpu)
    memory = [(one.labels, float(one.memory_bytes)) for one in processes]
    yield from _family(f"{name}_memory_bytes", "gauge", f"Private memory of {whose}.", memory)
    files = [(one.labels, float(one.open_files)) for one in processes]
    yield from _family(f"{name}_open_files", "gauge", f"Open file descriptors of {whose}.", files)


def _labels(labels: Iterable[Label]) -> str:
    written = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels)
    return f"{{{written}}}" if written else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
