"""Sends spans to an OpenTelemetry collector (OTLP over HTTP), from a thread of its own: nothing waits for it.

OpenTelemetry's libraries are imported here and nowhere else, when the thread starts. They read their own variables too:
OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_TIMEOUT.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from modelyard.gateway.traces import Ended, Trace, Tracer
from modelyard.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext, SpanKind

EXPORT_SECONDS = 1.0
SPANS_MAX = 1536
"""In one message; a request has three."""

SERVICE_NAME = "modelyard"

_log = logging.getLogger("modelyard.gateway")


class Exporter:
    def __init__(self, tracer: Tracer, endpoint: str, pause_seconds: float = EXPORT_SECONDS) -> None:
        """`endpoint` is the collector's address, http://127.0.0.1:4318; `/v1/traces` is added as OTLP has it."""
        self._tracer = tracer
        self._url = endpoint.rstrip("/") + "/v1/traces"
        self._pause_seconds = pause_seconds
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def close(self, limit_seconds: float = 2.0) -> None:
        """Sends what is left, as long as that takes no longer than the limit."""
        self._closing.set()
        self._thread.join(limit_seconds)

    def _run(self) -> None:
        try:
            export = _make_export(self._url)
        except ImportError as error:
            _log.error("cannot export traces: %s; install modelyard[tracing]", error)
            return
        while not self._closing.wait(self._pause_seconds):
            self._send(export)
        self._send(export)

    def _send(self, export: "Callable[[Sequence[ReadableSpan]], None]") -> None:
        ended, dropped = self._tracer.take_ended()
        if dropped:
            _log.warning("traces of %d requests were dropped: more came than are exported", dropped)
        spans = [span for one in ended for span in _spans_of(one)]
        for begin in range(0, len(spans), SPANS_MAX):
            export(spans[begin : begin + SPANS_MAX])


def _make_export(url: str) -> "Callable[[Sequence[ReadableSpan]], None]":
    """Raises ImportError where the libraries are not installed."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    exporter = OTLPSpanExporter(endpoint=url)

    def export(spans: "Sequence[ReadableSpan]") -> None:
        try:
            exporter.export(spans)
        except Exception as error:  # noqa: BLE001 (whatever it was, predictions go on and so does this thread)
            _log.warning("cannot export %d spans: %r", len(spans), error)

    return export


def _spans_of(one: Ended) -> "Iterator[ReadableSpan]":
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 (see the module)

    trace, began = one.trace, one.began_at
    own = _context(trace, trace.span_id)
    parent = _context(trace, trace.parent_id, is_remote=True) if trace.parent_id is not None else None
    yield _span(
        f"POST /endpoints/{one.endpoint}",
        own,
        parent,
        SpanKind.SERVER,
        began,
        began + one.seconds,
        one.status >= 500,
        {
            "http.request.method": "POST",
            "http.response.status_code": one.status,
            "modelyard.endpoint": one.endpoint,
            "modelyard.version": one.version or 0,
            "modelyard.replica": one.replica or "",
            "modelyard.request_id": one.request_id,
        },
    )
    if one.queued_seconds is None or one.called_seconds is None:
        return
    called_at = began + one.queued_seconds
    queue = _context(trace, _other(trace.call_id))
    yield _span("queue", queue, own, SpanKind.INTERNAL, began, called_at)
    call = _context(trace, trace.call_id)
    yield _span("predict", call, own, SpanKind.INTERNAL, called_at, called_at + one.called_seconds, one.status >= 500)


def _span(
    name: str,
    context: "SpanContext",
    parent: "SpanContext | None",
    kind: "SpanKind",
    began_at: float,
    ended_at: float,
    failed: bool = False,
    attributes: "dict[str, str | int] | None" = None,
) -> "ReadableSpan":
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 (see the module)
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
    from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415

    return ReadableSpan(
        name,
        context,
        parent,
        resource=Resource({"service.name": SERVICE_NAME, "service.version": VERSION}),
        attributes=attributes,
        kind=kind,
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=int(began_at * 1e9),
        end_time=int(ended_at * 1e9),
        instrumentation_scope=InstrumentationScope("modelyard.gateway", VERSION),
    )


def _context(trace: Trace, span_id: str, *, is_remote: bool = False) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags  # noqa: PLC0415 (see the module)

    return SpanContext(int(trace.trace_id, 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))


def _other(span_id: str) -> str:
    """Another id, as random."""
    return f"{int(span_id, 16) ^ 1:016x}"
