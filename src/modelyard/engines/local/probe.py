"""Asks a replica for proof that it predicts, over its own socket and in its own protocol."""

import asyncio
from collections.abc import Callable

from modelyard_worker import frames
from modelyard_worker.frames import Frame, ProtocolError
from modelyard_worker.handshake import check_answer, greeting
from modelyard_worker.orders import ReplicaOrder

from modelyard.engines.ports import Probe

PROBE_SECONDS = 10.0
"""From handshake to the probe's answer. A forked replica that takes longer is taken to hang."""

PAUSE_SECONDS_FIRST = 0.002
PAUSE_SECONDS_MAX = 0.05
PAUSE_GROWTH = 1.1
"""A forked replica listens after 20 to 40 ms: what it is found late by is time that a request waits."""

READ_BYTES = 64 * 1024

NO_GATEWAY = "00000000"
"""In place of a gateway's id: what comes on this connection is no prediction."""


async def probe(order: ReplicaOrder, limit_seconds: float, probe_seconds: float, alive: Callable[[], bool]) -> Probe:
    """Waits for the replica's socket as long as its process lives, at most `limit_seconds`, then shakes hands and has
    it run its probe, for which it has `probe_seconds`."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + limit_seconds
    pause = PAUSE_SECONDS_FIRST
    while True:
        if not alive():
            return Probe(ok=False, reason="its process ended")
        try:
            reader, writer = await asyncio.open_unix_connection(order.socket)
        except OSError:
            if loop.time() >= limit:
                return Probe(ok=False, timed_out=True, reason=f"it was not ready within {limit_seconds:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, PAUSE_SECONDS_MAX)
            continue
        try:
            async with asyncio.timeout(probe_seconds):
                return await _converse(reader, writer, order)
        except TimeoutError:
            return Probe(ok=False, timed_out=True, reason=f"it did not answer its probe within {probe_seconds:g} s")
        except (OSError, ProtocolError) as error:
            return Probe(ok=False, reason=str(error) or "it closed the connection")
        finally:
            writer.close()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, order: ReplicaOrder) -> Probe:
    decoder = frames.Decoder(frames.FRAME_BYTES_MAX)
    greeted = greeting(order.token, order.id, order.package_digest, NO_GATEWAY)
    writer.write(frames.pack(frames.HELLO, 0, frames.pack_meta(greeted)))
    hello = await _next_frame(reader, decoder)
    meta = frames.unpack_meta(hello.meta)
    if hello.type != frames.HELLO:
        raise ProtocolError(str(meta.get("error") or "it did not greet"))
    check_answer(meta, greeted, order.token)
    writer.write(frames.pack(frames.PROBE, 0))
    answer = await _next_frame(reader, decoder)
    result = frames.unpack_meta(answer.meta)
    if answer.type != frames.PROBED:
        raise ProtocolError("it did not answer its probe")
    error = result.get("error")
    described = answer.payload.decode("utf-8", "replace")
    return Probe(ok=bool(result.get("ok")), reason=str(error) if error else None, description=described)


async def _next_frame(reader: asyncio.StreamReader, decoder: frames.Decoder) -> Frame:
    while True:
        data = await reader.read(READ_BYTES)
        if not data:
            raise ProtocolError("it closed the connection")
        received = decoder.feed(data)
        if received:
            return received[0]
