"""The fast lane: which replica, how many at once, what happens when it is slow, full or dead."""

import queue
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from modelyard_worker import frames

from modelyard.gateway.kept_body import HAS_ANONYMOUS_MEMORY
from tests.integration.gateway.conftest import ENTRY
from tests.integration.gateway.scripted_replica import Request, ScriptedReplica

Serving = Callable[..., Any]
ReplicaAt = Callable[..., ScriptedReplica]


@pytest.fixture
def clients() -> Any:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def predicted(clients: ThreadPoolExecutor, gateway: Any, body: bytes = b"{}", **more: Any) -> Future[httpx.Response]:
    return clients.submit(gateway.post, body, **more)


def taken_by(*replicas: ScriptedReplica) -> tuple[ScriptedReplica, Request, ScriptedReplica]:
    """(the replica that got the next request, the request, the other one)."""
    pause = threading.Event()
    for _ in range(1000):
        for one in replicas:
            if one.waiting():
                other = next(two for two in reversed(replicas) if two is not one)
                return one, one.next_request(), other
        pause.wait(0.01)
    raise AssertionError("no replica got the request")


def test_a_request_reaches_the_replica_with_its_body_and_types_and_comes_back(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    pending = predicted(clients, gateway, b"[1]", headers={"content-type": "application/json", "accept": "text/csv"})
    request = replica.next_request()
    assert (request.body, request.meta) == (b"[1]", {"type": "application/json", "accept": "text/csv"})
    replica.answer(request, b"7\n", content_type="text/csv")
    answer = pending.result()
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"7\n", "text/csv")
    assert answer.headers["x-amzn-invoked-production-variant"] == "v1"
    assert len(answer.headers["x-request-id"]) == 24


