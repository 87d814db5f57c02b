"""What a replica serves, whatever it is made from: a bare model, or a predictor class."""

from typing import Any, Dict, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from modelyard_worker.frames import END, ERROR, META_BYTES_MAX, TIMES_BYTES, ProtocolError, pack_meta
from modelyard_worker.request import Request

Answer = Tuple[int, bytes, Any]
"""Flags and meta of the ANSWER frame, and the body: bytes, or a `Parts` that is still being made."""

MESSAGE_LENGTH_MAX = 2000
"""Characters of an error's message that travel; the log has all of it."""

ASYNC_IN_FLIGHT = 64
"""Requests that a predictor with `async def` takes at the same time."""


class Servable(Protocol):
    batches: bool
    """One call can hold several requests."""
    asynchronous: bool
    """Called with `predict_async`, many at a time; else with `predict`, as many at a time as there are threads."""
    wants: Tuple[str, ...]
    """What it reads beside the body: `headers`, `query`, `path`, `model`."""

    async def open(self) -> None:
        """Called once on the running loop, before the first request. What it raises ends the replica."""
        ...

    async def close(self) -> None:
        """Called once after the last answer."""
        ...

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        """An answer for each, in order. Raises Refusal, or whatever the user's code raises, for all of them."""
        ...

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        """The same, where `asynchronous`."""
        ...

    def describe(self) -> Dict[str, Any]:
        """What it takes and gives: `input` and `output` as JSON Schema, `content_types`, and an `example` body."""
        ...

    def probe(self) -> None:
        """Proves that it predicts. Raises what a prediction would raise."""
        ...


class Serving(NamedTuple):
    """Where the user's code finds itself: part of the `context` that it may ask for."""

    endpoint: str
    version: int
    timeout_seconds: float = 60.0
    """How long one call of a function may take; everything else is watched from outside."""
    memory_bytes: Optional[int] = None
    """What it may take for itself; None is not bounded."""
    job: Optional[Dict[str, Any]] = None
    """What Cortex calls the job's specification; None outside of a batch transform."""


def error_answer(status: int, code: str, message: str) -> Answer:
    """An answer that is an error; the gateway words its body."""
    return END | ERROR, pack_meta({"status": status, "error": code, "message": message[:MESSAGE_LENGTH_MAX]}), b""


def check_meta(meta: bytes) -> bytes:
    """Raises ProtocolError where an answer's headers do not fit into one frame."""
    limit = META_BYTES_MAX - TIMES_BYTES
    if len(meta) > limit:
        raise ProtocolError(f"cannot send headers of {len(meta)} bytes: the limit is {limit}")
    return meta


def max_in_flight(servable: Servable, max_batch_size: int, threads: int) -> int:
    """Most requests inside a replica: 64 for `async def`, else so many that a next batch gathers while one runs."""
    stated: Optional[int] = getattr(servable, "max_in_flight", None)
    if stated is not None:
        return stated
    if servable.asynchronous:
        return ASYNC_IN_FLIGHT
    return max(threads, 2 * (max_batch_size if servable.batches else 1))
