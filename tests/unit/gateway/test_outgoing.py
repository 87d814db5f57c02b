"""What a gateway asks on somebody's behalf: no address of this machine by any spelling, no name that means another
address the next time, and no parameter that leads out of its path."""

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from modelyard.domain.gateways import Met, Route, Target
from modelyard.errors import Forbidden, InvalidValue, ReplicaDied, TooLarge
from modelyard.gateway.outgoing import Fetched, Outgoing, _url_for


def ask(url: str) -> None:
    async def asking() -> None:
        await Outgoing().fetch("GET", url, [], b"", 5.0)

    asyncio.run(asking())


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "169.254.169.254",
        "user@127.0.0.1",
        "example.com@127.0.0.1",
    ],
)
def test_no_spelling_of_an_address_of_this_machine_is_asked(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        own.settimeout(0)
        with pytest.raises(Forbidden):
            ask(f"http://{host}:{own.getsockname()[1]}/")
        with pytest.raises(BlockingIOError):
            own.accept()


def test_an_address_of_this_machine_that_looks_like_any_other_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.gateway.outgoing.why_refused", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as own, pytest.raises(Forbidden, match="it is this machine"):
        ask(f"http://127.0.0.1:{own.getsockname()[1]}/")


def test_a_name_that_means_another_address_the_next_time_is_asked_at_the_one_that_was_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [("93.184.216.34", 80), ("127.0.0.1", 80)]
    connected: list[Any] = []

    async def resolve(*_: object, **__: object) -> Sequence[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", answers.pop(0))]

    async def connect(_: socket.socket, address: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError("nobody is there")

    async def asking() -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        monkeypatch.setattr(loop, "sock_connect", connect)
        with pytest.raises(ConnectionRefusedError):
            await Outgoing()._connect("rebound.example", 80)
        with pytest.raises(Forbidden):
            await Outgoing()._connect("rebound.example", 80)

    asyncio.run(asking())
    assert connected == [("93.184.216.34", 80)], "resolved once, and asked where it was judged"


def answered(said: bytes, *, ends: bool = True) -> Fetched:
    """What comes of a server that says this."""

    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            if ends:
                writer.write_eof()
            await reader.read()
        writer.close()
        over.set()

    async def asking() -> Fetched:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            outgoing = Outgoing(frozenset({("127.0.0.1", port)}))
            try:
                return await outgoing.fetch("GET", f"http://127.0.0.1:{port}/", [], b"", 5.0)
            finally:
                await over.wait()

    return asyncio.run(asking())


def test_hints_before_the_answer_are_not_taken_for_it() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n"
    found = answered(hints + b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", ends=False)
    assert found == Fetched(200, [(b"content-length", b"2")], b"hi")


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        b"",
    ],
)
def test_a_server_that_does_not_answer_has_failed(said: bytes) -> None:
    with pytest.raises(ReplicaDied):
        answered(said)


def test_a_host_that_no_name_server_takes_is_a_failure_like_any_other() -> None:
    with pytest.raises(ReplicaDied):
        ask(f"http://{'a' * 70}.example/")


def test_headers_without_an_end_are_not_kept() -> None:
    with pytest.raises(TooLarge):
        answered(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000, ends=False)


def test_a_slash_in_one_segment_stays_in_it() -> None:
    one = Route("GET /items/{id}", Target(url="https://shop.example.com/items/{id}"))
    assert _url_for(Met(one, {"id": "1/admin"}), "") == "https://shop.example.com/items/1%2Fadmin"
    assert _url_for(Met(ROUTE, {"proxy": "1/admin"}), "").endswith("/shop/1/admin")


ROUTE = Route("GET /docs/{proxy+}", Target(url="https://docs.example.com/shop/{proxy}"))


@pytest.mark.parametrize("value", ["..", ".", "../admin", "a/../../admin", "a\\..\\..\\admin", "a/./b"])
def test_a_parameter_leads_nowhere_out_of_its_path(value: str) -> None:
    with pytest.raises(InvalidValue):
        _url_for(Met(ROUTE, {"proxy": value}), "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("%2e%2e/admin", "%252e%252e/admin"),
        ("a b", "a%20b"),
        ("x?admin=1#y", "x%3Fadmin=1%23y"),
        ("x\r\nhost: evil", "x%0D%0Ahost:%20evil"),
    ],
)
def test_what_is_encoded_twice_stays_encoded(value: str, expected: str) -> None:
    assert _url_for(Met(ROUTE, {"proxy": value}), "") == f"https://docs.example.com/shop/{expected}"
