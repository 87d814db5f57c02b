"""What the coordinator and a scorer say to each other: a JSON object and a body, both with their length before them."""

import json
import socket
import struct
from typing import Any, Dict, Tuple

_LENGTHS = struct.Struct(">IQ")

BODY_BYTES_MAX = 4 * 2**30

Message = Tuple[Dict[str, Any], bytes]


def send(wire: socket.socket, head: Dict[str, Any], body: bytes = b"") -> None:
    text = json.dumps(head).encode()
    wire.sendall(_LENGTHS.pack(len(text), len(body)) + text)
    if body:
        wire.sendall(body)


def receive(wire: socket.socket) -> Message:
    """Waits for a whole message. Raises EOFError where the other side is gone."""
    head_bytes, body_bytes = _LENGTHS.unpack(_exactly(wire, _LENGTHS.size))
    if body_bytes > BODY_BYTES_MAX:
        raise ValueError(f"cannot take a message of {body_bytes} bytes")
    return json.loads(_exactly(wire, head_bytes)), bytes(_exactly(wire, body_bytes))


def _exactly(wire: socket.socket, count: int) -> bytearray:
    held = bytearray(count)
    view, at = memoryview(held), 0
    while at < count:
        got = wire.recv_into(view[at:])
        if not got:
            raise EOFError("the other side is gone")
        at += got
    view.release()
    return held
