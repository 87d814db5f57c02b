"""Apps through real processes: behind the yard's login, over WebSockets, through a rolling update, asleep and awake."""

import base64
import html
import json
import os
import re
import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from websockets import Origin
from websockets.sync.client import ClientConnection, connect

from tests.acceptance.counting_app import COUNTING_APP
from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

PASSWORD = "correct horse battery"
HOST = "board.localhost"

APP = """
import json
import os

VERSION = {version}

def told(count):
    return f"{{VERSION}} {{os.getpid()}} {{count}}"

async def show(scope, send):
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    body = json.dumps({{"version": VERSION, "pid": os.getpid(), "headers": headers}}).encode()
    head = [(b"content-type", b"application/json")]
    await send({{"type": "http.response.start", "status": 200, "headers": head}})
    await send({{"type": "http.response.body", "body": body}})
"""
FILE = "- {name: board, kind: app, app: 'board:app', access: {groups: [analysts]}, start_limit: 60s}\n"
MODEL = "- {name: iris, model: iris.joblib, access: login}\n"


class Browser:
    """Keeps cookies by host, as browsers do, and goes to every name at the yard's own address."""

    def __init__(self, yard: Yard) -> None:
        self.port = urlsplit(yard.url).port
        self._client = httpx.Client(base_url=yard.url, timeout=30)
        self._cookies: dict[str, dict[str, str]] = {}

    def ask(self, method: str, url: str, **more: object) -> httpx.Response:
        split = urlsplit(url)
        kept = self._cookies.setdefault(str(split.hostname), {})
        headers = {"host": split.netloc, "accept": "text/html", "origin": f"http://{split.netloc}"}
        if method == "GET":
            del headers["origin"]
        if kept:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        self._client.cookies.clear()
        path = url.partition(split.netloc)[2] or "/"
        answer = self._client.request(method, path, headers=headers, **more)  # type: ignore[arg-type]  # httpx's own
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            kept[name] = value.strip('"')
            if "Max-Age=0" in line:
                del kept[name]
        return answer

    def follow(self, url: str) -> httpx.Response:
        """Goes on wherever redirects and pages that pass on lead."""
        for _ in range(10):
            answer = self.ask("GET", url)
            passed = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
            target = answer.headers.get("location") or (html.unescape(passed[1]) if passed else None)
            if target is None:
                return answer
            split = urlsplit(url)
            url = target if "://" in target else f"{split.scheme}://{split.netloc}{target}"
        raise AssertionError("this leads nowhere")

    def cookie_header(self, host: str) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies[host].items())

    def close(self) -> None:
        self._client.close()


@contextmanager
def websocket(browser: Browser) -> Generator[ClientConnection]:
    origin = f"http://{HOST}:{browser.port}"
    headers = {"cookie": browser.cookie_header(HOST)}
    url = f"ws://{HOST}:{browser.port}/live"
    wire = socket.create_connection(("127.0.0.1", browser.port))
    with connect(url, sock=wire, origin=Origin(origin), additional_headers=headers, proxy=None) as one:
        yield one


def said(answer: httpx.Response) -> dict[str, str]:
    return dict(json.loads(answer.text)["headers"])


