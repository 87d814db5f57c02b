"""One prediction, from its first header to the last byte of its answer."""

import time
from typing import TYPE_CHECKING

from modelyard_worker import frames
from modelyard_worker.frames import Frame

from modelyard.domain.access import Role, allows
from modelyard.errors import ModelyardError, PredictorFailed, QueueFull, StoreFailed, TooLarge, error_types
from modelyard.gateway.answers import HEADS_MAX, answer_head, model_error, prediction_error, status_line, variant_line
from modelyard.gateway.kept_body import HAS_ANONYMOUS_MEMORY, IN_MEMORY_BYTES_MAX, KeptBody
from modelyard.gateway.terms import Terms

if TYPE_CHECKING:
    from modelyard.gateway.captures import Taken
    from modelyard.gateway.connection import HttpConnection
    from modelyard.gateway.service import Service
    from modelyard.gateway.shadow import Copy, Shadow
    from modelyard.gateway.split import Choice
    from modelyard.gateway.target import Target

KEEP_BYTES = frames.CHUNK_BYTES if HAS_ANONYMOUS_MEMORY else IN_MEMORY_BYTES_MAX
"""Bodies over this are kept where the replica reads them by itself."""

HELD_BYTES_MAX = 512 * 2**20
"""Bodies that one gateway holds in memory at once; beyond it 503."""


