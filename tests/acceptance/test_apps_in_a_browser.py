"""An app and a site as people have them: behind the login, through an update with a WebSocket open, asleep, gone."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect

from tests.acceptance.browser import a_context, grave_faults
from tests.acceptance.counting_app import COUNTING_APP
from tests.acceptance.yard import Yard, eventually

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

STARTS_SECONDS = 2.5
"""Longer than a browser waits before it is shown the page that waits."""

APP = """
import time

VERSION = {version}
PAGE = b'''<!doctype html><html lang="en"><title>Board</title><h1>Board</h1><p id="who"></p>
<button disabled>Count</button><p id="told">nothing yet</p>
<script>
const told = document.getElementById("told");
const wire = new WebSocket(`ws://${{location.host}}/live`);
wire.onopen = () => (document.querySelector("button").disabled = false);
wire.onmessage = (event) => (told.textContent = event.data);
wire.onclose = (event) => (told.textContent = `closed with ${{event.code}}`);
document.querySelector("button").onclick = () => wire.send("one more");
</script>'''

time.sleep({starts})

def told(count):
    return f"version {{VERSION}} counted {{count}}"

async def show(scope, send):
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}})
    await send({{"type": "http.response.body", "body": PAGE}})
"""

FILE = """
- name: board
  kind: app
  app: board:app
  access: login
  drain_limit: 60s
  autoscaling: {min_replicas: 0, init_replicas: 1, max_replicas: 2, window: 2s, last_replica_delay: 2s}
- name: handbook
  kind: site
  path: pages
  spa: true
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apps") / "shop"
    (folder / "pages").mkdir(parents=True)
    (folder / "pages" / "index.html").write_text(
        '<!doctype html><html lang="en"><title>Handbook</title><link rel="stylesheet" href="/style.css">'
        '<h1>Handbook</h1><p id="where"></p><script src="/where.js"></script>'
    )
    (folder / "pages" / "style.css").write_text("h1 { color: rgb(1, 2, 3); }")
    (folder / "pages" / "where.js").write_text("document.getElementById('where').textContent = location.pathname;")
    (folder / "modelyard.yaml").write_text(FILE)
    return folder


@pytest.fixture
def visitor(shared_yard: Yard, browser: Browser) -> Iterator[Page]:
    """A window of somebody who has signed in at the yard, and at no app."""
    context = a_context(browser)
    page = context.new_page()
    # As `modelyard open` does it: whoever comes to NAME.localhost is asked at localhost who they are.
    page.goto(shared_yard.client().link()["url"].replace("127.0.0.1", "localhost"))
    yield page
    context.close()


def deploy(yard: Yard, folder: Path, version: int) -> None:
    (folder / "board.py").write_text(APP.format(version=version, starts=STARTS_SECONDS) + COUNTING_APP)
    done = yard.command("deploy", str(folder))
    assert done.returncode == 0, done.stderr


def open_at(page: Page, yard: Yard, name: str, path: str = "/") -> list[WebSocket]:
    """Goes to an own origin, by way of the login's last page; the list grows by the WebSockets that its page opens."""
    opened: list[WebSocket] = []
    page.on("websocket", lambda one: opened.append(one))  # noqa: PLW0108 (Playwright wants a function of Python's)
    page.goto(f"http://{name}.localhost:{urlsplit(yard.url).port}{path}")
    page.wait_for_url(lambda url: urlsplit(url).hostname == f"{name}.localhost")
    return opened


def test_a_page_keeps_its_session_through_an_update(shared_yard: Yard, visitor: Page, folder: Path) -> None:
    deploy(shared_yard, folder, 1)
    opened = open_at(visitor, shared_yard, "board")
    count = visitor.get_by_role("button", name="Count")
    count.click()
    expect(visitor.locator("#told")).to_have_text("version 1 counted 1")
    deploy(shared_yard, folder, 2)
    count.click()
    expect(visitor.locator("#told")).to_have_text("version 1 counted 2")
    newcomer = a_context(visitor.context.browser).new_page()  # type: ignore[arg-type]  # it has one
    newcomer.goto(shared_yard.client().link()["url"].replace("127.0.0.1", "localhost"))
    open_at(newcomer, shared_yard, "board")
    newcomer.get_by_role("button", name="Count").click()
    expect(newcomer.locator("#told")).to_have_text("version 2 counted 1")
    newcomer.context.close()
    count.click()
    expect(visitor.locator("#told")).to_have_text("version 1 counted 3")
    assert [one.is_closed() for one in opened] == [False], "one WebSocket, open all the time"
    open_at(visitor, shared_yard, "board")
    count.click()
    expect(visitor.locator("#told")).to_have_text("version 2 counted 1")


def test_an_app_that_sleeps_is_awaited_and_shown(shared_yard: Yard, visitor: Page) -> None:
    eventually(lambda: not shared_yard.replicas("board"), saying="nobody has it open, so it sleeps")
    visitor.goto(f"http://board.localhost:{urlsplit(shared_yard.url).port}/")
    expect(visitor.get_by_role("heading", name="board is starting")).to_be_visible()
    assert grave_faults(visitor) == []
    expect(visitor.get_by_role("button", name="Count")).to_be_visible(timeout=30_000)


def test_a_site_is_shown_with_what_its_page_loads_and_pages_that_its_script_makes(
    shared_yard: Yard, visitor: Page
) -> None:
    open_at(visitor, shared_yard, "handbook", "/chapters/2")
    expect(visitor.locator("#where")).to_have_text("/chapters/2")
    expect(visitor.get_by_role("heading", name="Handbook")).to_have_css("color", "rgb(1, 2, 3)")


def test_whoever_has_an_app_open_that_is_deleted_is_told_and_nobody_waits_long(
    shared_yard: Yard, visitor: Page
) -> None:
    open_at(visitor, shared_yard, "board")
    visitor.get_by_role("button", name="Count").click(timeout=30_000)
    expect(visitor.locator("#told")).to_have_text(re.compile("counted 1"))
    assert shared_yard.command("delete", "app/board").returncode == 0
    expect(visitor.locator("#told")).to_have_text("closed with 1001")
    visitor.reload()
    expect(visitor.get_by_text("there is no app and no site of that name")).to_be_visible()
