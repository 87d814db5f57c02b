"""Keeps requests and answers of endpoints that ask for it, off the hot path.

What is to be kept is put into a bounded buffer; a thread writes it to a segment, a file of JSON lines. A segment that
is closed belongs to the recorder (`store.captures`), which makes Parquet of it. Where the buffer is full or the disk
nearly so, requests go uncaptured and are counted; none of them waits.
"""

import contextlib
import fcntl
import logging
import os
import random
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from modelyard.domain.captures import BODY_BYTES_MAX, Payload, capture_from, encoded

if TYPE_CHECKING:
    from modelyard.domain.metrics import Figures
    from modelyard.gateway.prediction import Prediction

BUFFER_BYTES_MAX = 16 * 2**20
"""What may wait for the writing thread."""

RECORD_BYTES = 512
"""What a record is taken to need beside its bodies."""

WRITE_SECONDS = 0.25
SEGMENT_SECONDS = 5.0
SEGMENT_BYTES_MAX = 16 * 2**20
SPOOLED_BYTES_MAX = 2 * 2**30
"""Closed segments that nobody has recorded yet; beyond it nothing is captured."""

DISK_FREE_SHARE_MIN = 0.05

_log = logging.getLogger("modelyard.gateway")


Kept = tuple["Figures", dict[str, Any], bytes | None, bytes | None, bytes]
"""Whose figures count it, the record so far, the bodies of request and answer, and the answer's head."""


class Captures:
    """One per gateway. `take` is called on the loop; everything else is the thread's."""

    def __init__(self, folder: Path, gateway_id: str) -> None:
        self._folder = folder
        self._gateway_id = gateway_id
        self._buffer: deque[Kept] = deque()
        self._buffered_bytes = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._may_write = True

    def take(self, prediction: "Prediction", status: int, head: bytes, body: bytes) -> None:
        """A request with its whole answer, as the endpoint's `capture` says."""
        taken = self.begin(prediction, status, head)
        if taken is not None:
            taken.add(body)
            taken.end()

    def begin(self, prediction: "Prediction", status: int, head: bytes) -> "Taken | None":
        """The same for an answer that comes in parts. None where this request is not to be kept."""
        service = prediction.service
        target = prediction.target
        figures = target.figures if target is not None else service.figures_of(service.entry.version)
        capture = capture_from(service.entry.capture or {})
        if random.random() >= capture.sample:  # noqa: S311 (which ones are kept is no secret)
            return None
        input_bytes = prediction.body_bytes
        wants_input = capture.payload in (Payload.BOTH, Payload.INPUT)
        wants_output = capture.payload in (Payload.BOTH, Payload.OUTPUT)
        given = prediction.body if wants_input and not prediction.is_kept and input_bytes <= BODY_BYTES_MAX else None
        if not self.reserve(len(given or b"") + RECORD_BYTES):
            figures.dropped += 1
            return None
        waited, called = service.parts_of(prediction)
        record: dict[str, Any] = {
            "at": time.time(),
            "id": prediction.request_id.decode("latin-1"),
            "inference_id": _inference_id(prediction.headers),
            "endpoint": service.name,
            "version": target.address.version if target is not None else service.entry.version or 0,
            "status": status,
            "seconds": time.monotonic() - prediction.started_at,
            "queue_seconds": waited,
            "model_seconds": called,
            "input_type": (prediction.content_type or b"").decode("latin-1") or None,
            "input_bytes": input_bytes,
        }
        return Taken(self, figures, record, given, head, wants_output=wants_output)

    def reserve(self, size: int) -> bool:
        """Whether so much more may be held."""
        if self._buffered_bytes + size > BUFFER_BYTES_MAX or not self._may_write:
            return False
        with self._lock:
            self._buffered_bytes += size
        return True

    def free(self, size: int) -> None:
        with self._lock:
            self._buffered_bytes -= size

    def put(self, kept: "Kept") -> None:
        """Hands a record, whose room is reserved, to the thread."""
        with self._lock:
            self._buffer.append(kept)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="captures", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Writes what is there and closes the segment."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(5.0)

    # -- the thread --------------------------------------------------------------------------------------------------

    def _write_all(self) -> None:
        while not self._closed.wait(WRITE_SECONDS):
            if self._buffer:
                self._write_segment()
        if self._buffer:
            self._write_segment()

    def _write_segment(self) -> None:
        """Writes what comes to one file until it is old or large enough, and gives it over."""
        aside = self._folder / f"{time.time_ns():020d}-{self._gateway_id}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with aside.open("xb") as file:
                # Whoever finds it locked leaves it alone; whoever does not knows that its writer is dead.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                begun = time.monotonic()
                while True:
                    self._check_room()
                    file.writelines(self._lines())
                    file.flush()
                    if self._closed.is_set() and not self._buffer:
                        break
                    if time.monotonic() - begun >= SEGMENT_SECONDS or file.tell() >= SEGMENT_BYTES_MAX:
                        break
                    self._closed.wait(WRITE_SECONDS)
                os.fsync(file.fileno())
                aside.rename(aside.with_suffix(".jsonl"))
        except OSError as error:
            _log.error("cannot keep what was captured: %s", error)
            self._may_write = False
            self._drop_all()
            self._closed.wait(SEGMENT_SECONDS)
            with contextlib.suppress(OSError):
                self._check_room()

    def _lines(self) -> list[bytes]:
        lines: list[bytes] = []
        while self._buffer and sum(map(len, lines)) < SEGMENT_BYTES_MAX:
            with self._lock:
                figures, record, given, answered, head = self._buffer.popleft()
                self._buffered_bytes -= len(given or b"") + len(answered or b"") + RECORD_BYTES
            for side, body in (("input", given), ("output", answered)):
                record[side], record[f"{side}_encoding"] = encoded(body) if body is not None else (None, None)
            record["output_type"] = _content_type(head)
            lines.append(orjson.dumps(record) + b"\n")
            figures.captured += 1
        return lines

    def _drop_all(self) -> None:
        with self._lock:
            dropped = list(self._buffer)
            self._buffer.clear()
            self._buffered_bytes = 0
        for figures, *_ in dropped:
            figures.dropped += 1

    def _check_room(self) -> None:
        usage = shutil.disk_usage(self._folder)
        spooled = sum(one.stat().st_size for one in self._folder.glob("*.jsonl"))
        self._may_write = usage.free >= DISK_FREE_SHARE_MIN * usage.total and spooled <= SPOOLED_BYTES_MAX


