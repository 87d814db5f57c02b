"""A body that goes in frames goes no further than the replica gives credit."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from modelyard_worker import frames
from modelyard_worker.handshake import check_greeting

from modelyard.gateway.target import Target
from modelyard.protocol.table import ReplicaAddress

BODY = bytes(range(256)) * 4096 * 3
ADDRESS = ReplicaAddress(id="r1", socket="/nowhere", token="t" * 64, package="p" * 64, version=1)


class Wire:
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        self.decoder = frames.Decoder(frames.FRAME_BYTES_MAX)
        self.frames: list[frames.Frame] = []

    def abort(self) -> None:
        raise AssertionError("the target gave the replica up")

    def write(self, data: bytes) -> None:
        self.frames += self.decoder.feed(data)

    def body(self) -> bytes:
        return b"".join(one.payload for one in self.frames if one.type in (frames.REQUEST, frames.BODY))


def prediction(body: bytes) -> Any:
    return SimpleNamespace(
        stream=7, body=body, is_kept=False, attempt=1, path=None, query=None, given_id=None, content_type=None,
        accept=None, terms=None, headers=[],
    )  # fmt: skip


def greet(given: int | None, states: int, *, batches: bool = False) -> tuple[Target, Wire]:
    """A target whose replica has said what it takes; `given` is what the yard file says. Called on a running loop."""
    service = SimpleNamespace(
        name="one",
        entry=SimpleNamespace(max_in_flight=given),
        queue=(),
        tracer=None,
        is_web_app=None,
        target_ready=lambda _: None,
        figures_of=lambda _: None,
    )
    target, wire = Target(ADDRESS, cast("Any", service), "0" * 8), Wire()
    target.connection_made(cast("Any", wire))
    meta = frames.unpack_meta(wire.frames[0].meta)
    version, proof = check_greeting(meta, ADDRESS.token, ADDRESS.id, ADDRESS.package)
    says = {"max_in_flight": states, "batches": batches}
    answer = {"version": version, "replica": ADDRESS.id, "package": ADDRESS.package, "proof": proof, **says}
    target.data_received(frames.pack(frames.HELLO, 0, frames.pack_meta(answer)))
    return target, wire


def test_a_body_in_frames_stops_at_the_window_and_goes_on_with_credit() -> None:
    async def story() -> None:
        target, wire = greet(given=4, states=4)
        target.send(prediction(BODY))
        await asyncio.sleep(0)
        assert wire.body() == BODY[: frames.WINDOW_BYTES]
        target.data_received(frames.pack(frames.CREDIT, 7, payload=len(BODY).to_bytes(4, "big")))
        await asyncio.sleep(0)
        assert wire.body() == BODY
        assert [bool(one.flags & frames.END) for one in wire.frames][-2:] == [False, True]

    asyncio.run(story())
