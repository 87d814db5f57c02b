"""Where predictions run: on the loop, in a pool, as tasks."""

from modelyard_worker import frames
from modelyard_worker.frames import pack

from tests.contract.worker.replica_harness import Place, wait_until

MEETING = """
import threading

class Predictor:
    def __init__(self, config):
        self.barrier = threading.Barrier(2, timeout=10)

    def predict(self, payload):
        if payload == "alone":
            return threading.current_thread().name
        self.barrier.wait()
        return threading.current_thread().name
"""

CONCURRENT = """
import asyncio

class Predictor:
    def __init__(self, config):
        self.running = 0
        self.met = None
        self.cancelled = 0

    async def predict(self, payload):
        if payload == "cancelled":
            return self.cancelled
        if payload == "raise":
            raise KeyError("EUR")
        if payload == "for ever":
            open("waiting", "w").close()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        self.met = self.met or asyncio.Event()
        self.running += 1
        if self.running == payload:
            self.met.set()
        await self.met.wait()
        return self.running
"""


def test_one_thread_predicts_on_the_main_thread(place: Place) -> None:
    with place.replica(place.package(MEETING)) as replica:
        assert replica.connect().ask("alone").json == "MainThread"


def test_two_threads_predict_at_the_same_time(place: Place) -> None:
    with place.replica(place.package(MEETING), threads=2) as replica:
        client = replica.connect()
        answers = client.ask_together([b"1", b"2"])
        assert {answer.json for answer in answers} == {"predict_0", "predict_1"}


def test_the_probe_of_a_pool_runs_where_predictions_run(place: Place) -> None:
    with place.replica(place.package(MEETING), threads=2) as replica:
        assert replica.connect().probe() == {"ok": True}


def test_async_predictions_run_together(place: Place) -> None:
    with place.replica(place.package(CONCURRENT)) as replica:
        client = replica.connect()
        assert client.hello["max_in_flight"] == 64
        answers = client.ask_together([b"64"] * 64)
        assert {answer.json for answer in answers} == {64}


def test_async_predictions_keep_to_their_bound(place: Place) -> None:
    with place.replica(place.package(CONCURRENT), max_in_flight=4) as replica:
        client = replica.connect()
        answers = client.ask_together([b"4"] * 8)
        assert min(answer.json for answer in answers) == 4
        assert max(answer.json for answer in answers) == 8


def test_an_async_prediction_that_raises_fails_alone(place: Place) -> None:
    with place.replica(place.package(CONCURRENT)) as replica:
        answers = replica.connect().ask_together([b'"raise"', b"1"])
        assert [answer.status for answer in answers] == [500, 200]
        assert answers[0].meta["message"] == "KeyError: 'EUR'"


def test_cancel_ends_an_async_prediction_and_its_stream(place: Place) -> None:
    package = place.package(CONCURRENT)
    with place.replica(package) as replica:
        client = replica.connect()
        stream = client.request(b'"for ever"')
        wait_until((package / "code" / "waiting").exists, "the call")
        client.send(pack(frames.CANCEL, stream))
        assert client.answers([stream])[stream].status is None
        wait_until(lambda: client.ask("cancelled").json == 1, "the call being cancelled")


def test_a_lost_connection_ends_its_async_predictions(place: Place) -> None:
    package = place.package(CONCURRENT)
    with place.replica(package) as replica:
        client = replica.connect()
        client.request(b'"for ever"')
        wait_until((package / "code" / "waiting").exists, "the call")
        client.close()
        other = replica.connect()
        wait_until(lambda: other.ask("cancelled").json == 1, "the call being cancelled")


def test_cancel_drops_what_waits_and_ends_its_stream(place: Place) -> None:
    code = """
import os
import time

class Predictor:
    def __init__(self, config):
        self.seen = []

    def predict(self, payload):
        self.seen.append(payload)
        if payload == "wait":
            open("waiting", "w").close()
            while not os.path.exists("go"):
                time.sleep(0.001)
        return self.seen
"""
    package = place.package(code)
    with place.replica(package) as replica:
        client = replica.connect()
        first = client.request(b'"wait"')
        wait_until((package / "code" / "waiting").exists, "the first call")
        dropped, kept = client.request(b'"dropped"'), client.request(b'"kept"')
        client.send(pack(frames.CANCEL, dropped))
        (package / "code" / "go").touch()
        found = client.answers([first, dropped, kept])
        assert found[kept].json == ["wait", "kept"]
        assert found[dropped].status is None


def test_exit_in_a_prediction_is_an_error_and_not_the_end(place: Place) -> None:
    code = "import sys\nclass Predictor:\n    def predict(self, payload):\n        sys.exit(3)\n"
    with place.replica(place.package(code)) as replica:
        client = replica.connect()
        assert client.ask(1).meta["message"] == "SystemExit: 3"
        assert client.ask(1).status == 500


def test_a_cancelled_call_of_a_pool_ends_its_stream_when_it_is_done(place: Place) -> None:
    code = """
import os
import time

class Predictor:
    def predict(self, payload):
        open("waiting", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.001)
        return payload
"""
    package = place.package(code)
    with place.replica(package, threads=2) as replica:
        client = replica.connect()
        stream = client.request(b"1")
        wait_until((package / "code" / "waiting").exists, "the call")
        client.send(pack(frames.CANCEL, stream))
        (package / "code" / "go").touch()
        assert client.answers([stream])[stream].status is None