class Taken:
    """One request that is kept, until its answer is whole."""

    __slots__ = ("_captures", "_figures", "_given", "_head", "_parts", "_record", "_size", "_wants_output")

    def __init__(
        self,
        captures: Captures,
        figures: "Figures",
        record: dict[str, Any],
        given: bytes | None,
        head: bytes,
        *,
        wants_output: bool,
    ) -> None:
        self._captures = captures
        self._figures = figures
        self._record = record
        self._given = given
        self._head = head
        self._wants_output = wants_output
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """A part of the answer. An answer that is too long, or that there is no room for, is kept without its body."""
        self._size += len(part)
        if not self._wants_output:
            return
        if self._size <= BODY_BYTES_MAX and self._captures.reserve(len(part)):
            self._parts.append(part)
        else:
            self._let_go()

    def end(self) -> None:
        """The answer is whole."""
        self._record["output_bytes"] = self._size
        answered = b"".join(self._parts) if self._wants_output else None
        self._captures.put((self._figures, self._record, self._given, answered, self._head))

    def break_off(self) -> None:
        """The answer never came to its end: half of it would be taken for what the model says."""
        if self._wants_output:
            self._let_go()
        self._record["output_bytes"] = None
        self._captures.put((self._figures, self._record, self._given, None, self._head))

    def _let_go(self) -> None:
        self._wants_output = False
        self._captures.free(sum(map(len, self._parts)))
        self._parts = []


def _inference_id(headers: list[tuple[bytes, bytes]]) -> str | None:
    """SageMaker's name for what a caller calls its request."""
    return next((value.decode("latin-1") for name, value in headers if name == b"x-amzn-sagemaker-inference-id"), None)


def _content_type(head: bytes) -> str | None:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-type":
            return value.strip().decode("latin-1")
    return None
