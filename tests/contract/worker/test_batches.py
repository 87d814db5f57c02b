"""Natural batching: what arrived while a call ran is the next batch, and a bad request fails alone."""

import json

import pytest
from modelyard_worker import frames
from modelyard_worker.frames import ALONE, END, pack, pack_meta

from tests.contract.worker.replica_harness import Client, Place, wait_until

RECORDING = """
class Predictor:
    def __init__(self, config):
        self.sizes = []

    def predict_batch(self, payloads):
        if payloads == ["sizes"]:
            return [self.sizes]
        self.sizes.append(len(payloads))
        if "raise" in payloads:
            raise ValueError("a bad payload")
        return [payload for payload in payloads]
"""


def bodies_of(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def sizes(client: Client) -> list[int]:
    return client.ask("sizes").json


def test_requests_that_arrive_together_are_one_batch(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        client = replica.connect()
        answers = client.ask_together(bodies_of(*range(20)))
        assert [answer.json for answer in answers] == list(range(20))
        assert sizes(client) == [20]


def test_a_batch_is_never_larger_than_its_limit(place: Place) -> None:
    with place.replica(place.package(RECORDING), max_batch_size=8) as replica:
        client = replica.connect()
        assert client.hello["max_in_flight"] == 16
        assert len(client.ask_together(bodies_of(*range(20)))) == 20
        found = sizes(client)
        assert sum(found) == 20
        assert max(found) == 8


def test_a_lone_request_does_not_wait_for_others(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        client = replica.connect()
        assert client.ask(1).json == 1
        assert sizes(client) == [1]


def test_what_arrives_during_a_call_is_the_next_batch(place: Place) -> None:
    code = """
import os
import time

class Predictor:
    def __init__(self, config):
        self.sizes = []

    def predict_batch(self, payloads):
        self.sizes.append(len(payloads))
        if payloads[0] == "wait":
            open("waiting", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.001)
        return [self.sizes for _ in payloads]
"""
    package = place.package(code)
    with place.replica(package) as replica:
        client = replica.connect()
        first = client.request(b'"wait"')
        wait_until((package / "code" / "waiting").exists, "the first call")
        rest = [client.request(b"%d" % number) for number in range(5)]
        (package / "code" / "go").touch()
        found = client.answers([first, *rest])
        assert found[rest[-1]].json == [1, 5]


def test_a_bad_request_fails_alone(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        client = replica.connect()
        answers = client.ask_together(bodies_of(1, 2, "raise", 4))
        assert [answer.status for answer in answers] == [200, 200, 500, 200]
        assert answers[2].flags == frames.ERROR | END
        assert answers[2].meta["error"] == "predictor_failed"
        assert answers[2].meta["message"] == "ValueError: a bad payload"
        assert sizes(client) == [4, 1, 1, 1, 1]


def test_a_body_that_cannot_be_read_fails_alone(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        client = replica.connect()
        answers = client.ask_together([b"1", b"{", b"3"])
        assert [answer.status for answer in answers] == [200, 400, 200]
        assert answers[1].meta["error"] == "invalid_value"
        assert "cannot read the body as JSON" in answers[1].meta["message"]


def test_a_batch_has_one_content_type_and_one_accept(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        client = replica.connect()
        kinds = [{"type": "application/json"}, {"type": "application/json", "accept": "text/plain"}]
        streams = [client.next_stream() for _ in range(8)]
        client.send(
            b"".join(
                pack(frames.REQUEST, stream, pack_meta(kinds[stream % 2]), b"%d" % stream, END) for stream in streams
            )
        )
        found = client.answers(streams)
        assert [found[stream].meta["type"] for stream in streams] == ["text/plain", "application/json"] * 4
        assert sizes(client) == [4, 4]


def test_a_request_that_was_in_a_dead_replica_runs_alone(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        client = replica.connect()
        streams = [client.next_stream() for _ in range(4)]
        meta = pack_meta({"type": "application/json"})
        flags = [END, END | ALONE, END, END]
        client.send(
            b"".join(
                pack(frames.REQUEST, stream, meta, b"1", flag) for stream, flag in zip(streams, flags, strict=True)
            )
        )
        client.answers(streams)
        assert sorted(sizes(client)) == [1, 3]


def test_results_of_another_number_are_an_error(place: Place) -> None:
    code = "class Predictor:\n    def predict_batch(self, payloads):\n        return [1]\n"
    with place.replica(place.package(code)) as replica:
        answers = replica.connect().ask_together(bodies_of(1, 2))
        # Each by itself gets one result for one payload, and so passes.
        assert [answer.status for answer in answers] == [200, 200]
        assert "returned 1 results for 2 payloads" in replica.output


def test_one_request_each_where_there_is_no_predict_batch(place: Place) -> None:
    code = "class Predictor:\n    def predict(self, payload):\n        return payload * 2\n"
    with place.replica(place.package(code)) as replica:
        client = replica.connect()
        assert client.hello["batches"] is False
        assert [answer.json for answer in client.ask_together(bodies_of(1, 2, 3))] == [2, 4, 6]


def test_answers_of_several_gateways_go_where_they_belong(place: Place) -> None:
    with place.replica(place.package(RECORDING)) as replica:
        clients = [replica.connect() for _ in range(2)]
        streams = [
            [client.request(b"%d" % (10 * number + i)) for i in range(5)] for number, client in enumerate(clients)
        ]
        for number, client in enumerate(clients):
            found = client.answers(streams[number])
            assert [found[stream].json for stream in streams[number]] == [10 * number + i for i in range(5)]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_answer_that_does_not_fit_is_an_error_at_once_and_the_others_go_out(place: Place, threads: int) -> None:
    code = """
from modelyard_worker.response import Response

class Predictor:
    def predict(self, payload):
        if payload == 2:
            return Response("a", content_type="a" * 70000)
        if payload == 3:
            raise KeyboardInterrupt if THREADS else ValueError
        return payload
"""
    code = code.replace("THREADS", str(threads > 1))
    with place.replica(place.package(code), threads=threads) as replica:
        answers = replica.connect().ask_together(bodies_of(1, 2, 3, 4))
        assert [answer.status for answer in answers] == [200, 500, 500, 200]
        assert "cannot send headers of" in answers[1].meta["message"]
        assert "cannot send headers of" in replica.output
