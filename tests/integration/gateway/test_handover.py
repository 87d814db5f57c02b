"""One gateway leaves and another comes on the same socket: nothing that is under way is broken, nobody is refused."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import httpx
from modelyard_worker import frames

from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import ScriptedReplica


def test_a_gateway_that_leaves_ends_what_it_holds_while_its_successor_answers(
    serving: Callable[..., GatewayProcess], replica_at: Callable[..., ScriptedReplica]
) -> None:
    before, after = replica_at("r1"), replica_at("r2")
    gateway = serving(before)
    leaving: Any = gateway.process
    idle = gateway.connect()
    idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert idle.recv(65536).startswith(b"HTTP/1.1 200")

    def stream() -> bytes:
        url = f"{gateway.url}/endpoints/price/invocations"
        with httpx.stream("POST", url, content=b"{}", timeout=15) as answer:
            return b"".join(answer.iter_raw())

    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(gateway.post)
        held = before.next_request()
        streamed = pool.submit(stream)
        begun = before.next_request()
        meta = frames.pack_meta({"status": 200, "type": "text/event-stream"})
        before.send(frames.pack(frames.ANSWER, begun.stream, meta, b"one "))

        leaving.terminate()
        assert idle.recv(65536) == b""
        gateway.start(replace(ENTRY, replicas=(after.address,)))
        with ThreadPoolExecutor(1) as other:
            next_one = other.submit(gateway.post)
            after.answer(after.next_request(), b"2")
            assert next_one.result().content == b"2"

        before.send(frames.pack(frames.BODY, begun.stream, payload=b"two"))
        before.send(frames.pack(frames.BODY, begun.stream, payload=b"", flags=frames.END))
        before.answer(held, b"1")
        assert streamed.result() == b"one two"
        assert plain.result().content == b"1"
    assert leaving.wait(15) == 0


def test_requests_that_come_between_two_gateways_wait_for_the_second(
    serving: Callable[..., GatewayProcess], replica_at: Callable[..., ScriptedReplica]
) -> None:
    before, after = replica_at("r1"), replica_at("r2")
    gateway = serving(before)
    leaving: Any = gateway.process
    leaving.terminate()
    assert leaving.wait(15) == 0
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(gateway.post) for _ in range(2)]
        gateway.start(replace(ENTRY, replicas=(after.address,)))
        for _ in waiting:
            after.answer(after.next_request(), b"2")
        assert [one.result().content for one in waiting] == [b"2", b"2"]
