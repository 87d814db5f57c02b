"""One request inside a replica, and what its meta says."""

import os
from typing import Any, Dict, NamedTuple, Optional, Protocol, Sequence, Tuple
from urllib.parse import parse_qsl

from modelyard_worker import heap
from modelyard_worker.frames import unpack_meta
from modelyard_worker.media import known, media_type

METAS_MAX = 1024
"""Metas remembered by their bytes. Requests of one kind repeat the same bytes."""

META_REMEMBERED_BYTES_MAX = 2048
"""A longer meta is read each time: it has headers that will hardly come again."""


class Refusal(Exception):  # noqa: N818 (it is an answer to the caller, not a failure)
    """The request cannot be answered as it is. `status` is HTTP's, `code` a word of Modelyard's error tree."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def unreadable(message: str) -> Refusal:
    return Refusal(400, "invalid_value", message)


def unsupported(content_type: str, readable: str) -> Refusal:
    named = f"of type {content_type!r}" if content_type else "without a content type"
    return Refusal(415, "invalid_value", f"cannot read a body {named}: {readable} can be read here")


def unacceptable(accept: str, writable: str) -> Refusal:
    return Refusal(406, "invalid_value", f"cannot answer as {accept!r}: {writable} can be written here")


def too_large(size_bytes: int, limit_bytes: int) -> Refusal:
    return Refusal(413, "too_large", f"cannot take a body of {size_bytes} bytes: the limit is {limit_bytes}")


class Raw(NamedTuple):
    """The request line and the headers as they came, for web applications; empty where the gateway left them out."""

    method: str
    path: str
    query: str
    headers: Sequence[Tuple[str, str]]


class Meta(NamedTuple):
    """What a REQUEST's meta says. `key` is what the members of one batch have in common."""

    type: str
    """As the caller said it, without parameters."""
    kind: str
    """The same under the name that is used here."""
    accept: str
    key: Tuple[str, ...]
    headers: Dict[str, str]
    query: Dict[str, str]
    id: Optional[str]
    raw: "Raw"
    attempt: Optional[int] = None
    """Which attempt of a queued invocation it is."""
    model: str = ""
    """Which model is meant, where there are several."""
    model_version: str = ""
    traceparent: Optional[str] = None
    """The span that the predictor's own belong below, as W3C Trace Context writes it."""
    max_body_bytes: Optional[int] = None
    """Where another limit holds than this replica's."""

    @property
    def repeats(self) -> bool:
        """Whether another request may have the very same."""
        return self.id is None and self.attempt is None and self.traceparent is None


def read_meta(meta: bytes) -> Meta:
    """Raises ProtocolError where the bytes are not a JSON object."""
    found = unpack_meta(meta)
    kind = media_type(str(found.get("type") or ""))
    accept = str(found.get("accept") or "").strip()
    query = str(found.get("query") or "")
    identifier = found.get("id")
    model, version = str(found.get("model") or ""), str(found.get("model_version") or "")
    headers = [(str(name), str(value)) for name, value in found.get("headers") or ()]
    return Meta(
        kind,
        known(kind),
        accept,
        (kind, accept, model, version),
        _headers(headers),
        dict(parse_qsl(query, keep_blank_values=True)),
        str(identifier) if identifier else None,
        Raw(str(found.get("method") or ""), str(found.get("path") or ""), query, headers),
        found.get("attempt"),
        model,
        version,
        found.get("traceparent"),
        found.get("max_body_bytes"),
    )


def _headers(pairs: Sequence[Tuple[str, str]]) -> Dict[str, str]:
    """Headers by lower-case name; the values of one that came several times with commas between (RFC 9110, 5.3)."""
    headers: Dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


class Metas:
    """Reads metas, each different one once."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: Dict[bytes, Meta] = {}

    def read(self, meta: bytes) -> Meta:
        """Raises ProtocolError where the bytes are not a JSON object."""
        found = self._known.get(meta)
        if found is None:
            found = read_meta(meta)
            if found.repeats and len(meta) <= META_REMEMBERED_BYTES_MAX:
                if len(self._known) >= METAS_MAX:
                    self._known.clear()
                self._known[meta] = found
        return found


class Caller(Protocol):
    """The connection that a request came on, as far as a request needs it."""

    gateway: str
    """Prefix of the request ids that this gateway gives."""


class Request:
    """A request whose body is complete: in memory, or in the file at `path`."""

    __slots__ = (
        "arrived_at",
        "attempt",
        "began_at",
        "body",
        "caller",
        "cancelled",
        "held_bytes",
        "inode",
        "meta",
        "path",
        "single",
        "stream",
        "times",
    )

    def __init__(
        self,
        caller: Any,  # a connection; Any keeps the floors of this distribution apart without a cast per request
        stream: int,
        meta: Meta,
        body: bytes,
        attempt: int = 1,
        path: Optional[str] = None,
        arrived_at: float = 0.0,
    ) -> None:
        self.caller = caller
        self.stream = stream
        self.meta = meta
        self.body = body
        self.attempt = attempt
        self.path = path
        self.inode: Optional[int] = None
        """Of the very file that is meant, where something else may be found at its path later."""
        self.single = attempt > 1 or path is not None
        """Never in a batch with others."""
        self.cancelled = False
        self.arrived_at = arrived_at
        """Monotonic time at which its body was complete; `began_at` is when its call began."""
        self.began_at = arrived_at
        self.times = b""
        """What ANSWER says of it (`frames.TIMES`), once its call has ended."""
        self.held_bytes = 0
        """What of it counts against the replica's limit for bodies in memory."""

    @property
    def id(self) -> str:
        """What people find it by: given by the caller, else the gateway's prefix and the stream."""
        return self.meta.id or f"{self.caller.gateway}{self.stream:016x}"

    def fetch_body(self, limit_bytes: int) -> None:
        """Reads a body that waits in a file. Raises Refusal where it is over the limit or cannot be read."""
        if self.path is None:
            return
        heap.keep_freed()
        limit_bytes = self.meta.max_body_bytes or limit_bytes
        try:
            with open(self.path, "rb", buffering=0) as file:
                found = os.fstat(file.fileno())
                if self.inode not in (None, found.st_ino):
                    raise unreadable("cannot read the body: it was given up with its request")
                if found.st_size > limit_bytes:
                    raise too_large(found.st_size, limit_bytes)
                self.body = file.read(found.st_size) or b""
        except OSError as error:
            raise unreadable(f"cannot read the body kept in {self.path}: {error.strerror}") from error