class Prediction:
    is_copy = False
    """Whether nobody waits for its answer."""

    added_head = b""
    """Header lines of every answer, beside what the replica says."""

    __slots__ = (
        "_chunked",
        "_kept",
        "_owed",
        "_parts",
        "_size",
        "accept",
        "answered_by",
        "attempt",
        "begun",
        "body",
        "connection",
        "content_type",
        "copy",
        "deadline",
        "done",
        "given_id",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "sent_at",
        "service",
        "shadow",
        "signed",
        "started_at",
        "stream",
        "taken",
        "target",
        "terms",
        "times",
        "variant",
    )

    def __init__(
        self,
        connection: "HttpConnection",
        service: "Service",
        headers: list[tuple[bytes, bytes]],
        fields: dict[bytes, bytes],
        query: bytes | None,
        signed: bool,
    ) -> None:
        self.connection = connection
        self.service = service
        self.headers = headers
        self.content_type = fields.get(b"content-type")
        self.accept = fields.get(b"accept")
        self.query = query
        self.given_id: bytes | None = None
        self.method = b"POST"
        self.path: bytes | None = None
        """Below `/endpoints/NAME`, for a web application; None for a prediction."""
        self.signed = signed
        self.stream = connection.gateway.next_stream()
        self.keep_alive = True
        self.attempt = 1
        self.terms: Terms | None = None
        """Where one of the yard's own processes asks."""
        self.target: Target | None = None
        self.variant: bytes | None = None
        """Who the answer says gave it, where that is not the version."""
        self.answered_by: int | None = None
        """The version whose replica answered."""
        self.shadow: Shadow | None = None
        """Who gets a copy."""
        self.copy: Copy | None = None
        self.body = b""
        """What is sent: the body, or where it is kept."""
        self.begun = False
        self.done = False
        self.deadline = 0.0
        self.started_at = 0.0
        self.sent_at = 0.0
        """When it last went to a replica; what lies before is time in the queue."""
        self.taken: Taken | None = None
        """What is kept of it, while its answer comes in parts."""
        self.times = b""
        """What the replica says of its times (`frames.TIMES`)."""
        self._parts: list[bytes] = []
        self._size = 0
        self._kept: KeptBody | None = None
        self._chunked = False
        self._owed = 0

    @property
    def request_id(self) -> bytes:
        return self.given_id or b"%b%016x" % (self.connection.gateway.id_prefix, self.stream)

    @property
    def is_head(self) -> bool:
        """Whether the client wants the head of the answer alone."""
        return self.method == b"HEAD"

    def accept_terms(self, terms: Terms) -> None:
        self.terms = terms
        self.attempt = terms.attempt

    @property
    def body_bytes(self) -> int:
        return self._size

    @property
    def is_kept(self) -> bool:
        """Whether `body` is the place of the body."""
        return self._kept is not None or (self.terms is not None and self.terms.body_file is not None)

    @property
    def held_bytes(self) -> int:
        """What of the body is in memory, as long as nobody releases it."""
        return self._size if self._kept is None or self._kept.in_memory else 0

    # -- the request -------------------------------------------------------------------------------------------------

    def on_body(self, chunk: bytes) -> None:
        """Takes a piece of the body. Raises TooLarge, QueueFull (the gateway's memory), StoreFailed (the disk)."""
        limit = self.service.entry.max_body_bytes
        if self._size + len(chunk) > limit:
            raise too_large(limit)
        self._size += len(chunk)
        if self._kept is not None:
            self._keep(self._kept, chunk)
        else:
            self.connection.gateway.held_bytes += len(chunk)
            self._parts.append(chunk)
            if self._size > KEEP_BYTES:
                self._begin_to_keep()
        if self.held_bytes and self.connection.gateway.held_bytes > HELD_BYTES_MAX:
            raise QueueFull("cannot take the request: too many large bodies are under way", "try again later")

    def put_before(self, prefix: bytes) -> None:
        """Goes to the replica before the body; whoever is to answer, and with which limit, may not be known yet."""
        self._size += len(prefix)
        self.connection.gateway.held_bytes += len(prefix)
        self._parts.append(prefix)

    def on_complete(self) -> None:
        parts = self._parts
        if self._kept is not None:
            self._kept.complete()
            self.body = self._kept.reference
        elif self.terms is not None and self.terms.body_file is not None:
            self.body = self.terms.body_file.encode()
        elif parts:
            self.body = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []

    def start(self) -> None:
        # The loop's own time counts in whole milliseconds.
        self.started_at = time.monotonic()
        if self.shadow is None:
            self.service.submit(self)
            return
        copy = self.copy = self.shadow.copy(self)
        self.service.submit(self)
        if copy is not None:
            copy.start()

    def follow(self, choice: "Choice") -> None:
        """Goes where a split sends it."""
        self.service, self.variant, self.shadow = choice

    def _begin_to_keep(self) -> None:
        gateway = self.connection.gateway
        try:
            kept = KeptBody(gateway.spool, in_memory=HAS_ANONYMOUS_MEMORY)
        except OSError as error:
            if self._size <= IN_MEMORY_BYTES_MAX:
                return  # no descriptor is free; it can still go in frames
            raise _cannot_keep(error) from error
        parts, self._parts = self._parts, []
        self._kept = kept
        gateway.held_bytes -= self._size
        for part in parts:
            self._keep(kept, part)

    def _keep(self, kept: KeptBody, chunk: bytes) -> None:
        """Adds to what is kept, first in memory, then on disk. What is in memory counts as held."""
        gateway = self.connection.gateway
        try:
            kept.write(chunk)
            if kept.in_memory:
                gateway.held_bytes += len(chunk)
                if kept.size_bytes > IN_MEMORY_BYTES_MAX:
                    kept.move_to(gateway.spool)
                    gateway.held_bytes -= kept.size_bytes
        except OSError as error:
            raise _cannot_keep(error) from error

    # -- the answer --------------------------------------------------------------------------------------------------

    def answer(self, frame: Frame, version: int) -> None:
        """The replica's whole answer."""
        if self.done:
            return
        self.answered_by = version
        packed = self._take_times(frame)
        if frame.flags & frames.ERROR:
            self._fail_as_told(packed)
            return
        heads = self.service.heads
        key = (packed, self.variant or version)
        head = heads.get(key)
        if head is None:
            meta = frames.unpack_meta(packed)
            head = (*answer_head(meta, version, self.variant), meta.get("tracked"))
            if len(heads) >= HEADS_MAX:
                heads.clear()
            heads[key] = head
        if head[2] is not None and self.target is not None:
            self.target.figures.tracked.track(head[2])
        self._answer_whole(head[0], head[1], frame.payload)

    def begin(self, frame: Frame, version: int) -> None:
        """The head and the first part of a streamed answer."""
        if self.done or self.begun:
            return
        self.begun = True
        status, head = answer_head(frames.unpack_meta(self._take_times(frame)), version, self.variant)
        connection = self.connection
        self.service.count(self, status)
        if self.service.is_observed:
            self.taken = connection.gateway.observe_parts(self, status, head)
        self._chunked = connection.speaks_1_1
        if not self._chunked:
            self.keep_alive = False
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        connection.write_head(head + self.added_head + framing, self.request_id, self.keep_alive)
        self._write_part(frame.payload)

    def go_on(self, payload: bytes, *, ended: bool) -> None:
        """The next part of a streamed answer."""
        if self.done:
            return
        self._write_part(payload)
        if ended:
            if self.taken is not None:
                self.taken.end()
                self.taken = None
            if self._chunked and not self.is_head:
                self.connection.transport.write(b"0\r\n\r\n")
            self._release()
            self.connection.finished(self)

    def can_write(self) -> None:
        """The client has caught up: the replica may send what it was owed."""
        owed, self._owed = self._owed, 0
        if owed and self.target is not None:
            self.target.credit(self.stream, owed)

    def fail(self, error: ModelyardError, predictor_status: int | None = None) -> None:
        """Answers with an error; where the answer has begun already, breaks it off."""
        if self.done:
            return
        if self.begun:
            self.break_off()
            return
        status, head, body = self.word(error, predictor_status)
        self._finish(status, status_line(status) + head + self._given_by(), body)

    def word(self, error: ModelyardError, predictor_status: int | None = None) -> tuple[int, bytes, bytes]:
        """(status, header lines, body) of an error, as clients of this door know errors."""
        request_id = self.request_id.decode("latin-1")
        return prediction_error(
            error, request_id, signed=self.signed, predictor_status=predictor_status, endpoint=self.service.name
        )

    def break_off(self) -> None:
        """A streamed answer cannot go on. HTTP's only word for it is to close the connection."""
        if not self.done:
            self._release()
            self.connection.transport.abort()

    def abort(self) -> None:
        """The client is gone."""
        if not self.done:
            self.service.abandon(self)
            self._release()

    def _take_times(self, frame: Frame) -> bytes:
        """Meta without what a replica puts before it."""
        if not frame.flags & frames.TIMED:
            return frame.meta
        self.times = frame.meta[: frames.TIMES_BYTES]
        return frame.meta[frames.TIMES_BYTES :]

    def _fail_as_told(self, packed: bytes) -> None:
        meta = frames.unpack_meta(packed)
        kind = error_types().get(str(meta.get("error")), PredictorFailed)
        message, hint = str(meta.get("message") or "cannot predict: the predictor failed"), meta.get("hint")
        if kind is PredictorFailed:
            principal = self.connection.gateway.access.recognise(dict(self.headers))
            resource = f"endpoint/{self.service.name}"
            knows_all = principal is not None and allows(principal, Role.VIEWER, self.service.entry.project, resource)
            message = failure_sentence(str(meta.get("message") or ""), knows_all=knows_all)
            hint = (
                hint or f"`modelyard logs {self.service.name} --request {self.request_id.decode()}` has the traceback"
            )
        status = meta.get("status")
        self.fail(kind(message, hint), int(status) if status else None)

    def _answer_whole(self, status: int, head: bytes, body: bytes) -> None:
        if self.signed and status >= 400:
            status, lines, body = model_error(status, body, self.request_id.decode("latin-1"), self.service.name)
            head = status_line(status) + lines + self._given_by()
        self._finish(status, head, body)

    def _given_by(self) -> bytes:
        """The header line that says who gave an error, where a replica did."""
        return b"" if self.answered_by is None else variant_line(self.answered_by, self.variant)

    def _finish(self, status: int, head: bytes, body: bytes) -> None:
        connection = self.connection
        self.service.count(self, status)
        if self.copy is not None:
            self.copy.hear(status, body)
        if self.service.is_observed:
            connection.gateway.observe(self, status, head, body)
        self._release()
        connection.write_answer(head, body, self.request_id, self.keep_alive, is_head=self.is_head)
        connection.finished(self)

    def _write_part(self, payload: bytes) -> None:
        if payload:
            if self.taken is not None:
                self.taken.add(payload)
            if not self.is_head:
                transport = self.connection.transport
                transport.write(b"%x\r\n%b\r\n" % (len(payload), payload) if self._chunked else payload)
            self._owe(len(payload))

    def _owe(self, size: int) -> None:
        """So many bytes were taken from the replica and are on their way to the client."""
        self._owed += size
        if not self.connection.client_is_slow:
            self.can_write()

    def _release(self) -> None:
        self.done = True
        if self.taken is not None:
            self.taken.break_off()
            self.taken = None
        if self._kept is not None:
            if self._kept.in_memory:
                self.connection.gateway.held_bytes -= self._kept.size_bytes
            self._kept.drop()
            self._kept = None
        elif self._size:
            self.connection.gateway.held_bytes -= self._size
        self._size = 0
        self.body = b""
        self._parts = []


def _cannot_keep(error: OSError) -> StoreFailed:
    return StoreFailed(f"cannot keep the body: {error.strerror}", "free disk space under the home")


def failure_sentence(said: str, *, knows_all: bool) -> str:
    """What a caller hears of an exception, `ValueError: no such currency`: all of it who holds the key, its type alone
    everybody else, for an exception's text may hold what is not theirs to know."""
    name = said.partition(":")[0]
    told = said if knows_all else name if name.replace(".", "_").isidentifier() else ""
    return f"cannot predict: the predictor raised {told or 'an exception'}"


def too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"cannot take the body: it is over the endpoint's limit of {limit_bytes} bytes",
        "send less at once, or raise `max_body` of the endpoint (to 100Mi at most)",
    )
