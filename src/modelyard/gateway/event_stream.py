"""SageMaker's `invocations-response-stream`: the answer as AWS's event stream, `vnd.amazon.eventstream`.

A message is a prelude, headers, a payload and checksums, all big-endian:

    4  length of the whole message, bytes
    4  length of the headers, bytes
    4  CRC-32 of these eight bytes
    .  headers, each: length of the name (1), the name, 7 for a string, length of the value (2), the value
    .  payload
    4  CRC-32 of everything before it

Each part that the predictor makes is an event `PayloadPart`; what breaks off in the middle ends with the exception
`ModelStreamError`, so that a client can tell a whole answer from a half one.
"""

import json
import struct
import zlib
from typing import TYPE_CHECKING

from modelyard_worker import frames
from modelyard_worker.frames import Frame

from modelyard.gateway.answers import answer_head, status_line
from modelyard.gateway.prediction import Prediction
from modelyard.gateway.service import Service

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection

STREAM_TYPE = b"application/vnd.amazon.eventstream"

_STRING = 7
_U32 = struct.Struct("!I")


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of an event stream."""
    packed = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack("!II", len(packed) + len(payload) + 16, len(packed))
    whole = prelude + _U32.pack(zlib.crc32(prelude)) + packed + payload
    return whole + _U32.pack(zlib.crc32(whole))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(f"!B{len(name)}sBH", len(name), name, _STRING, len(value)) + value


def payload_part(payload: bytes) -> bytes:
    headers = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    return message(headers, payload)


def stream_error(code: str, text: str) -> bytes:
    headers = {
        ":message-type": "exception",
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
    }
    return message(headers, json.dumps({"Message": text, "ErrorCode": code}).encode())


class EventStream(Prediction):
    """A prediction whose answer is an event stream, whether the predictor makes it in parts or at once. Errors before
    the first part are answered as for any other client of SageMaker's."""

    __slots__ = ()

    def __init__(
        self,
        connection: "HttpConnection",
        service: Service,
        headers: list[tuple[bytes, bytes]],
        fields: dict[bytes, bytes],
        query: bytes | None,
        signed: bool,
    ) -> None:
        # Whoever asks for this stream is a client of SageMaker's, signed or not.
        super().__init__(connection, service, headers, fields, query, signed=True)
        self.accept = fields.get(b"x-amzn-sagemaker-accept", self.accept)

    def begin(self, frame: Frame, version: int) -> None:
        if self.done or self.begun:
            return
        status, head = answer_head(frames.unpack_meta(self._take_times(frame)), version, self.variant)
        self._begin_stream(status, head)
        self._write_part(frame.payload)

    def break_off(self) -> None:
        if self.done:
            return
        if self.begun:
            sentence = f"cannot go on: the answer of endpoint {self.service.name} broke off"
            self._write_chunk(stream_error("StreamBroken", sentence))
            self._end_stream(whole=False)
            return
        super().break_off()

    def _answer_whole(self, status: int, head: bytes, body: bytes) -> None:
        if status >= 400:
            super()._answer_whole(status, head, body)
            return
        self._begin_stream(status, head)
        for part, _ in frames.parts(body):
            self._write_part(part)
        self._end_stream()

    def _begin_stream(self, status: int, head: bytes) -> None:
        """`head` is the plain answer's: the content type in it becomes the parts' own."""
        self.begun = True
        connection = self.connection
        self.service.count(self, status)
        if self.service.entry.capture is not None:
            self.taken = connection.gateway.captures.begin(self, status, head)
        self._chunked = connection.speaks_1_1
        if not self._chunked:
            self.keep_alive = False
        lines = head[len(status_line(status)) :].replace(b"content-type:", b"x-amzn-sagemaker-content-type:", 1)
        framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
        connection.write_head(
            b"%bcontent-type: %b\r\n%b%b" % (status_line(status), STREAM_TYPE, lines, framing),
            self.request_id,
            self.keep_alive,
        )

    def _write_part(self, payload: bytes) -> None:
        if payload:
            if self.taken is not None:
                self.taken.add(payload)
            self._write_chunk(payload_part(payload))
            self._owe(len(payload))

    def _write_chunk(self, data: bytes) -> None:
        self.connection.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _end_stream(self, *, whole: bool = True) -> None:
        if self.taken is not None and whole:
            self.taken.end()
            self.taken = None
        if self._chunked:
            self.connection.transport.write(b"0\r\n\r\n")
        self._release()
        self.connection.finished(self)
