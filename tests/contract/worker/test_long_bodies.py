"""Bodies that take more than one frame, both ways, and answers that come in parts."""

import json
from pathlib import Path

from modelyard_worker import frames
from modelyard_worker.frames import CHUNK_BYTES, END, FILE, WINDOW_BYTES, pack, pack_meta, unpack_meta
from modelyard_worker.intake import HELD_BYTES_MAX

from tests.contract.worker.replica_harness import Place, wait_until

BYTES = "application/octet-stream"

SIZE = """
import hashlib

class Predictor:
    def __init__(self, config):
        pass

    def predict(self, payload: bytes):
        if payload.startswith(b"give "):
            return bytes(range(256)) * (int(payload[5:]) // 256)
        return {"size": len(payload), "sha256": hashlib.sha256(payload).hexdigest()}
"""


def test_a_long_body_arrives_whole(place: Place) -> None:
    with place.replica(place.package(SIZE)) as replica:
        client = replica.connect()
        body = bytes(range(256)) * (5 * 2**20 // 256)
        assert client.ask(body, BYTES).json["size"] == len(body)


def test_a_long_answer_arrives_whole_as_credit_is_given(place: Place) -> None:
    with place.replica(place.package(SIZE)) as replica:
        client = replica.connect()
        answer = client.ask(b"give 8388608", BYTES)
        assert answer.body == bytes(range(256)) * 32768
        assert answer.parts == 32


def test_no_more_of_an_answer_is_sent_than_was_granted(place: Place) -> None:
    with place.replica(place.package(SIZE)) as replica:
        client = replica.connect()
        stream = client.request(b"give 8388608", BYTES)
        came = 0
        while came < WINDOW_BYTES:
            came += len(client.take().payload)
        # Another request is answered while this one waits, and nothing more of it comes.
        assert client.ask(b"x", BYTES).json["size"] == 1
        client.send(pack(frames.CREDIT, stream, payload=CHUNK_BYTES.to_bytes(4, "big")))
        assert len(client.take().payload) == CHUNK_BYTES
        assert came == WINDOW_BYTES


def test_a_body_over_the_limit_is_refused_before_it_is_whole(place: Place) -> None:
    with place.replica(place.package(SIZE), max_body_bytes=300_000) as replica:
        client = replica.connect()
        stream = client.next_stream()
        client.send(pack(frames.REQUEST, stream, pack_meta({"type": BYTES}), b"x" * CHUNK_BYTES))
        client.send(pack(frames.BODY, stream, payload=b"x" * 100_000))
        answer = client.answers([stream])[stream]
        assert (answer.status, answer.meta["error"]) == (413, "too_large")
        client.send(pack(frames.BODY, stream, payload=b"x" * 1000, flags=END))
        assert client.ask(b"x", BYTES).json["size"] == 1


def test_a_short_body_over_the_limit_is_refused(place: Place) -> None:
    with place.replica(place.package(SIZE), max_body_bytes=10) as replica:
        assert replica.connect().ask(b"x" * 11, BYTES).status == 413


def test_a_body_kept_in_a_file_is_read_from_there(place: Place, tmp_path: Path) -> None:
    with place.replica(place.package(SIZE), max_body_bytes=1000) as replica:
        client = replica.connect()
        path = tmp_path / "body"
        path.write_bytes(b"y" * 1000)
        assert client.ask(str(path).encode(), BYTES, flags=END | FILE).json["size"] == 1000
        path.write_bytes(b"y" * 1001)
        assert client.ask(str(path).encode(), BYTES, flags=END | FILE).status == 413
        path.unlink()
        assert client.ask(str(path).encode(), BYTES, flags=END | FILE).status == 400


def test_another_file_that_is_found_at_the_path_later_is_never_read(place: Place, tmp_path: Path) -> None:
    with place.replica(place.package(SIZE)) as replica:
        client = replica.connect()
        path = tmp_path / "body"
        path.write_bytes(b"y" * 1000)
        inode = path.stat().st_ino
        assert client.ask(f"{path}\0{inode}".encode(), BYTES, flags=END | FILE).json["size"] == 1000
        assert client.ask(f"{path}\0{inode + 1}".encode(), BYTES, flags=END | FILE).status == 400


def test_credit_is_withheld_over_the_limit_but_never_from_the_oldest(place: Place) -> None:
    with place.replica(place.package(SIZE), max_body_bytes=HELD_BYTES_MAX) as replica:
        client = replica.connect()
        streams = [client.next_stream() for _ in range(HELD_BYTES_MAX // WINDOW_BYTES + 8)]
        granted = dict.fromkeys(streams, 0)
        for stream in streams:
            client.send(pack(frames.REQUEST, stream, pack_meta({"type": BYTES}), b"x" * CHUNK_BYTES))
            for _ in range(3):
                client.send(pack(frames.BODY, stream, payload=b"x" * CHUNK_BYTES))
        assert client.ask(b"x", BYTES).json["size"] == 1
        while client.waiting:
            frame = client.take()
            assert frame.type == frames.CREDIT
            granted[frame.stream] += int.from_bytes(frame.payload, "big")
        assert HELD_BYTES_MAX <= sum(granted.values()) <= HELD_BYTES_MAX + WINDOW_BYTES
        assert [granted[stream] for stream in streams[-4:]] == [0] * 4
        client.send(pack(frames.BODY, streams[0], payload=b"x" * CHUNK_BYTES))
        frame = client.take()
        assert (frame.type, frame.stream) == (frames.CREDIT, streams[0])
        client.send(pack(frames.CANCEL, streams[1]))
        client.send(pack(frames.BODY, streams[0], payload=b"", flags=END))
        frame = client.take()
        while frame.type != frames.ANSWER:
            frame = client.take()
        assert frame.stream == streams[0]
        assert json.loads(frame.payload)["size"] == 5 * CHUNK_BYTES


STREAMING = """
import asyncio
import os
import threading
import time

class Predictor:
    def __init__(self, config):
        self.closed = []

    def predict(self, payload):
        if payload == "closed":
            return self.closed
        if payload == "thread":
            return self.thread()
        return self.parts(payload)

    def thread(self):
        yield threading.current_thread().name

    def parts(self, payload):
        try:
            for number in range(payload["count"]):
                if payload.get("fail") == number:
                    raise ValueError("no more")
                yield payload.get("text", "part") + str(number)
                if payload.get("wait"):
                    while not os.path.exists("go"):
                        time.sleep(0.001)
        finally:
            self.closed.append(payload["count"])
"""

STREAMING_ASYNC = """
import asyncio

class Predictor:
    def __init__(self, config):
        self.closed = 0

    async def predict(self, payload):
        if payload == "closed":
            yield {"closed": self.closed}
            return
        try:
            for number in range(payload):
                yield {"number": number}
                await asyncio.sleep(0)
            if payload == 1:
                await asyncio.Event().wait()
        finally:
            self.closed += 1
"""


def test_a_generators_parts_arrive_as_they_are_made(place: Place) -> None:
    package = place.package(STREAMING)
    with place.replica(package) as replica:
        client = replica.connect()
        stream = client.request(b'{"count": 2, "wait": true}')
        first = client.take()
        assert (first.type, first.payload, first.flags) == (frames.ANSWER, b"part0", 0)
        assert unpack_meta(first.meta) == {"status": 200, "type": "text/plain; charset=utf-8"}
        # The loop answers others while the generator takes its time.
        assert client.ask("closed").json == []
        (package / "code" / "go").touch()
        second, last = client.take(), client.take()
        assert (second.type, second.payload) == (frames.BODY, b"part1")
        assert (last.type, last.payload, last.flags) == (frames.BODY, b"", END)
        assert stream == last.stream


def test_a_generator_runs_beside_the_loop(place: Place) -> None:
    with place.replica(place.package(STREAMING)) as replica:
        assert replica.connect().ask("thread").body == b"parts_0"


def test_an_empty_generator_is_an_empty_answer(place: Place) -> None:
    with place.replica(place.package(STREAMING)) as replica:
        answer = replica.connect().ask({"count": 0})
        assert (answer.status, answer.body, answer.flags) == (200, b"", END)


def test_events_are_framed_for_those_who_ask_for_them(place: Place) -> None:
    with place.replica(place.package(STREAMING)) as replica:
        answer = replica.connect().ask({"count": 2, "text": "a\nb"}, accept="text/event-stream")
        assert answer.meta["type"] == "text/event-stream"
        assert answer.body == b"data: a\ndata: b0\n\ndata: a\ndata: b1\n\n"


def test_a_generator_that_raises_at_once_is_an_error(place: Place) -> None:
    with place.replica(place.package(STREAMING)) as replica:
        answer = replica.connect().ask({"count": 2, "fail": 0})
        assert (answer.status, answer.meta["message"]) == (500, "ValueError: no more")


def test_a_generator_that_raises_later_breaks_its_answer_off(place: Place) -> None:
    with place.replica(place.package(STREAMING)) as replica:
        answer = replica.connect().ask({"count": 5, "fail": 2})
        assert answer.body == b"part0part1"
        assert answer.meta["message"] == "ValueError: no more"
        assert "the predictor raised after its answer had begun" in replica.output


def test_cancel_closes_a_generator(place: Place) -> None:
    package = place.package(STREAMING)
    with place.replica(package) as replica:
        client = replica.connect()
        stream = client.request(b'{"count": 1000000, "wait": true}')
        client.take()
        client.send(pack(frames.CANCEL, stream))
        (package / "code" / "go").touch()
        wait_until(lambda: client.ask("closed").json == [1000000], "the generator being closed")


def test_a_generator_waits_for_credit(place: Place) -> None:
    text = "x" * 1000
    with place.replica(place.package(STREAMING)) as replica:
        client = replica.connect()
        stream = client.request(json.dumps({"count": 3000, "text": text}).encode())
        came = 0
        while came + 2000 < WINDOW_BYTES:
            came += len(client.take().payload)
        assert client.ask("closed").json == []
        client.send(pack(frames.CREDIT, stream, payload=(4 * 2**20).to_bytes(4, "big")))
        while not client.take().flags & END:
            pass
        assert client.ask("closed").json == [3000]


def test_async_generators_stream_and_are_closed_by_cancel(place: Place) -> None:
    with place.replica(place.package(STREAMING_ASYNC)) as replica:
        client = replica.connect()
        answer = client.ask(3)
        assert answer.meta["type"] == "application/x-ndjson"
        assert answer.body == b'{"number":0}\n{"number":1}\n{"number":2}\n'
        stream = client.request(b"1")
        client.take()
        client.send(pack(frames.CANCEL, stream))
        wait_until(lambda: client.ask("closed").json == {"closed": 2}, "the generator being closed")


def test_a_lost_connection_closes_its_generators(place: Place) -> None:
    package = place.package(STREAMING)
    (package / "code" / "go").touch()
    with place.replica(package) as replica:
        client = replica.connect()
        client.request(b'{"count": 100000000}')
        client.take()
        client.close()
        other = replica.connect()
        wait_until(lambda: other.ask("closed").json == [100000000], "the generator being closed")
