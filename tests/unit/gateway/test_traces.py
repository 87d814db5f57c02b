"""Which trace a prediction belongs to."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.gateway.traces import Tracer, parent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def prediction(number: int = 1, traceparent: str | None = None) -> Any:
    headers = [(b"traceparent", traceparent.encode())] if traceparent is not None else []
    return cast("Any", SimpleNamespace(request_id=b"0a1b2c3d%016x" % number, headers=headers))


@pytest.mark.parametrize(
    ("said", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be", True),
    ],
)
def test_a_callers_trace_goes_on_below_its_span(said: str, sampled: bool) -> None:
    trace = Tracer().trace_of(prediction(traceparent=said))
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE, SPAN, sampled)
    assert trace.traceparent == f"00-{TRACE}-{trace.call_id}-0{int(sampled)}"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "00",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-",
    ],
)
def test_what_cannot_be_read_begins_a_trace_of_its_own(said: str) -> None:
    trace = Tracer().trace_of(prediction(traceparent=said))
    assert trace.parent_id is None
    assert trace.trace_id != TRACE


@given(st.binary(max_size=80))
def test_no_header_does_harm(said: bytes) -> None:
    parent_of([(b"traceparent", said)])


def test_a_predictions_ids_are_the_same_each_time_and_no_others() -> None:
    tracer = Tracer()
    traces = [tracer.trace_of(prediction(number)) for number in range(200)]
    assert traces == [tracer.trace_of(prediction(number)) for number in range(200)]
    assert len({one for trace in traces for one in (trace.trace_id, trace.span_id, trace.call_id)}) == 600


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.25, 150, 350), (1.0, 1000, 1000)])
def test_the_share_that_is_asked_for_is_sampled(share: float, least: int, most: int) -> None:
    tracer = Tracer(share)
    assert least <= sum(tracer.trace_of(prediction(number)).sampled for number in range(1000)) <= most


def test_a_gateway_that_exports_no_traces_imports_nothing_for_them() -> None:
    words = ("opentelemetry", "modelyard.gateway.trace")
    code = f"import modelyard.processes.gateway, sys; print([m for m in sys.modules if m.startswith({words})])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
