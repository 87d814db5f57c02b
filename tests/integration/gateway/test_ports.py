"""Apps at ports of their own: a real gateway, told by a controller which there are, and a supervisor that keeps what
listens."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from modelyard.domain.gateways import gateway_document, gateway_from
from modelyard.protocol.credentials import Credential, credentials_document
from modelyard.protocol.ports import read_ports
from modelyard.protocol.table import EndpointEntry, HostEntry
from modelyard.settings import Home
from tests.integration.gateway import test_origins
from tests.integration.gateway.conftest import GatewayProcess
from tests.integration.gateway.test_load_reports import ScriptedController
from tests.integration.gateway.test_origins import (
    ANN,
    BOARD,
    GREETING,
    LIMIT_SECONDS,
    ORIGIN,
    digest,
    eventually,
    headers_of,
    read_until,
)

app = test_origins.app


class Keeper:
    """Listens where a supervisor would; what it was told last is known by port."""

    def __init__(self, home: Home) -> None:
        self._asking = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._asking.bind(str(home.supervisor_socket))
        self._asking.settimeout(LIMIT_SECONDS)
        self.kept: dict[int, socket.socket] = {}

    def hear(self) -> str:
        word, descriptors, _, _ = socket.recv_fds(self._asking, 64, 1)
        verb, _, port = word.decode().partition(" ")
        left = self.kept.pop(int(port), None)
        if left is not None:
            left.close()
        if verb == "keep":
            self.kept[int(port)] = socket.socket(fileno=descriptors[0])
        return word.decode()

    def close(self) -> None:
        for one in (self._asking, *self.kept.values()):
            one.close()


@pytest.fixture
def keeper(home: Home) -> Iterator[Keeper]:
    one = Keeper(home)
    yield one
    one.close()


@pytest.fixture
def controller(home: Home) -> Iterator[ScriptedController]:
    one = ScriptedController(home)
    yield one
    one.close()


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def board(app: Callable[..., Any]) -> EndpointEntry:
    """An app with a replica."""
    return replace(BOARD, replicas=(app()[1].address,))


@pytest.fixture
def visited(gateway: GatewayProcess, home: Home, board: EndpointEntry, port: int) -> Callable[..., httpx.Client]:
    """A client at the port of an app."""

    def start(**more: Any) -> httpx.Client:
        gateway.start(board, hosts=[replace(ORIGIN, port=port, **more), replace(ORIGIN, name="other", hosts=())])
        eventually(lambda: read_ports(home.ports) == {port: None})
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_SECONDS)

    return start


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_is_opened_when_the_table_names_it_kept_by_the_supervisor_and_closed_when_it_is_given_up(
    visited: Callable[..., httpx.Client], keeper: Keeper, controller: ScriptedController, home: Home, port: int
) -> None:
    with visited() as client:
        assert keeper.hear() == f"keep {port}"
        assert keeper.kept[port].getsockname() == ("127.0.0.1", port)
        controller.accept()
        assert client.get("/healthz").json()["path"] == "/healthz", "every path is the app's"
        with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as idle:
            idle.sendall(b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            read_until(idle, b"\r\n\r\n")
            controller.tell(BOARD, hosts=[ORIGIN])
            assert idle.recv(1) == b"", "nobody waits for what does not come"
    eventually(lambda: refuses(port))
    assert keeper.hear() == f"drop {port}"
    assert read_ports(home.ports) == {}


def test_a_request_under_way_is_answered_though_its_port_is_given_up(
    visited: Callable[..., httpx.Client], board: EndpointEntry, controller: ScriptedController, port: int
) -> None:
    visited().close()
    controller.accept()
    with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as begun:
        begun.sendall(b"POST / HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
        assert read_until(begun, b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        controller.tell(board, hosts=[ORIGIN])
        eventually(lambda: refuses(port))
        begun.sendall(b"half")
        assert b'"server": "r1"' in read_until(begun, b"}")
        assert begun.recv(1) == b""


def test_a_port_answers_to_the_yards_names_and_its_apps_own_alone(
    visited: Callable[..., httpx.Client], port: int
) -> None:
    expected = {
        "127.0.0.1": 200,
        "10.1.2.3": 200,
        "localhost": 200,
        "board.localhost": 200,
        "board.example.com": 200,
        "other.localhost": 404,
        "unknown.localhost": 404,
        "evil.example": 403,
        "localhost.evil": 403,
    }
    with visited() as client:
        found = {host: client.get("/", headers={"host": f"{host}:{port}"}).status_code for host in expected}
    assert found == expected
    with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as wire:
        wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert wire.recv(4096).startswith(b"HTTP/1.1 400"), "without a Host nothing is answered"


def test_who_has_not_signed_in_is_sent_to_the_yards_own_port_at_the_same_host(
    visited: Callable[..., httpx.Client], gateway: GatewayProcess, port: int
) -> None:
    with visited(access={"way": "login"}) as client:
        answer = client.get("/page?x=1", headers={"accept": "text/html"})
        named = client.get("/", headers={"accept": "text/html", "host": f"board.localhost:{port}"})
    target = urlsplit(answer.headers["location"])
    asked = parse_qs(target.query)
    assert (target.netloc, target.path) == (f"127.0.0.1:{gateway.port}", "/console/entrance")
    assert (asked["host"], asked["next"]) == ([f"127.0.0.1:{port}"], ["/page?x=1"])
    assert answer.headers["set-cookie"].startswith(f"modelyard_entry_{port}=")
    assert urlsplit(named.headers["location"]).netloc == f"localhost:{gateway.port}"


def test_a_session_counts_at_its_host_and_port_under_a_name_of_its_own(
    visited: Callable[..., httpx.Client], gateway: GatewayProcess, home: Home, port: int
) -> None:
    known = {
        digest("here"): Credential(ANN, time.time() + 100, f"127.0.0.1:{port}"),
        digest("elsewhere"): Credential(ANN, time.time() + 100, f"127.0.0.1:{port + 1}"),
        digest("named"): Credential(ANN, time.time() + 100, "127.0.0.1"),
        digest("console"): Credential(ANN, time.time() + 100, None),
    }
    home.credentials.write_text(json.dumps(credentials_document(known)))
    mine = {"cookie": f"theirs=1; modelyard_session=console; modelyard_app_{port + 1}=x; modelyard_app_{port}=here"}
    with visited(access={"way": "login"}) as client:
        answer = client.get("/", headers=mine)
        said = headers_of(answer)
        assert (said["x-forwarded-email"], said["cookie"]) == ("ann@example.com", "theirs=1")
        assert f"modelyard_replica_{port}=r1" in str(answer.headers.get_list("set-cookie"))
        for other in ("elsewhere", "named", "console"):
            shown = f"modelyard_app_{port}={other}; modelyard_app={other}; modelyard_session={other}"
            assert client.get("/", headers={"cookie": shown}).status_code == 401
        foreign = {**mine, "origin": f"http://127.0.0.1:{port + 1}"}
        assert client.post("/", headers=foreign).status_code == 403
        assert client.post("/", headers={**mine, "origin": f"http://127.0.0.1:{port}"}).status_code == 200
    at_yard = {"cookie": f"modelyard_app_{port}=here", "host": f"127.0.0.1:{port}", "accept": "text/html"}
    assert httpx.get(f"{gateway.url}/metrics", headers=at_yard).status_code == 401, "the yard's port is the yard's"
    for origin, expected in ((f"http://127.0.0.1:{port}", b"HTTP/1.1 101"), ("http://127.0.0.1:1", b"HTTP/1.1 403")):
        with socket.create_connection(("127.0.0.1", port), LIMIT_SECONDS) as wire:
            greeting = GREETING.replace(b"board.localhost", b"127.0.0.1:%d" % port)
            wire.sendall(greeting + f"{mine_line(mine)}origin: {origin}\r\n\r\n".encode())
            assert wire.recv(65536).startswith(expected)


def mine_line(mine: dict[str, str]) -> str:
    return f"cookie: {mine['cookie']}\r\n"


def test_what_is_remembered_of_the_yards_port_is_not_said_at_an_apps(
    visited: Callable[..., httpx.Client], gateway: GatewayProcess, port: int
) -> None:
    """The very same words, in turn, to two origins."""
    visited().close()
    words = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    for _ in range(3):
        for at, expected in ((gateway.port, b'{"status":"ok"}'), (port, b'"server": "r1"')):
            with socket.create_connection(("127.0.0.1", at), LIMIT_SECONDS) as wire:
                wire.sendall(words)
                assert expected in read_until(wire, b"}")


def test_a_port_that_is_taken_is_told_and_tried_again_while_everything_else_goes_on(
    gateway: GatewayProcess, home: Home, controller: ScriptedController, port: int
) -> None:
    hosts = [replace(ORIGIN, port=port), replace(ORIGIN, name="shop", hosts=(), port=gateway.port)]
    with socket.create_server(("127.0.0.1", port)):
        gateway.start(BOARD, hosts=hosts)
        eventually(lambda: len(read_ports(home.ports)) == 2)
        told = read_ports(home.ports)
        assert told[port] == "another program listens there; end that program, or choose another port"
        assert str(told[gateway.port]).startswith("the yard itself listens there")
        assert httpx.get(f"{gateway.url}/healthz").status_code == 200
    controller.accept().tell(BOARD, hosts=hosts[:1])
    eventually(lambda: read_ports(home.ports) == {port: None})


def test_a_gateway_that_is_given_what_listens_goes_on_with_it_and_closes_what_nobody_wishes_any_more(
    gateway: GatewayProcess, home: Home, keeper: Keeper
) -> None:
    kept, over = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    ports = [one.getsockname()[1] for one in (kept, over)]
    with kept, over, socket.create_connection(kept.getsockname(), LIMIT_SECONDS) as early:
        early.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        given = [f"--port-fd={one.fileno()}" for one in (kept, over)]
        gateway.start(
            replace(BOARD, stopped=True), hosts=[replace(ORIGIN, port=ports[0])], more=given, keep=(kept, over)
        )
        assert early.recv(4096).startswith(b"HTTP/1.1 503"), "who came between two gateways has waited"
        assert keeper.hear() == f"drop {ports[1]}"
        assert refuses(ports[1]), "though somebody else still has the socket"


def test_a_session_of_the_yards_counts_for_an_api_gateway_at_the_yards_own_address_alone(
    gateway: GatewayProcess, home: Home, port: int
) -> None:
    known = {digest("console"): Credential(ANN, time.time() + 100, None)}
    home.credentials.write_text(json.dumps(credentials_document(known)))
    config = gateway_document(
        gateway_from({"routes": [{"key": "GET /x", "target": {"site": "docs"}}], "access": {"way": "login"}})
    )
    shop = HostEntry("gateway", "shop", prefix="/gateways/shop", gateway=config, port=port)
    gateway.start(BOARD, hosts=[shop])
    eventually(lambda: read_ports(home.ports) == {port: None})
    mine = {"cookie": "modelyard_session=console"}
    found = [
        httpx.get(f"{gateway.url}/gateways/shop/nothing", headers=mine).status_code,
        httpx.get(
            f"{gateway.url}/gateways/shop/nothing", headers={**mine, "origin": f"http://127.0.0.1:{port}"}
        ).status_code,
        httpx.get(f"http://127.0.0.1:{port}/nothing", headers=mine).status_code,
        httpx.get(f"http://127.0.0.1:{port}/nothing", headers={"x-api-key": "secret-key"}).status_code,
    ]
    assert found == [404, 401, 401, 404], "404 is for who was let in"
