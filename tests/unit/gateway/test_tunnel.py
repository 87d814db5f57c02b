"""Whoever has a WebSocket to an app that goes away is told so, in a frame that stands in the middle of no other."""

import asyncio
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from modelyard.gateway.tunnel import GOING_AWAY, Frames, WebSocketSide

LENGTHS = st.sampled_from((0, 1, 125, 126, 127, 65_535, 65_536, 70_000))


@given(st.lists(LENGTHS, max_size=5), st.data())
def test_a_close_may_follow_whole_frames_and_never_a_part_of_one(lengths: list[int], data: st.DataObject) -> None:
    whole = [Frame(Opcode.BINARY, bytes(length)).serialize(mask=False) for length in lengths]
    stream = b"".join(whole)
    ends = {0, *(sum(map(len, whole[: number + 1])) for number in range(len(whole)))}
    near = sorted({min(max(0, end + step), len(stream)) for end in ends for step in range(-3, 12)})
    cuts = sorted(data.draw(st.sets(st.sampled_from(near))))
    frames, at = Frames(), 0
    for cut in (*cuts, len(stream)):
        frames.take(stream[at:cut])
        at = cut
        assert frames.may_close == (at in ends)


def test_what_the_app_closed_itself_is_not_closed_again() -> None:
    frames = Frames()
    frames.take(Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False))
    assert not frames.may_close


def test_the_frame_says_that_the_app_is_going_away() -> None:
    assert Frame(Opcode.CLOSE, (1001).to_bytes(2, "big")).serialize(mask=False) == GOING_AWAY


class Wire:
    """The client's side of a tunnel."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = ""

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return bool(self.closed)

    def close(self) -> None:
        self.closed = "closed"

    def abort(self) -> None:
        self.closed = "aborted"


@pytest.mark.parametrize(("sent", "told"), [(b"\x81\x02hi", True), (b"\x81\x05hi", False)])
def test_a_client_whose_app_is_killed_hears_of_it_where_it_can_be_told(sent: bytes, told: bool) -> None:
    client, ended = Wire(), list[bool]()
    wire = cast("asyncio.Transport", client)
    side = WebSocketSide(wire, wire, lambda: ended.append(True))
    side.data_received(sent)
    side.connection_lost(ConnectionResetError())
    assert client.written == sent + (GOING_AWAY if told else b"")
    assert (client.closed, ended) == ("closed" if told else "aborted", [True])


@pytest.mark.parametrize(("sent", "told"), [(b"\x81\x02hi", True), (b"\x81\x05hi", False)])
def test_whoever_is_put_out_hears_why_where_they_can_be_told(sent: bytes, told: bool) -> None:
    client, app = Wire(), Wire()
    side = WebSocketSide(cast("asyncio.Transport", app), cast("asyncio.Transport", client), lambda: None)
    side.data_received(sent)
    side.put_out()
    assert client.written == sent + (
        Frame(Opcode.CLOSE, (1008).to_bytes(2, "big")).serialize(mask=False) if told else b""
    )
    assert (client.closed, app.closed) == ("closed", "aborted")
