"""Two apps at two ports of one host, beside the console, as a browser has them: of one site, and strangers all the
same."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from modelyard.sdk.access import read_grant
from tests.acceptance.browser import a_context, sign_in
from tests.acceptance.counting_app import COUNTING_APP
from tests.acceptance.yard import Yard, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

PASSWORD = "correct horse battery"
EMAIL = "ann@example.org"

APP = """
PAGE = b'''<!doctype html><html lang="en"><title>App</title><h1>App</h1><p id="who">WHO</p>
<button disabled>Count</button><p id="told">nothing yet</p>
<script>
const wire = new WebSocket(`ws://${location.host}/live`);
wire.onopen = () => (document.querySelector("button").disabled = false);
wire.onmessage = (event) => (document.getElementById("told").textContent = event.data);
document.querySelector("button").onclick = () => wire.send("one more");
</script>'''

def told(count):
    return f"counted {count}"

async def show(scope, send):
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    cookies = headers.get("cookie", "none")
    page = PAGE.replace(b"WHO", f"{headers.get('x-forwarded-email')}, cookies: {cookies}".encode())
    own = [(b"content-type", b"text/html"), (b"set-cookie", b"modelyard_session=stolen; Path=/")]
    await send({"type": "http.response.start", "status": 200, "headers": own})
    await send({"type": "http.response.body", "body": page})
"""
FILE = """
- {{name: first, kind: app, app: 'board:app', access: login, port: {first}}}
- {{name: second, kind: app, app: 'board:app', access: login, port: {second}}}
"""
ATTACK = """async (yard) => {
    const said = [];
    const form = new URLSearchParams({ confirm: "second" });
    for (const [method, path, body] of [
        ["POST", "/console/apps/second/delete", form],
        ["POST", "/console/logout", form],
        ["DELETE", "/api/v1/endpoints/second", null],
        ["GET", "/api/v1/me", undefined],
    ]) {
        for (const mode of ["cors", "no-cors"]) {
            const asked = fetch(yard + path, { method, mode, body, credentials: "include" });
            await asked.then((one) => said.push(one.type), () => said.push("refused"));
        }
    }
    return said;
}"""
"""Everything that a page may try with the cookies of a host that it shares; `opaque` is sent, and cannot be read."""


@pytest.fixture(scope="module")
def ports(shared_yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """Of two apps, each behind the yard's login."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        first, second = (int(free.getsockname()[1]) for free in (one, other))
    folder = tmp_path_factory.mktemp("apps")
    (folder / "board.py").write_text(APP + COUNTING_APP)
    (folder / "modelyard.yaml").write_text(FILE.format(first=first, second=second))
    done = shared_yard.command("deploy", str(folder))
    assert done.returncode == 0, done.stderr
    return first, second


@pytest.fixture
def window(shared_yard: Yard, browser: Browser) -> Iterator[BrowserContext]:
    """A browser that has been nowhere yet, and somebody with a password who sits before it."""
    yard = shared_yard.client().access
    temporary = str(yard.add_user(EMAIL, grants=[read_grant("admin")]).temporary_password)
    yield_to = a_context(browser)
    page = yield_to.new_page()
    page.goto(f"{at_localhost(shared_yard)}/console")
    sign_in(page, EMAIL, temporary, PASSWORD)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    yield_to.clear_cookies()
    page.close()
    yield yield_to
    yield_to.close()


def at_localhost(yard: Yard) -> str:
    return f"http://localhost:{urlsplit(yard.url).port}"


def cookies_of(window: BrowserContext) -> set[str]:
    return {str(one.get("name")) for one in window.cookies()}


def shows(page: Page, port: int) -> None:
    page.wait_for_url(f"http://localhost:{port}/**")
    expect(page.locator("#who")).to_have_text(f"{EMAIL}, cookies: none")


def test_two_apps_at_two_ports_and_the_console_keep_their_sessions_apart(
    shared_yard: Yard, window: BrowserContext, ports: tuple[int, int]
) -> None:
    first, second, console = window.new_page(), window.new_page(), window.new_page()
    first.goto(f"http://localhost:{ports[0]}/")
    sign_in(first, EMAIL, PASSWORD)
    shows(first, ports[0])
    console.goto(f"{at_localhost(shared_yard)}/console")
    expect(console.get_by_role("heading", name="Overview")).to_be_visible()
    second.goto(f"http://localhost:{ports[1]}/")
    shows(second, ports[1])
    for page, port in ((first, ports[0]), (second, ports[1])):
        page.reload()
        shows(page, port)
        page.get_by_role("button", name="Count").click()
        expect(page.locator("#told")).to_have_text("counted 1")
    own = {"modelyard_session", f"modelyard_app_{ports[0]}", f"modelyard_app_{ports[1]}"}
    assert {one for one in cookies_of(window) if "session" in one or "_app" in one} == own

    said = first.evaluate(ATTACK, at_localhost(shared_yard))
    assert said == ["refused", "opaque", "refused", "opaque", "refused", "refused", "refused", "opaque"]
    console.reload()
    expect(console.get_by_role("heading", name="Overview")).to_be_visible()
    assert {one.name: one.state for one in shared_yard.client().endpoints()} == {
        "first": "live",
        "second": "live",
    }

    first.evaluate("fetch('/_modelyard/leave', {method: 'POST'})")
    eventually(lambda: f"modelyard_app_{ports[0]}" not in cookies_of(window))
    second.reload()
    shows(second, ports[1])
    console.reload()
    expect(console.get_by_role("heading", name="Overview")).to_be_visible()
