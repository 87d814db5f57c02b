"""An answer that cannot be sent is no silence: whoever asked hears of it at once, and the others get theirs."""

import asyncio
import struct
from typing import Any

import pytest
from modelyard_worker import frames
from modelyard_worker.batching import deliver
from modelyard_worker.frames import Decoder, pack_meta
from modelyard_worker.outgoing import Outgoing
from modelyard_worker.request import Request


class Caller:
    """A gateway that cannot be sent anything long."""

    takes_times = False
    gateway = "0" * 8

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.sent = b""
        self.writable = asyncio.Event()

    def flush(self) -> None:
        self.send(b"".join(self.out))
        self.out.clear()

    def send(self, data: bytes) -> None:
        self.sent += data

    def send_long(self, *_: Any) -> None:
        raise RuntimeError("cannot send it")

    @property
    def answers(self) -> dict[int, frames.Frame]:
        return {frame.stream: frame for frame in Decoder().feed(self.sent)}


class Meta:
    """As much of a request's meta as the answer to it needs."""

    key = ("application/json", "")
    max_body_bytes = None
    id = ""


def request_of(caller: Caller, stream: int) -> Request:
    return Request(caller, stream, Meta(), b"", 1, None, 0.0)  # type: ignore[arg-type]  # nothing else is read


@pytest.mark.parametrize("bad", ["no bytes", b"x" * (frames.CHUNK_BYTES + 1)], ids=["no bytes", "too long"])
def test_one_answer_that_cannot_be_sent_does_not_silence_its_batch(bad: Any) -> None:
    caller = Caller()
    meta = pack_meta({"status": 200})
    deliver(
        [request_of(caller, stream) for stream in (1, 2, 3)],
        [(frames.END, meta, b"1"), (frames.END, meta, bad), (frames.END, meta, b"3")],
    )
    found = caller.answers
    assert [found[stream].payload for stream in (1, 3)] == [b"1", b"3"]
    assert found[2].flags == frames.ERROR | frames.END
    assert b"RuntimeError: cannot send it" in found[2].meta


def test_a_head_that_is_too_long_for_a_frame_is_an_error_too() -> None:
    caller = Caller()
    with pytest.raises(struct.error):
        frames.HEADER.pack(0, 0, 0, 70_000, 0)
    deliver([request_of(caller, 1)], [(frames.END, b"m" * 70_000, b"1")])
    assert caller.answers[1].flags == frames.ERROR | frames.END


def test_a_long_answer_that_cannot_begin_is_an_error() -> None:
    async def send() -> Caller:
        caller = Caller()
        caller.writable.set()
        await Outgoing(caller, request_of(caller, 1)).send_body(b"m" * 70_000, b"x")
        return caller

    assert asyncio.run(send()).answers[1].flags == frames.ERROR | frames.END