@pytest.mark.long
def test_an_app_behind_a_login_lives_through_an_update(
    yard: Yard, project: Callable[..., Path], iris_model: Path
) -> None:
    path = project(FILE + MODEL, **{"board.py": APP.format(version=1) + COUNTING_APP})
    (path.parent / "iris.joblib").write_bytes(iris_model.read_bytes())
    deployed = yard.command("deploy", str(path))
    assert deployed.returncode == 0, deployed.stderr
    assert "creating board (app)" in deployed.stdout
    assert f"open http://{HOST}" in deployed.stdout
    yard.client().access.put_group("analysts")
    for name in ("ann", "bob"):
        temporary = yard.command("users", "add", f"{name}@example.org").stdout.strip()
        set_password(yard, f"{name}@example.org", temporary)
    yard.client().access.put_member("analysts", "ann@example.org", member=True)

    browser = Browser(yard)
    page = browser.follow(f"http://{HOST}:{browser.port}/page?x=1")
    assert "Sign in" in page.text
    sign_in(browser, page, "ann@example.org")
    home = browser.follow(f"http://{HOST}:{browser.port}/page?x=1")
    told = said(home)
    assert (told["x-forwarded-email"], told["x-forwarded-groups"]) == ("ann@example.org", "analysts")
    assert "modelyard_" not in told.get("cookie", "")
    check_identity(yard, told["x-modelyard-identity"])
    check_calls(yard, told["x-modelyard-token"])

    stranger = Browser(yard)
    sign_in(stranger, stranger.follow(f"http://{HOST}:{stranger.port}/"), "bob@example.org")
    assert stranger.follow(f"http://{HOST}:{stranger.port}/").status_code == 403

    with websocket(browser) as one:
        one.send("hello")
        version, pid, count = one.recv(30).split()
        assert (version, count) == ("1", "1")
        (path.parent / "board.py").write_text(APP.format(version=2) + COUNTING_APP)
        assert yard.command("deploy", str(path)).returncode == 0
        one.send("still here")
        assert one.recv(30) == f"1 {pid} 2"
        newcomer = {"authorization": f"Bearer {yard.key}", "host": HOST}
        assert httpx.get(yard.url, headers=newcomer).json()["version"] == 2
    eventually(lambda: json.loads(browser.follow(f"http://{HOST}:{browser.port}/").text)["version"] == 2)
    eventually(lambda: len(yard.replicas("board")) == 1)

    replica = yard.replicas("board")[0]
    os.kill(json.loads(browser.follow(f"http://{HOST}:{browser.port}/").text)["pid"], signal.SIGKILL)
    eventually(lambda: [one["id"] for one in yard.replicas("board")] not in ([], [replica["id"]]))
    eventually(lambda: browser.follow(f"http://{HOST}:{browser.port}/").status_code == 200)

    path.write_text(FILE.replace("start_limit", "replicas: 0, start_limit") + MODEL)
    assert yard.command("deploy", str(path)).returncode == 0
    stopped = eventually(lambda: stopped_page(browser))
    assert "board is stopped" in stopped
    session = next(one for one in yard.client().access.sessions() if one.host is None and one.user == "ann@example.org")
    yard.client().access.end_session(session.id)
    eventually(lambda: "Sign in" in browser.follow(f"http://{HOST}:{browser.port}/").text)
    browser.close()
    stranger.close()


def set_password(yard: Yard, email: str, temporary: str) -> None:
    with httpx.Client(base_url=yard.url, headers={"origin": yard.url}, timeout=30) as client:
        client.post("/console/login", data={"email": email, "password": temporary})
        form = {"old": temporary, "new": PASSWORD, "again": PASSWORD}
        assert client.post("/console/password", data=form).status_code == 303


def sign_in(browser: Browser, page: httpx.Response, email: str) -> None:
    target = html.unescape(re.search(r'name="next" value="([^"]*)"', page.text)[1])  # type: ignore[index]  # it is there
    form = {"email": email, "password": PASSWORD, "next": target}
    answer = browser.ask("POST", f"http://localhost:{browser.port}/console/login", data=form)
    assert answer.headers["location"] == target, answer.text


def check_identity(yard: Yard, token: str) -> None:
    """As anybody would: with the yard's public keys and nothing else."""
    head, claims, signature = token.split(".")
    key = httpx.get(f"{yard.url}/api/v1/tokens/keys").json()["keys"][0]
    assert json.loads(decoded(head))["kid"] == key["kid"]
    x, y = (int.from_bytes(decoded(key[one]), "big") for one in ("x", "y"))
    public = EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
    raw = decoded(signature)
    halves = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public.verify(encode_dss_signature(*halves), f"{head}.{claims}".encode(), ECDSA(SHA256()))
    assert json.loads(decoded(claims))["sub"] == "user ann@example.org"


def check_calls(yard: Yard, token: str) -> None:
    """The token calls an endpoint as that person, and is nothing to the yard's interface."""
    body = {"instances": [[5.1, 3.5, 1.4, 0.2]]}
    mine = {"authorization": f"Bearer {token}"}
    url = f"{yard.url}/endpoints/iris/invocations"
    assert httpx.post(url, json=body).status_code == 401
    assert httpx.post(url, json=body, headers=mine, timeout=30).status_code == 200
    assert httpx.get(f"{yard.url}/api/v1/endpoints", headers=mine).status_code == 401


def stopped_page(browser: Browser) -> str | None:
    answer = browser.follow(f"http://{HOST}:{browser.port}/")
    return answer.text if answer.status_code == 503 else None


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
