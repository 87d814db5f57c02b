"""Who may talk to a replica, and what it says of itself."""

import pytest
from modelyard_worker import frames, handshake
from modelyard_worker.frames import END, pack, pack_meta, unpack_meta

from tests.contract.worker.replica_harness import Place, Replica, wait_until

ECHO = """
class Predictor:
    def __init__(self, config):
        pass

    def predict(self, payload, headers, query_params):
        return payload
"""


def test_a_replica_says_what_it_takes(place: Place) -> None:
    with place.replica(place.package(ECHO), max_batch_size=8) as replica:
        client = replica.connect()
        assert client.hello["version"] == 1
        assert client.hello["max_in_flight"] == 2
        assert client.hello["wants"] == ["headers", "query"]
        assert client.hello["batches"] is False


def test_the_socket_is_the_owners_alone(place: Place) -> None:
    with place.replica(place.package(ECHO)) as replica:
        replica.connect()
        assert (place.root / f"{replica.id}.sock").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"proof": "0" * 64}, "the token is not this replica's"),
        ({"replica": "another"}, "this is replica"),
        ({"package": "e" * 64}, "this is replica"),
        ({"versions": [7, 9]}, "versions 7 to 9 were offered"),
        ({"nonce": "short"}, "the token is not this replica's"),
    ],
)
def test_a_wrong_greeting_is_refused_with_the_reason(place: Place, changed: dict[str, object], told: str) -> None:
    with place.replica(place.package(ECHO)) as replica:
        client = replica.connect(greet=False)
        answer = client.greet(replica.id, changed)
        assert answer.type == frames.GOAWAY
        assert told in unpack_meta(answer.meta)["error"]
        with pytest.raises(EOFError):
            client.take()


@pytest.mark.parametrize("kind", [frames.REQUEST, frames.PROBE, frames.CREDIT, 99])
def test_anything_before_the_greeting_closes_the_connection(place: Place, kind: int) -> None:
    with place.replica(place.package(ECHO)) as replica:
        client = replica.connect(greet=False)
        client.send(pack(kind, 1, b"{}", b"[]", END))
        assert client.take().type == frames.GOAWAY
        with pytest.raises(EOFError):
            client.take()


def test_a_frame_too_long_for_a_greeting_closes_the_connection(place: Place) -> None:
    with place.replica(place.package(ECHO)) as replica:
        client = replica.connect(greet=False)
        client.send(pack(frames.HELLO, 0, pack_meta({"x": "y" * frames.HELLO_BYTES_MAX})))
        assert client.take().type == frames.GOAWAY


def test_who_says_nothing_is_let_go(place: Place) -> None:
    with place.replica(place.package(ECHO)) as replica:
        client = replica.connect(greet=False)
        client.socket.settimeout(handshake.HANDSHAKE_SECONDS + 5)
        with pytest.raises((EOFError, ConnectionResetError)):
            client.take()


def test_several_gateways_are_served_at_once(place: Place) -> None:
    with place.replica(place.package(ECHO)) as replica:
        clients = [replica.connect() for _ in range(3)]
        streams = [client.request(b"[%d]" % number) for number, client in enumerate(clients)]
        for number, (client, stream) in enumerate(zip(clients, streams, strict=True)):
            assert client.answers([stream])[stream].json == [number]


def test_a_package_that_cannot_be_loaded_says_why_in_its_exit_record(place: Place) -> None:
    broken = "class Predictor:\n    def __init__(self, config):\n        raise KeyError(config['currency'])\n"
    with place.replica(place.package(broken, config={"currency": "EUR"})) as replica:
        found = replica.wait_for_exit()
        assert (found["code"], found["by"], found["reason"]) == (1, "exit", "KeyError: 'EUR'")
        assert "raise KeyError" in replica.output
        assert replica.process is not None
        assert replica.process.wait(10) == 1


def test_an_import_that_fails_is_told_with_its_cause(place: Place) -> None:
    code = (
        "try:\n    import nothing_of_that_name\nexcept ImportError as e:\n    raise RuntimeError('no model') from e\n"
    )
    with place.replica(place.package(code)) as replica:
        reason = replica.wait_for_exit()["reason"]
        assert reason.startswith("RuntimeError: no model (from ModuleNotFoundError")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("class Other:\n    pass\n", "its classes are Other"),
        ("x = 1\n", "it has no class"),
        ("class Predictor:\n    pass\n", "it has neither `predict` nor `predict_batch`"),
        ("class Predictor:\n    def predict(self, payload, color): ...\n", "it asks for color"),
        ("class Predictor: ...\nclass PythonPredictor: ...\n", "both Predictor and PythonPredictor"),
        ("class Predictor:\n    def __init__(self, config, model): ...\n", "the package has none"),
    ],
)
def test_a_class_that_cannot_be_served_is_refused_with_the_remedy(place: Place, code: str, told: str) -> None:
    with place.replica(place.package(code)) as replica:
        reason = replica.wait_for_exit()["reason"]
        assert "cannot" in reason
        assert told in reason


def test_process_json_is_there_before_the_package_is_loaded(place: Place) -> None:
    with place.replica(place.package("import time\ntime.sleep(60)\n")) as replica:
        wait_until((replica.folder / "process.json").exists, "process.json")
        assert not Replica(replica.id, replica.folder, replica.socket).exit
