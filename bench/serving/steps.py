"""`python -m bench.serving.steps`: what each step of a replica takes by itself, in the process that asks.

CPU time, the best of many tries, which other work on the machine disturbs least, and how many pages the kernel had to
map in each.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import simdjson
from modelyard_worker import batching
from modelyard_worker.answers import write_answer
from modelyard_worker.frames import END, REQUEST, Decoder, pack, pack_meta
from modelyard_worker.payloads import read_array
from modelyard_worker.predictor_class import PredictorClass
from modelyard_worker.request import Metas, Request, read_meta
from modelyard_worker.servable import Serving
from rich.console import Console
from rich.table import Table

from bench.serving.asking import steps_of_asking
from bench.serving.cases import CASES_BY_NAME, asked
from bench.serving.shapes import PLAIN
from bench.serving.work import BATCH_ROWS_MAX
from modelyard.gateway.traces import Tracer

TRIES = 100
WARM_UP = 5
JSON = "application/json"
FRAME_BYTES_MAX = 2**20
TRACED = 100

Step = tuple[str, Callable[[], Any]]


class Batch:
    """The benchmark's predictor without its 20 ms."""

    def predict_batch(self, payloads: list[np.ndarray]) -> list[Any]:
        return [[value] for value in np.concatenate(payloads).sum(axis=1).tolist()]


class Caller:
    """A connection that sends nowhere."""

    gateway = "00000000"
    takes_times = True

    def __init__(self) -> None:
        self.out: list[bytes] = []

    def flush(self) -> None:
        b"".join(self.out)
        self.out.clear()


def main() -> int:
    table = Table(title="Steps, each alone", title_justify="left")
    table.add_column("step")
    table.add_column("CPU us", justify="right")
    table.add_column("pages mapped", justify="right")
    floats = PLAIN.body(asked(CASES_BY_NAME["floats"]))
    with steps_of_asking() as asking:
        for name, step in [*_steps_of_floats(floats), *_steps_of_a_batch(), *_steps_of_traces(), *asking]:
            best, faults = measured(step)
            table.add_row(name, f"{best * 1e6:,.0f}", f"{faults:.0f}")
    Console(width=100).print(table)
    return 0


def measured(step: Callable[[], Any]) -> tuple[float, float]:
    """CPU seconds of the cheapest of TRIES, and how many pages were mapped in each of them."""
    for _ in range(WARM_UP):
        step()
    before = _faults()
    took: list[float] = []
    for _ in range(TRIES):
        began = time.process_time()
        step()
        took.append(time.process_time() - began)
    return min(took), (_faults() - before) / TRIES


def _steps_of_floats(body: bytes) -> list[Step]:
    kept = os.memfd_create("body")
    os.write(kept, body)
    place = f"/proc/{os.getpid()}/fd/{kept}"
    request = Request(Caller(), 1, read_meta(pack_meta({"type": JSON})), b"", 1, place)
    parser: Any = simdjson.Parser()
    means = read_array(JSON, body).mean(axis=1)

    def fetched() -> bytes:
        request.fetch_body(len(body))
        return request.body

    def freed() -> Any:
        # `fetch_body` would ask for freed memory to be kept.
        with Path(place).open("rb", buffering=0) as file:
            return read_array(JSON, file.read(len(body)))

    def parsed() -> None:
        parser.parse(body)

    return [
        ("floats: fetch and read, freed memory given back", freed),
        ("floats: fetch from where the gateway keeps it", fetched),
        ("floats: fetch and read, freed memory kept", lambda: read_array(JSON, fetched())),
        ("floats: of this simdjson's parsing", parsed),
        ("floats: orjson and np.array, as FastAPI reads it", lambda: np.array(orjson.loads(body))),
        ("floats: write the answer", lambda: write_answer(means, "")),
    ]


def _steps_of_a_batch() -> list[Step]:
    body = PLAIN.body(asked(CASES_BY_NAME["batch"]))
    packed = pack_meta({"type": JSON})
    meta, caller = read_meta(packed), Caller()
    data = b"".join(pack(REQUEST, one, packed, body, END) for one in range(BATCH_ROWS_MAX))
    requests = [Request(caller, one, meta, body) for one in range(BATCH_ROWS_MAX)]
    servable = PredictorClass(Batch, Batch(), Serving("batch", 1))
    answers = servable.predict(requests)
    batching.note_times(requests, 0.0, 1.0)
    rows = BATCH_ROWS_MAX
    return [
        (f"batch: cut the frames of {rows} requests", lambda: Decoder(FRAME_BYTES_MAX).feed(data)),
        (f"batch: read {rows} bodies", lambda: [read_array(JSON, body) for _ in range(rows)]),
        (f"batch: {rows} bodies read, the call, {rows} answers written", lambda: servable.predict(requests)),
        (f"batch: put {rows} answers into frames", lambda: batching.deliver(requests, answers)),
    ]


def _steps_of_traces() -> list[Step]:
    """What a request does for its trace: in the gateway twice the ids, and a meta that is not the same bytes as the one
    before, so that the gateway packs and the replica reads it."""
    asked_with: Any = SimpleNamespace(request_id=b"29b2941600000000000012d8", headers=[(b"content-type", b"text/csv")])
    tracer, metas = Tracer(), Metas()
    parent = tracer.trace_of(asked_with).traceparent
    packed, known = pack_meta({"type": JSON, "traceparent": parent}), pack_meta({"type": JSON})

    def traced() -> None:
        tracer.trace_of(asked_with)
        tracer.trace_of(asked_with)
        pack_meta({"type": JSON, "traceparent": parent})
        metas.read(packed)

    return [
        (f"traces on: ids and metas of {TRACED} requests", lambda: [traced() for _ in range(TRACED)]),
        (f"traces off: metas of {TRACED} requests", lambda: [metas.read(known) for _ in range(TRACED)]),
    ]


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


if __name__ == "__main__":
    sys.exit(main())
