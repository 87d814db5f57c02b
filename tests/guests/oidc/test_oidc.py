"""People sign in by the real oidc-provider: its pages are followed and filled in as a browser does, and by Chromium."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.acceptance.browser import a_browser, a_context, find_chromium
from tests.acceptance.conftest import a_yard
from tests.acceptance.yard import Yard, eventually
from tests.guests.guest_environment import cache_folder

HERE = Path(__file__).parent
HOPS_MAX = 20

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not there; Debian's package is npm")


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    with a_yard() as one:
        yield one


@pytest.fixture(scope="module")
def issuer(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = installed()
    # Whoever comes to an app at NAME.localhost is asked at localhost who they are.
    origins = (yard.url, local_url(yard))
    callbacks = " ".join(f"{one}/console/login/staff/callback" for one in origins)
    environment = {**os.environ, "PORT": str(port), "REDIRECTS": callbacks, "SIGNED_OUT": f"{yard.url}/console/login"}
    log = tmp_path_factory.mktemp("provider") / "log"
    with log.open("wb") as output:
        node = subprocess.Popen(["node", "server.mjs"], cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        eventually(lambda: "listening" in log.read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        node.kill()
        node.wait()


def local_url(yard: Yard) -> str:
    return yard.url.replace("127.0.0.1", "localhost")


def installed() -> Path:
    """The provider with what its lock names, kept between runs."""
    folder = cache_folder("oidc", (HERE / "package-lock.json").read_text())
    for name in ("package.json", "package-lock.json", "server.mjs"):
        shutil.copy(HERE / name, folder)
    if not (folder / "node_modules" / "oidc-provider").is_dir():
        command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True, timeout=300, stdout=sys.stderr)
    return folder


@pytest.fixture(scope="module")
def provider(yard: Yard, issuer: str) -> str:
    client = yard.client()
    client.set_secret("oidc-staff", "the secret of the client")
    client.access.put_group("people", [{"role": "viewer"}])
    told = yard.command(
        *("providers", "put", "staff", "--issuer", issuer, "--client-id", "yard", "--client-secret", "oidc-staff"),
        *("--label", "the staff's site", "--admit", "example.org", "--group", "staff=people", "--sign-out"),
    )
    assert told.returncode == 0, told.stderr
    assert f"{yard.url}/console/login/staff/callback" in told.stdout
    checked = yard.command("providers", "check", "staff")
    assert "staff answers" in checked.stdout, checked.stderr
    return issuer


class Browser:
    """Follows redirects and pages that lead on, keeping cookies as a browser does."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.seen: list[str] = []

    def open(self, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        for _ in range(HOPS_MAX):
            self.seen.append(url)
            headers = {"origin": url[: url.index("/", len("https://"))]} if form is not None else {}
            answer = self.client.request("POST" if form is not None else "GET", url, data=form, headers=headers)
            form = None
            leads = re.search(r'http-equiv="refresh" content="0; url=([^"]*)"', answer.text)
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
            elif leads:
                url = urljoin(url, unescape(leads[1]))
            else:
                return answer
        raise AssertionError(f"still under way: {self.seen}")

    def fill(self, page: httpx.Response, **values: str) -> httpx.Response:
        """Sends the page's first form."""
        action = unescape(re.findall(r'<form[^>]*action="([^"]*)"', page.text)[0])
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
        return self.open(urljoin(str(page.url), action), {**hidden, **values})


@pytest.fixture
def browser() -> Iterator[Browser]:
    with httpx.Client(timeout=30) as client:
        yield Browser(client)


def sign_in(browser: Browser, yard: Yard, who: str) -> httpx.Response:
    page = browser.open(f"{yard.url}/console/login")
    assert "Sign in with the staff&#39;s site" in page.text
    page = browser.open(f"{yard.url}/console/login/staff?next=/console/models")
    page = browser.fill(page, login=who, password="whatever")
    if "/interaction/" in str(page.url):
        page = browser.fill(page)
    return page


def test_somebody_signs_in_and_is_in_the_groups_that_the_provider_names_until_they_sign_out(
    browser: Browser, yard: Yard, provider: str
) -> None:
    page = sign_in(browser, yard, "ada")
    assert page.status_code == 200, page.text
    assert str(page.url) == f"{yard.url}/console/models"
    ada = yard.client().access.user("ada@example.org")
    assert (ada.issuer, ada.groups, ada.has_password) == (provider, ["people"], False)
    used = next(one for one in browser.seen if "/callback?" in one)
    replayed = browser.open(used)
    assert replayed.status_code == 401
    assert "was used already" in unescape(replayed.text)
    assert browser.open(f"{yard.url}/console").status_code == 200, "the session that there is goes on"
    browser.open(f"{yard.url}/console/logout", {})
    assert any(one.startswith(f"{provider}/session/end") for one in browser.seen)
    assert "Sign in" in browser.open(f"{yard.url}/console").text


def test_an_answer_is_good_only_in_the_browser_that_asked(browser: Browser, yard: Yard, provider: str) -> None:
    page = browser.open(f"{yard.url}/console/login/staff")
    del browser.client.cookies["modelyard_login"]
    page = browser.fill(page, login="ada", password="x")
    if "/interaction/" in str(page.url):
        page = browser.fill(page)
    assert page.status_code == 401
    assert "did not begin in this browser" in page.text


def test_an_address_that_the_provider_has_not_verified_opens_nothing(
    browser: Browser, yard: Yard, provider: str
) -> None:
    page = sign_in(browser, yard, "mallory")
    assert page.status_code == 401
    assert "has not verified" in page.text
    assert "mallory@example.org" not in [one.email for one in yard.client().access.users()]
    assert "sign in by staff" in yard.command("audit", "mallory").stdout
    assert "the secret of the client" not in yard.log("control") + yard.log("gateway")


APP = """
import json, os, urllib.request
import jwt

KEYS = jwt.PyJWKClient(os.environ["MODELYARD_URL"] + "/api/v1/tokens/keys")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    token = dict(scope["headers"])[b"x-modelyard-identity"].decode()
    key = KEYS.get_signing_key_from_jwt(token)
    told = jwt.decode(token, key, algorithms=["ES256"], audience="app/board", issuer="modelyard")
    page = f"<!doctype html><title>Board</title><p>verified {told['email']} of {', '.join(told['groups'])}</p>"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": page.encode()})
"""


@pytest.fixture
def chromium() -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("no Chromium on this machine; Debian's package is `chromium`")
    with a_browser() as one:
        yield one


def test_an_app_verifies_who_came_by_the_provider_in_a_real_browser(
    chromium: Chromium, yard: Yard, provider: str, tmp_path: Path
) -> None:
    (tmp_path / "board.py").write_text(APP)
    (tmp_path / "modelyard.yaml").write_text(
        "- {name: board, kind: app, app: 'board:app', access: {groups: [people]}, start_limit: 60s}\n"
    )
    deployed = yard.command("deploy", str(tmp_path))
    assert deployed.returncode == 0, deployed.stderr
    page = a_context(chromium).new_page()
    port = local_url(yard).rpartition(":")[2]
    page.goto(f"http://board.localhost:{port}/")
    page.get_by_role("link", name="Sign in with the staff's site").click()
    assert page.url.startswith(provider)
    page.locator("input[name=login]").fill("ada")
    page.locator("input[name=password]").fill("whatever")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("verified ada@example.org of people")).to_be_visible()
    assert page.url == f"http://board.localhost:{port}/"
    assert "modelyard_session" not in [one.get("name") for one in page.context.cookies(page.url)]
    page.context.close()
