"""Apps at origins of their own: a real gateway in front of web servers that do what the test says."""

import base64
import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from modelyard.domain.access import Grant, Principal, PrincipalKind, Role
from modelyard.protocol.credentials import Credential, credentials_document
from modelyard.protocol.table import APP, HostEntry
from tests.integration.gateway.conftest import ENTRY, GatewayProcess
from tests.integration.gateway.scripted_replica import ScriptedReplica
from tests.integration.gateway.test_load_reports import ScriptedController

BOARD = replace(ENTRY, name="board", kind=APP, max_body_bytes=3 * 2**20, timeout_seconds=10.0)
ORIGIN = HostEntry(APP, "board", hosts=("board.example.com",), endpoint="board")
GREETING = (
    b"GET /live HTTP/1.1\r\nhost: board.localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n"
)
LIMIT_SECONDS = 10.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: "WebServer"

    def setup(self) -> None:
        super().setup()
        self.owner.connections += 1

    def do_GET(self) -> None:
        if self.headers.get("upgrade"):
            self._echo()
            return
        body = self._body()
        said = {
            "server": self.owner.name,
            "path": self.path,
            "headers": [[name.lower(), value] for name, value in self.headers.items()],
            "body": hashlib.sha256(body).hexdigest(),
        }
        answer = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("set-cookie", "theirs=1; Domain=localhost; Path=/")
        self.send_header("set-cookie", "modelyard_app=stolen; Path=/")
        if self.path.startswith("/parts"):
            self._send_parts(answer)
            return
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_POST = do_HEAD = do_GET  # noqa: N815 (the names that its base calls)

    def _body(self) -> bytes:
        if not self.headers.get("transfer-encoding"):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send_parts(self, answer: bytes) -> None:
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for part in (answer[:10], answer[10:]):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _echo(self) -> None:
        """The handshake of RFC 6455, 4.2.2; then whatever comes, back as it is."""
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + accept + b"\r\n\r\n" + self.owner.name.encode() + b"\n"
        )
        with contextlib.suppress(OSError):
            while data := self.connection.recv(65536):
                self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its base's)
        """Says nothing."""


