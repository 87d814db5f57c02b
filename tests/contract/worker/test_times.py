"""A gateway that asks for it hears with each answer how long the request waited and how long its call took."""

from typing import Any

import pytest
from modelyard_worker import frames
from modelyard_worker.frames import END, Frame, pack, pack_meta, unpack_meta

from tests.contract.worker.replica_harness import Client, Place, Replica

SLOW = """
import time

class Predictor:
    def predict_batch(self, payloads):
        time.sleep(0.05)
        return payloads
"""
STREAM = """
import time

class Predictor:
    def predict(self, payload):
        time.sleep(0.05)
        yield "first"
        time.sleep(5)
        yield "last"
"""
ASYNC = """
import asyncio

class Predictor:
    async def predict(self, payload):
        await asyncio.sleep(0.05)
        return payload
"""
LONG = """
import time

class Predictor:
    def predict(self, payload):
        time.sleep(0.05)
        return b"x" * 1_000_000
"""
THREADS = """
import time

class Predictor:
    def predict(self, payload):
        time.sleep(0.05)
        return payload
"""


def timed(replica: Replica) -> Client:
    client = replica.connect(greet=False)
    client.greet(replica.id, {"times": True})
    return client


def ask(client: Client, *bodies: bytes) -> list[tuple[float, float, int, dict[str, Any]]]:
    """(seconds waited, seconds of the call, members, meta) of each answer's first frame."""
    streams = [client.next_stream() for _ in bodies]
    meta = pack_meta({"type": "application/json"})
    pairs = zip(streams, bodies, strict=True)
    client.send(b"".join(pack(frames.REQUEST, stream, meta, body, END) for stream, body in pairs))
    found: dict[int, Frame] = {}
    while len(found) < len(bodies):
        frame = client.take()
        if frame.type == frames.ANSWER:
            found[frame.stream] = frame
    return [read(found[stream]) for stream in streams]


def read(frame: Frame) -> tuple[float, float, int, dict[str, Any]]:
    assert frame.flags & frames.TIMED
    waited, called, size = frames.TIMES.unpack(frame.meta[: frames.TIMES_BYTES])
    return waited * 1e-6, called * 1e-6, size, unpack_meta(frame.meta[frames.TIMES_BYTES :])


def test_the_members_of_a_batch_share_its_time_and_one_of_them_says_how_many_they_are(place: Place) -> None:
    with place.replica(place.package(SLOW), max_batch_size=4) as replica:
        client = timed(replica)
        answers = ask(client, *[b"1"] * 8)
        assert [size for _, _, size, _ in answers] == [4, 0, 0, 0, 4, 0, 0, 0]
        assert all(0.05 <= called < 0.5 for _, called, _, _ in answers)
        assert all(waited < 0.05 for waited, _, _, _ in answers[:4])
        assert all(0.05 <= waited < 0.5 for waited, _, _, _ in answers[4:])
        assert answers[0][3]["status"] == 200


@pytest.mark.parametrize(("code", "threads"), [(STREAM, 1), (ASYNC, 1), (LONG, 1), (THREADS, 2)])
def test_every_way_of_answering_says_it(place: Place, code: str, threads: int) -> None:
    with place.replica(place.package(code), threads=threads) as replica:
        [(waited, called, size, meta)] = ask(timed(replica), b"1")
        assert (size, meta["status"]) == (1, 200)
        assert waited < 0.05 <= called < 2.5


def test_a_prediction_that_raises_took_time_too(place: Place) -> None:
    code = "class Predictor:\n    def predict(self, payload):\n        raise ValueError(payload)\n"
    with place.replica(place.package(code)) as replica:
        [(_, _, size, meta)] = ask(timed(replica), b"1")
        assert (size, meta["error"]) == (1, "predictor_failed")


def test_a_gateway_that_does_not_ask_gets_answers_as_before(place: Place) -> None:
    with place.replica(place.package(THREADS)) as replica:
        answer = replica.connect().ask(1)
        assert (answer.json, answer.flags & frames.TIMED) == (1, 0)
