"""Frames: how a gateway and a replica talk over one connection, many requests in flight.

A frame is a 16-byte header, then `meta`, then `payload`:

    offset  size  field
    0       4     length of meta and payload together, bytes, big-endian
    4       1     type
    5       1     flags
    6       2     length of meta, bytes
    8       8     stream: one number per request, unique in the gateway that gave it

`meta` is a JSON object or empty. Requests of one kind repeat the same meta bytes, so both sides look it up by its bytes
instead of reading it again.

    type      from     meta                                         payload
    HELLO     both     see `handshake`                              -
    REQUEST   gateway  type, accept?, query?, headers?, id?,        first part of the body; a path with FILE
                       method?, path?, attempt?, max_body_bytes?,
                       model?, model_version?, traceparent?
    BODY      both     -                                            next part; END marks the last
    CREDIT    both     -                                            4 bytes: how many more body bytes may be sent
    ANSWER    replica  status, type, headers?, tracked?;            first part of the answer's body
                       error?, message?; behind TIMES with TIMED
    CANCEL    both     error?, message?                             - ; the stream is over: client gone, deadline
                                                                    passed, or an answer broke off; a replica ends
                                                                    each stream, cancelled ones by its own CANCEL
    PROBE     gateway  -                                            -
    PROBED    replica  ok, error?                                   what it serves, as JSON (see `schemas`)
    GOAWAY    replica  error?                                       - ; no new requests, please: it is leaving

Flow: on each stream and in each direction a sender may have WINDOW_BYTES of body under way; CREDIT gives more. The
first part, in REQUEST or ANSWER, is at most CHUNK_BYTES and counts against the window. Bodies that the gateway keeps in
a file travel as a path (flag FILE).

A body of type TENSORS is one of the Open Inference Protocol: TENSORS_PREFIX, the length of its JSON in bytes (0 where
all of it is JSON), then what the client sent.
"""

import json
import struct
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

VERSIONS = (1, 1)
"""Oldest and newest version of this protocol that this code speaks."""

HEADER = struct.Struct("!IBBHQ")
HEADER_BYTES = HEADER.size
CHUNK_BYTES = 256 * 1024
WINDOW_BYTES = 1024 * 1024
META_BYTES_MAX = 65535
FRAME_BYTES_MAX = CHUNK_BYTES + META_BYTES_MAX
HELLO_BYTES_MAX = 4096
"""Before the handshake is done, no frame may be longer."""

TENSORS = "application/x-modelyard-tensors"
TENSORS_PREFIX = struct.Struct("!I")

HELLO = 1
REQUEST = 2
BODY = 3
CREDIT = 4
ANSWER = 5
CANCEL = 6
PROBE = 7
PROBED = 8
GOAWAY = 9

END = 1
"""The body is complete with this frame."""
ALONE = 2
"""Run this request by itself: it was in a replica that died."""
FILE = 4
"""The payload is the path of a file that holds the body; after a zero byte, where one is, its inode."""
ERROR = 8
"""The answer is an error: meta has `error` (a code) and `message`; the gateway words the body."""


TIMED = 16
"""Meta begins with TIMES, TIMES_BYTES long: how long the request waited here and how long its call took (up to the
first part, where the answer has parts), in microseconds, and how many requests the call held; 0 where another of them
says so. Outside of the JSON, so that the rest of meta is the same bytes from answer to answer. A gateway that
understands it says so in its HELLO (`times`)."""

TIMES = struct.Struct("!IIH")
TIMES_BYTES = TIMES.size


class ProtocolError(Exception):
    """The peer sent what no peer of ours sends. The connection must be closed."""


class Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    meta: bytes
    payload: bytes


def pack(type: int, stream: int, meta: bytes = b"", payload: bytes = b"", flags: int = 0) -> bytes:  # noqa: A002
    """One frame as bytes. Raises ProtocolError where meta is over its limit."""
    if len(meta) > META_BYTES_MAX:
        raise ProtocolError(f"cannot send {len(meta)} bytes of meta: the limit is {META_BYTES_MAX}")
    return HEADER.pack(len(meta) + len(payload), type, flags, len(meta), stream) + meta + payload


def pack_meta(meta: Dict[str, Any]) -> bytes:
    return json.dumps(meta, separators=(",", ":")).encode()


def unpack_meta(meta: bytes) -> Dict[str, Any]:
    """Raises ProtocolError where meta is not a JSON object."""
    try:
        found: Any = json.loads(meta) if meta else {}
    except ValueError as error:
        raise ProtocolError("cannot read meta: not JSON") from error
    if not isinstance(found, dict):
        raise ProtocolError("cannot read meta: not a JSON object")
    return found  # pyright: ignore[reportUnknownVariableType]


class Decoder:
    """Cuts a stream of bytes into frames. `limit_bytes` bounds one frame and may be raised after the handshake."""

    __slots__ = ("_kept", "limit_bytes")

    def __init__(self, limit_bytes: int = HELLO_BYTES_MAX) -> None:
        self._kept = b""
        self.limit_bytes = limit_bytes

    def feed(self, data: bytes) -> List[Frame]:
        """Frames completed by `data`, in order. Raises ProtocolError where a frame is over the limit."""
        if self._kept:
            data = self._kept + data
        frames: List[Frame] = []
        position = 0
        end = len(data)
        unpack = HEADER.unpack_from
        while end - position >= HEADER_BYTES:
            length, kind, flags, meta_length, stream = unpack(data, position)
            if length > self.limit_bytes or meta_length > length:
                raise ProtocolError(f"cannot take a frame of {length} bytes: the limit is {self.limit_bytes}")
            begin = position + HEADER_BYTES
            if end - begin < length:
                break
            middle = begin + meta_length
            position = begin + length
            frames.append(Frame(kind, flags, stream, data[begin:middle], data[middle:position]))
        self._kept = data[position:] if position else data
        return frames


def parts(body: bytes) -> Iterator[Tuple[bytes, bool]]:
    """A body in pieces of at most CHUNK_BYTES, each with whether it is the last. An empty body is one empty piece."""
    if len(body) <= CHUNK_BYTES:
        yield body, True
        return
    for begin in range(0, len(body), CHUNK_BYTES):
        yield body[begin : begin + CHUNK_BYTES], begin + CHUNK_BYTES >= len(body)