class WebServer:
    """An app's own: it answers with what it was asked, and echoes what comes over a WebSocket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections = 0
        handler = type("BoundHandler", (Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(LIMIT_SECONDS)


@pytest.fixture
def app(replica_at: Callable[..., ScriptedReplica]) -> Iterator[Callable[..., tuple[WebServer, ScriptedReplica]]]:
    made: list[WebServer] = []

    def make(name: str = "r1") -> tuple[WebServer, ScriptedReplica]:
        server = WebServer(name)
        made.append(server)
        return server, replica_at(name, web=server.address, max_in_flight=100)

    yield make
    for one in made:
        one.close()


def visited(gateway: GatewayProcess, *replicas: ScriptedReplica, origin: HostEntry = ORIGIN, **more: Any) -> Any:
    entry = replace(BOARD, replicas=tuple(one.address for one in replicas), **more)
    gateway.start(entry, hosts=[origin])
    for one in replicas:
        assert one.greeted.wait(LIMIT_SECONDS)
    return httpx.Client(base_url=gateway.url, headers={"host": "board.localhost"}, timeout=LIMIT_SECONDS)


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.json()["headers"])


def test_an_app_hears_what_was_asked_and_who_asked_but_nothing_that_is_the_yards(gateway: Any, app: Any) -> None:
    _, replica = app()
    with visited(gateway, replica) as client:
        answer = client.get(
            "/a%2Fb?x=1",
            headers={
                "cookie": "modelyard_session=s; theirs=2; __Host-modelyard_app=t; modelyard_replica=r9",
                "x-forwarded-for": "1.2.3.4",
                "x-forwarded-user": "root",
                "x-modelyard-token": "forged",
                "connection": "x-secret",
                "x-secret": "1",
            },
        )
    said = headers_of(answer)
    assert answer.json()["path"] == "/a%2Fb?x=1"
    assert said["cookie"] == "theirs=2"
    assert (said["host"], said["x-forwarded-host"]) == ("board.localhost", "board.localhost")
    assert (said["x-forwarded-for"], said["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert not {"x-forwarded-user", "x-modelyard-token", "x-secret"} & said.keys()


def test_an_app_can_set_cookies_for_its_own_host_and_none_of_the_yards(gateway: Any, app: Any) -> None:
    _, replica = app()
    with visited(gateway, replica) as client:
        cookies = client.get("/").headers.get_list("set-cookie")
    assert cookies == ["theirs=1; Path=/", "modelyard_replica=r1; Path=/; HttpOnly; SameSite=Lax"]


@pytest.mark.parametrize("path", ["/", "/parts"])
def test_answers_come_whole_over_connections_that_stay_open(gateway: Any, app: Any, path: str) -> None:
    server, replica = app()
    with visited(gateway, replica) as client:
        for _ in range(5):
            assert client.get(path).json()["server"] == "r1"
        assert client.head("/").content == b""
        assert client.get(path).status_code == 200
    assert server.connections == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_an_upload_arrives_whole_and_one_over_the_limit_is_refused(gateway: Any, app: Any, chunked: bool) -> None:
    _, replica = app()
    body = b"0123456789abcdef" * 2**17
    with visited(gateway, replica) as client:
        parts = iter([body[:100_000], body[100_000:]])
        answer = client.post("/up", content=parts if chunked else body)
        assert answer.json()["body"] == hashlib.sha256(body).hexdigest()
        refused = client.post("/up", content=iter([body, body]) if chunked else body + body)
        assert refused.status_code == 413


def test_a_websocket_goes_both_ways_and_counts_as_long_as_it_is_open(gateway: Any, app: Any) -> None:
    _, replica = app()
    visited(gateway, replica).close()
    connection = gateway.connect()
    connection.sendall(GREETING + b"\r\nearly")
    received = read_until(connection, b"early")
    assert received.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in received
    assert b"upgrade: websocket\r\n" in received
    data = bytes(range(256)) * 2048
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    echoed = b""
    while len(echoed) < len(data):
        echoed += connection.recv(65536)
    sender.join(LIMIT_SECONDS)
    assert echoed == data
    assert in_flight(gateway) == 1
    connection.close()
    eventually(lambda: in_flight(gateway) == 0)


def test_a_visitor_comes_back_to_their_replica_and_stays_while_it_leaves(gateway: Any, app: Any) -> None:
    """A rolling update: the old replica says goodbye, its open WebSocket and what belongs to it stay there, new
    visitors go to the other; when the socket closes, the gateway lets the old one go."""
    (_, old), (_, new) = app("old"), app("new")
    with visited(gateway, old, new) as client:
        mine = {"cookie": "modelyard_replica=old"}
        assert {client.get("/", headers=mine).json()["server"] for _ in range(6)} == {"old"}
        connection = gateway.connect()
        connection.sendall(GREETING + b"cookie: modelyard_replica=old\r\n\r\n")
        read_until(connection, b"old\n")
        old.say_goodbye()
        eventually(lambda: client.get("/").json()["server"] == "new")
        assert client.get("/", headers=mine).json()["server"] == "old"
        connection.sendall(b"still here")
        assert read_until(connection, b"still here").endswith(b"still here")
        assert not old.goodbyes.is_set()
        connection.close()
        assert old.goodbyes.wait(LIMIT_SECONDS)
        assert client.get("/", headers=mine).json()["server"] == "new"


def test_a_browser_is_shown_a_page_that_waits_and_others_wait_for_the_answer(gateway: Any) -> None:
    gateway.start(BOARD, hosts=[ORIGIN])
    with httpx.Client(base_url=gateway.url, headers={"host": "board.localhost"}, timeout=20) as client:
        page = client.get("/", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["retry-after"]) == (503, "1")
        assert 'http-equiv="refresh"' in page.text
    connection = gateway.connect()
    connection.sendall(b"GET /data HTTP/1.1\r\nhost: board.localhost\r\n\r\n")
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.recv(1)


def test_a_stopped_app_says_so(gateway: Any) -> None:
    gateway.start(replace(BOARD, stopped=True, why_not_ready="it is stopped"), hosts=[ORIGIN])
    with httpx.Client(base_url=gateway.url, headers={"host": "board.localhost"}) as client:
        page = client.get("/", headers={"accept": "text/html"})
        assert (page.status_code, "board is stopped" in page.text) == (503, True)
        assert client.get("/data").json()["error"]["code"] == "not_ready"


@pytest.mark.parametrize(
    "host", ["board.localhost:1", "BOARD.localhost", "board.example.com", "board.apps.example.org"]
)
def test_an_app_answers_at_each_of_its_names(gateway: Any, app: Any, host: str) -> None:
    _, replica = app()
    gateway.start(
        replace(BOARD, replicas=(replica.address,)), hosts=[ORIGIN], more=["--apps-domain", "apps.example.org"]
    )
    assert httpx.get(gateway.url, headers={"host": host}, timeout=LIMIT_SECONDS).json()["server"] == "r1"


@pytest.mark.parametrize(
    ("host", "status"),
    [("other.localhost", 404), ("a.board.localhost", 200), ("example.com", 403), ("board.example.com.evil", 403)],
)
def test_other_names_reach_no_app(gateway: Any, app: Any, host: str, status: int) -> None:
    _, replica = app()
    visited(gateway, replica).close()
    answer = httpx.get(f"{gateway.url}/healthz", headers={"host": host})
    assert answer.status_code == status
    assert "server" not in answer.text


def test_the_yards_own_paths_are_the_apps_at_the_apps_origin(gateway: Any, app: Any) -> None:
    _, replica = app()
    with visited(gateway, replica) as client:
        assert client.get("/healthz").json()["path"] == "/healthz"
    answer = httpx.post(f"{gateway.url}/endpoints/board/invocations", content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


# -- who may come in -----------------------------------------------------------------------------------------------

ANN = Principal(PrincipalKind.USER, "ann@example.com", (), ("analysts",))
BOB = Principal(PrincipalKind.USER, "bob@example.com")
PROGRAM = Principal(PrincipalKind.KEY, "k-1", (Grant(Role.CALLER, resource="app/board"),))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@pytest.fixture
def guarded(gateway: Any, app: Any, home: Any) -> Callable[..., httpx.Client]:
    """An app behind a policy, and who is known."""

    def start(access: Any) -> httpx.Client:
        _, replica = app()
        known = {
            digest("ann"): Credential(ANN, time.time() + 100, "board.localhost"),
            digest("bob"): Credential(BOB, time.time() + 100, "board.localhost"),
            digest("elsewhere"): Credential(ANN, time.time() + 100, "other.localhost"),
            digest("console"): Credential(ANN, time.time() + 100, None),
            digest("program"): Credential(PROGRAM, None),
        }
        home.credentials.write_text(json.dumps(credentials_document(known)))
        return visited(gateway, replica, origin=replace(ORIGIN, access=access))

    return start


@pytest.mark.parametrize("session", [None, "unknown", "elsewhere", "console"])
def test_a_browser_without_a_session_of_this_host_is_sent_to_the_login(guarded: Any, session: str | None) -> None:
    headers = {"accept": "text/html", "host": "board.localhost:8400"}
    if session is not None:
        headers["cookie"] = f"modelyard_app={session}; modelyard_session={session}"
    with guarded({"way": "login"}) as client:
        answer = client.get("/page?x=1", headers=headers)
    assert answer.status_code == 303
    target = urlsplit(answer.headers["location"])
    asked = parse_qs(target.query)
    assert (target.netloc, target.path) == ("localhost:8400", "/console/entrance")
    assert (asked["host"], asked["next"]) == (["board.localhost"], ["/page?x=1"])
    kept = answer.headers["set-cookie"]
    value = kept.partition("=")[2].partition(";")[0]
    assert asked["state"] == [digest(value)]
    assert "HttpOnly" in kept


def test_a_program_without_a_key_is_refused_and_one_with_a_key_comes_in_without_the_app_seeing_it(guarded: Any) -> None:
    with guarded({"way": "login"}) as client:
        assert client.get("/").status_code == 401
        said = headers_of(client.get("/", headers={"authorization": "Bearer program"}))
        assert "authorization" not in said
        assert said["x-forwarded-user"] == "k-1"
        foreign = client.get("/", headers={"authorization": "Bearer apps-own"})
        assert foreign.status_code == 401


def test_groups_are_kept_to_and_the_app_hears_who_is_there(guarded: Any) -> None:
    with guarded({"groups": ["analysts"]}) as client:
        said = headers_of(client.get("/", headers={"cookie": "modelyard_app=ann"}))
        assert said["x-forwarded-email"] == "ann@example.com"
        assert said["x-forwarded-groups"] == "analysts"
        refused = client.get("/", headers={"cookie": "modelyard_app=bob", "accept": "text/html"})
        assert refused.status_code == 403
        assert "an admin can take you in" in refused.text
        assert '<a href="http://localhost/console">Sign out at the yard</a>' in refused.text
        assert "content-security-policy" in refused.headers


def test_a_page_of_another_origin_cannot_use_a_session(guarded: Any, gateway: Any) -> None:
    mine = {"cookie": "modelyard_app=ann"}
    with guarded({"way": "login"}) as client:
        assert client.post("/", headers={**mine, "origin": "http://other.localhost"}).status_code == 403
        assert client.post("/", headers={**mine, "origin": "http://board.localhost"}).status_code == 200
    connection = gateway.connect()
    connection.sendall(GREETING + b"cookie: modelyard_app=ann\r\norigin: http://evil.example\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 403")


def test_whoever_is_put_out_loses_the_websocket_too_and_nobody_else_does(guarded: Any, gateway: Any, home: Any) -> None:
    controller = ScriptedController(home)
    guarded({"way": "login"}).close()
    ann, bob = gateway.connect(), gateway.connect()
    for connection, session in ((ann, b"ann"), (bob, b"bob")):
        connection.sendall(GREETING + b"cookie: modelyard_app=%b\r\norigin: http://board.localhost\r\n\r\n" % session)
        read_until(connection, b"r1\n")
    left = {digest("bob"): Credential(BOB, time.time() + 100, "board.localhost")}
    controller.accept().say({"type": "credentials", "credentials": credentials_document(left)})
    assert ann.recv(1) == b""
    bob.sendall(b"still here")
    assert read_until(bob, b"still here")
    eventually(lambda: in_flight(gateway) == 1)
    controller.close()


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    connection.settimeout(LIMIT_SECONDS)
    received = b""
    while not received.endswith(mark):
        data = connection.recv(65536)
        assert data, received
        received += data
    return received


def in_flight(gateway: Any) -> float:
    text = httpx.get(f"{gateway.url}/metrics", headers={"x-api-key": "secret-key"}).text
    lines = [line for line in text.splitlines() if line.startswith("modelyard_in_flight_requests")]
    return sum(float(line.rpartition(" ")[2]) for line in lines if 'endpoint="board"' in line)


def eventually(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.02)
