"""Spans of predictions, received as a collector receives them: OTLP over HTTP, read with the official messages."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from modelyard_worker import frames
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.integration.gateway.scripted_replica import ScriptedReplica

LIMIT_SECONDS = 20
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Keeps every span that it is sent."""

    def __init__(self) -> None:
        self.spans: queue.Queue[Any] = queue.Queue()
        received = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
                message = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
                for resource in message.resource_spans:
                    for scope in resource.scope_spans:
                        for span in scope.spans:
                            received.put((resource.resource, span))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, count: int) -> list[Any]:
        return [self.spans.get(timeout=LIMIT_SECONDS) for _ in range(count)]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    one = Collector()
    monkeypatch.setenv("MODELYARD_TRACES_ENDPOINT", one.url)
    yield one
    one.server.shutdown()
    one.server.server_close()


def answer_timed(replica: ScriptedReplica, stream: int, waited_micros: int, called_micros: int) -> None:
    meta = frames.TIMES.pack(waited_micros, called_micros, 1) + frames.pack_meta({"status": 200, "type": "text/plain"})
    replica.send(frames.pack(frames.ANSWER, stream, meta, b"7", frames.END | frames.TIMED))


def test_a_prediction_is_a_span_with_its_queue_and_its_call_below_the_callers(
    collector: Collector, serving: Callable[..., Any], replica_at: Callable[..., ScriptedReplica]
) -> None:
    replica = replica_at(wants=("headers",))
    gateway = serving(replica)
    with ThreadPoolExecutor(1) as clients:
        pending = clients.submit(gateway.post, b"1", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
        request = replica.next_request()
        answer_timed(replica, request.stream, 2_000, 30_000)
        request_id = pending.result().headers["x-request-id"]
    spans = collector.take(3)
    found = {span.name: span for _, span in spans}
    assert set(found) == {"POST /endpoints/Price", "queue", "predict"}
    whole, queued, called = found["POST /endpoints/Price"], found["queue"], found["predict"]
    assert {span.trace_id.hex() for span in found.values()} == {TRACE}
    assert whole.parent_span_id.hex() == SPAN
    assert queued.parent_span_id == called.parent_span_id == whole.span_id
    assert len({span.span_id for span in found.values()}) == 3
    assert request.meta["traceparent"] == f"00-{TRACE}-{called.span_id.hex()}-01"
    assert dict(request.meta["headers"])["traceparent"] == request.meta["traceparent"]
    assert whole.kind == whole.SPAN_KIND_SERVER
    told = {one.key: one.value for one in whole.attributes}
    assert told["http.response.status_code"].int_value == 200
    assert told["modelyard.request_id"].string_value == request_id
    assert (told["modelyard.replica"].string_value, told["modelyard.version"].int_value) == ("r1", 1)
    assert called.end_time_unix_nano - called.start_time_unix_nano == pytest.approx(30e6, rel=0.01)
    assert queued.end_time_unix_nano == pytest.approx(called.start_time_unix_nano, abs=1e4)
    assert whole.start_time_unix_nano <= queued.start_time_unix_nano + 1e4
    assert {one.key: one.value.string_value for one in spans[0][0].attributes}["service.name"] == "modelyard"


def test_an_error_is_a_span_that_failed_and_an_unsampled_request_is_none(
    collector: Collector, serving: Callable[..., Any], replica_at: Callable[..., ScriptedReplica]
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    with ThreadPoolExecutor(1) as clients:
        pending = clients.submit(gateway.post, b"1", headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
        request = replica.next_request()
        assert request.meta["traceparent"].endswith("-00")
        answer_timed(replica, request.stream, 1, 1)
        pending.result()
        pending = clients.submit(gateway.post, b"2")
        replica.fail(replica.next_request(), "predictor_failed", "no", 500)
        assert pending.result().status_code == 500
    [(_, span)] = collector.take(1)
    assert span.trace_id.hex() != TRACE
    assert not span.parent_span_id
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert collector.spans.empty()
