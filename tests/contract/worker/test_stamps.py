"""What a replica prints says when, how grave, and for which request."""

import re

import pytest
from modelyard_worker.stamps import Stamped, read_stamp, without_stamps

from tests.contract.worker.replica_harness import GATEWAY, Place, Replica, Template

CODE = """
import logging, os, sys, threading, warnings

logging.basicConfig(level=logging.DEBUG)

class Predictor:
    def __init__(self, config):
        print("constructed")

    def predict(self, payload):
        if payload == "print":
            print("one\\ntwo")
            print("three", end="", flush=True)
        if payload == "err":
            print("four", file=sys.stderr)
        if payload == "log":
            logging.getLogger("mine").info("five")
            logging.warning("six")
        if payload == "warn":
            warnings.warn("seven")
        if payload == "past":
            os.write(1, b"eight\\n")
        if payload == "thread":
            thread = threading.Thread(target=print, args=("nine",))
            thread.start()
            thread.join()
        return payload
"""

BATCH = """
class Predictor:
    def predict_batch(self, payloads):
        print("a batch of", len(payloads))
        return payloads
"""

STREAM = """
class Predictor:
    def predict(self, payload):
        for number in range(2):
            print("part", number)
            yield number
"""


def printed(replica: Replica) -> list[Stamped | str]:
    return [read_stamp(line) or line for line in replica.stamped_output.splitlines()]


def test_each_line_has_its_time_level_and_request(place: Place, template: Template) -> None:
    with template.replica(place, place.package(CODE, config={})) as replica:
        client = replica.connect()
        for number, what in enumerate(["print", "err", "log", "warn", "thread"]):
            client.ask(what, id=f"r{number}")
        lines = printed(replica)
        stamped = [one for one in lines if isinstance(one, Stamped)]
        assert len(stamped) == len(lines)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one.at) for one in stamped)
        assert [one.at for one in stamped] == sorted(one.at for one in stamped)
        told = {(one.level, one.requests, one.text) for one in stamped}
        assert ("INFO", "-", "constructed") in told
        assert {("INFO", "r0", "one"), ("INFO", "r0", "two"), ("INFO", "r0", "three")} <= told
        assert ("ERROR", "r1", "four") in told
        assert {("INFO", "r2", "INFO:mine:five"), ("WARNING", "r2", "WARNING:root:six")} <= told
        assert any(one.level == "WARNING" and one.requests == "r3" and "seven" in one.text for one in stamped)
        assert ("INFO", "-", "nine") in told


def test_what_goes_past_python_has_no_stamp(place: Place, template: Template) -> None:
    with template.replica(place, place.package(CODE, config={})) as replica:
        replica.connect().ask("past")
        assert printed(replica)[-1] == "eight"


def test_a_traceback_has_the_id_of_the_request_that_it_is_about(place: Place, template: Template) -> None:
    code = "class Predictor:\n    def predict(self, payload):\n        raise KeyError('EUR')\n"
    with template.replica(place, place.package(code)) as replica:
        replica.connect().ask(1)
        lines = [one for one in printed(replica) if isinstance(one, Stamped)]
        assert {one.requests for one in lines if one.level == "ERROR"} == {f"{GATEWAY}{1:016x}"}
        assert lines[-1].text == "KeyError: 'EUR'"


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_prints_with_all_its_requests(place: Place, template: Template, threads: int) -> None:
    with template.replica(place, place.package(BATCH), threads=threads) as replica:
        replica.connect().ask_together([b"1", b"2", b"3"])
        batches = [one for one in printed(replica) if isinstance(one, Stamped) and "a batch of" in one.text]
        asked = [request for one in batches for request in one.requests.split(",")]
        assert sorted(asked) == [f"{GATEWAY}{number:016x}" for number in (1, 2, 3)]


def test_a_generator_prints_with_its_request(place: Place, template: Template) -> None:
    with template.replica(place, place.package(STREAM)) as replica:
        replica.connect().ask(1, id="abc")
        assert [(one.requests, one.text) for one in printed(replica) if isinstance(one, Stamped)] == [
            ("abc", "part 0"),
            ("abc", "part 1"),
        ]


def test_stamps_can_be_taken_off_again() -> None:
    assert without_stamps("2026-01-31T12:00:00.123Z ERROR - boom\nbare\n") == "boom\nbare\n"
    assert read_stamp("2026-01-31 12:00 ERROR boom") is None