def test_a_given_request_id_reaches_the_replica_and_the_answer(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    pending = predicted(clients, serving(replica), headers={"x-request-id": "order-17"})
    request = replica.next_request()
    assert request.meta["id"] == "order-17"
    replica.answer(request, b"1")
    assert pending.result().headers["x-request-id"] == "order-17"


def test_headers_and_query_are_passed_only_to_a_replica_that_reads_them(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at(wants=("headers", "query"))
    gateway = serving(replica)
    pending = clients.submit(
        httpx.post, f"{gateway.url}/endpoints/PRICE/invocations?a=1&b=%20", content=b"{}", headers={"x-who": "me"}
    )
    request = replica.next_request()
    assert request.meta["query"] == "a=1&b=%20"
    assert ["x-who", "me"] in request.meta["headers"]
    replica.answer(request, b"1")
    assert pending.result().status_code == 200


def test_each_request_goes_to_the_replica_with_the_fewest_in_flight(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    one, two = replica_at("r1"), replica_at("r2")
    gateway = serving(one, two)
    pending = [predicted(clients, gateway) for _ in range(4)]
    requests = [
        (one, one.next_request()),
        (one, one.next_request()),
        (two, two.next_request()),
        (two, two.next_request()),
    ]
    for replica, request in requests:
        replica.answer(request, b"1")
    assert [one.result().status_code for one in pending] == [200] * 4


def test_beyond_replicas_and_queue_a_request_is_refused_at_once_and_told_when_to_try_again(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at(max_in_flight=1)
    gateway = serving(replica, max_queue_length=2)
    first = predicted(clients, gateway)
    held = replica.next_request()
    queued = [predicted(clients, gateway) for _ in range(2)]
    metrics = "modelyard_queued_requests"
    while (
        f'{metrics}{{endpoint="Price"}} 2'
        not in httpx.get(f"{gateway.url}/metrics", headers={"x-api-key": "secret-key"}).text
    ):
        assert not first.done()
    refused = gateway.post()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["error"]["code"] == "queue_full"
    replica.answer(held, b"1")
    for _ in queued:
        replica.answer(replica.next_request(), b"1")
    assert [one.result().status_code for one in (first, *queued)] == [200] * 3


def test_a_late_answer_is_a_504_and_the_replica_is_told_to_drop_it(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    gateway = serving(replica, timeout_seconds=0.3)
    pending = predicted(clients, gateway)
    request = replica.next_request()
    answer = pending.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "deadline_passed")
    assert replica.cancelled.get(timeout=5) == request.stream


def test_a_slot_stays_taken_until_the_replica_has_ended_the_abandoned_call(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at(max_in_flight=1)
    gateway = serving(replica, timeout_seconds=0.5)
    predicted(clients, gateway).result()
    abandoned = replica.next_request()
    second = predicted(clients, gateway)
    with pytest.raises(queue.Empty):
        replica._requests.get(timeout=0.2)
    replica.answer(abandoned, b"late")
    replica.answer(replica.next_request(), b"2")
    assert second.result().content == b"2"


def test_a_request_whose_replica_dies_is_sent_once_more_alone_to_another(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    one, two = replica_at("r1"), replica_at("r2")
    gateway = serving(one, two)
    pending = predicted(clients, gateway, b"[5]")
    first_replica, first, two = taken_by(one, two)
    first_replica.die()
    again = two.next_request()
    assert (again.body, again.stream) == (b"[5]", first.stream)
    assert again.flags & frames.ALONE
    assert not first.flags & frames.ALONE
    two.answer(again, b"ok")
    assert pending.result().content == b"ok"


def test_the_second_death_is_a_502(serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor) -> None:
    one, two = replica_at("r1"), replica_at("r2")
    gateway = serving(one, two)
    pending = predicted(clients, gateway)
    first, _, second = taken_by(one, two)
    first.die()
    second.next_request()
    second.die()
    answer = pending.result()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "replica_died")


def test_what_is_not_idempotent_is_never_sent_again(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    one, two = replica_at("r1"), replica_at("r2")
    gateway = serving(one, two, idempotent=False)
    pending = predicted(clients, gateway)
    first, _, second = taken_by(one, two)
    first.die()
    assert pending.result().status_code == 502
    assert second.waiting() == 0


def test_a_replica_that_says_goodbye_gets_no_more_and_is_let_go_when_it_is_done(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    one, two = replica_at("r1"), replica_at("r2")
    gateway = serving(one, two)
    held_by_one = predicted(clients, gateway)
    one, held, two = taken_by(one, two)
    one.send(frames.pack(frames.GOAWAY, 0))
    others = []
    for _ in range(2):
        others.append(predicted(clients, gateway))
        two.answer(two.next_request(), b"2")
    assert [other.result().content for other in others] == [b"2", b"2"]
    one.answer(held, b"1")
    assert held_by_one.result().content == b"1"
    assert one.goodbyes.wait(5)


def test_a_process_that_does_not_know_the_token_is_never_used(gateway: Any, replica_at: ReplicaAt, home: Any) -> None:
    impostor = replica_at(token="x" * 64)
    gateway.start(replace(ENTRY, replicas=(impostor.address,), timeout_seconds=0.5))
    assert gateway.post().status_code == 504
    assert impostor.waiting() == 0
    assert "does not know its token" in (home.logs / "gateway.log").read_text()


@pytest.mark.skipif(not HAS_ANONYMOUS_MEMORY, reason="large bodies travel in frames here")
def test_a_large_body_is_kept_in_memory_for_the_replica_to_read_and_let_go_afterwards(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor, home: Any
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    body = bytes(range(256)) * 4096 * 3
    pending = predicted(clients, gateway, body)
    request = replica.next_request()
    assert request.flags & frames.FILE
    path, inode = request.body.decode().split("\0")
    assert Path(path).stat().st_ino == int(inode)
    assert Path(path).read_bytes() == body
    assert list(home.spool.iterdir()) == []
    replica.answer(request, b"1")
    assert pending.result().status_code == 200
    assert not Path(path).exists()


def test_a_very_large_body_travels_as_a_file_that_is_gone_afterwards(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor, home: Any
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    body = b"x" * (9 * 2**20)
    pending = predicted(clients, gateway, body)
    request = replica.next_request()
    assert request.flags & frames.FILE
    assert Path(request.body.decode()).read_bytes() == body
    replica.answer(request, b"1")
    assert pending.result().status_code == 200
    assert list(home.spool.iterdir()) == []


def test_an_answer_in_parts_arrives_as_it_is_made(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    arrived: queue.Queue[bytes] = queue.Queue()

    def read() -> int:
        with httpx.stream("POST", f"{gateway.url}/endpoints/price/invocations", content=b"{}", timeout=15) as answer:
            for part in answer.iter_raw():
                arrived.put(part)
            return answer.status_code

    pending = clients.submit(read)
    request = replica.next_request()
    meta = frames.pack_meta({"status": 200, "type": "text/event-stream"})
    replica.send(frames.pack(frames.ANSWER, request.stream, meta, b"one"))
    assert arrived.get(timeout=5) == b"one"
    replica.send(frames.pack(frames.BODY, request.stream, payload=b"two"))
    assert arrived.get(timeout=5) == b"two"
    replica.send(frames.pack(frames.BODY, request.stream, payload=b"", flags=frames.END))
    assert pending.result(10) == 200
    waiting = threading.Event()
    while replica.credit.get(request.stream) != 6:
        # The answer overtakes the credit for its last part.
        assert not waiting.wait(0.01)


def test_a_client_that_hangs_up_cancels_its_call(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    gateway = serving(replica)
    connection = gateway.connect()
    connection.sendall(b"POST /endpoints/price/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}")
    request = replica.next_request()
    connection.close()
    assert replica.cancelled.get(timeout=5) == request.stream


def test_a_streamed_answer_that_breaks_off_closes_the_connection(serving: Serving, replica_at: ReplicaAt) -> None:
    replica = replica_at()
    gateway = serving(replica)
    connection = gateway.connect()
    connection.sendall(b"POST /endpoints/price/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}")
    request = replica.next_request()
    replica.send(frames.pack(frames.ANSWER, request.stream, frames.pack_meta({"status": 200}), b"part"))
    replica.send(frames.pack(frames.CANCEL, request.stream))
    received = b""
    while data := _read(connection):
        received += data
    assert b"part" in received
    assert not received.endswith(b"0\r\n\r\n")


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    ("signed", "status", "kind"), [(False, 500, "ModelError"), (True, 424, "ModelError")], ids=["plain", "signed"]
)
def test_a_predictor_that_raises_is_500_and_424_for_those_who_sign(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor, signed: bool, status: int, kind: str
) -> None:
    replica = replica_at()
    headers = {"authorization": "AWS4-HMAC-SHA256 Credential=x"} if signed else {}
    pending = predicted(clients, serving(replica), headers=headers)
    replica.fail(replica.next_request(), "predictor_failed", "ValueError: customer 4711 owes", 500)
    answer = pending.result()
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (status, kind)
    assert answer.headers["x-amzn-invoked-production-variant"] == "v1"
    body = answer.json()
    assert body["error"]["code"] == "predictor_failed"
    assert body["Message"] == "cannot predict: the predictor raised ValueError"
    assert body["OriginalStatusCode"] == 500
    assert body["error"]["request_id"] == answer.headers["x-request-id"]
    assert f"--request {answer.headers['x-request-id']}" in body["error"]["hint"]


def test_who_holds_the_key_hears_what_the_predictor_said(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    pending = predicted(clients, serving(replica), headers={"x-api-key": "secret-key"})
    replica.fail(replica.next_request(), "predictor_failed", "ValueError: customer 4711 owes", 500)
    message = pending.result().json()["error"]["message"]
    assert message == "cannot predict: the predictor raised ValueError: customer 4711 owes"


def test_a_cancelled_call_that_the_replica_ends_frees_its_slot(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at(max_in_flight=1)
    gateway = serving(replica, timeout_seconds=0.3)
    predicted(clients, gateway).result()
    abandoned = replica.next_request()
    replica.send(frames.pack(frames.CANCEL, abandoned.stream))
    second = predicted(clients, gateway)
    replica.answer(replica.next_request(), b"2")
    assert second.result().content == b"2"


def test_cortexs_clients_post_to_the_endpoints_name(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    pending = clients.submit(httpx.post, f"{gateway.url}/Price?debug=true", json={"n": 1}, timeout=15)
    request = replica.next_request()
    assert request.body == b'{"n":1}'
    replica.answer(request, b"7")
    assert pending.result().content == b"7"


def test_an_event_stream_stops_at_what_its_client_takes(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    url = f"{gateway.url}/endpoints/price/invocations-response-stream"
    pending = clients.submit(httpx.post, url, content=b"{}", timeout=15)
    request = replica.next_request()
    replica.send(frames.pack(frames.ANSWER, request.stream, frames.pack_meta({"status": 200, "type": "a/b"}), b"one"))
    replica.send(frames.pack(frames.CANCEL, request.stream))
    answer = pending.result()
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert answer.headers["x-amzn-sagemaker-content-type"] == "a/b"
    assert answer.content.count(b"PayloadPart") == 1
    assert b"ModelStreamError" in answer.content


def test_tensors_reach_the_replica_unread_with_the_length_of_their_header(
    serving: Serving, replica_at: ReplicaAt, clients: ThreadPoolExecutor
) -> None:
    replica = replica_at()
    gateway = serving(replica)
    url = f"{gateway.url}/v2/models/price/versions/1/infer"
    headers = {"inference-header-content-length": "2"}
    pending = clients.submit(httpx.post, url, content=b"{}raw", headers=headers, timeout=15)
    request = replica.next_request()
    assert request.body == frames.TENSORS_PREFIX.pack(2) + b"{}raw"
    assert (request.meta["type"], request.meta["accept"]) == (frames.TENSORS, frames.TENSORS)
    replica.fail(request, "invalid_value", "cannot read it", 400)
    answer = pending.result()
    assert answer.status_code == 400
    assert answer.json() == {"error": "cannot read it", "request_id": answer.headers["x-request-id"]}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v2/models/price/versions/2/infer", {}, 404),
        ("/v2/models/nowhere/infer", {}, 404),
        ("/v2/models/price/infer", {"inference-header-content-length": "-1"}, 400),
        ("/v2/models/price/infer", {"inference-header-content-length": "9" * 5000}, 400),
        ("/v2/models/price/infer", {"content-encoding": "gzip"}, 400),
    ],
)
def test_what_cannot_be_inferred_is_told_in_the_protocols_own_shape(
    serving: Serving, replica_at: ReplicaAt, path: str, headers: dict[str, str], status: int
) -> None:
    gateway = serving(replica_at())
    answer = httpx.post(gateway.url + path, content=b"{}", headers=headers, timeout=15)
    assert answer.status_code == status
    assert answer.json()["error"].startswith("cannot ")
