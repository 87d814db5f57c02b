"""Real Streamlit, Gradio, Dash, Panel and JupyterLab, each an app behind a login, opened in Chromium: the page loads,
its WebSocket or its stream works, a widget answers, an upload arrives."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect
from playwright.sync_api import TimeoutError as TimedOut

from tests.acceptance.browser import a_context
from tests.acceptance.yard import Yard, eventually
from tests.guests.dashboards.conftest import BUILD_SECONDS, SLOW_MILLISECONDS

HERE = Path(__file__).parent

RUNS_MAX = 3
"""How often a cell is asked to run: JupyterLab loses a key that is pressed while a dialog of its own goes away."""

pytestmark = [pytest.mark.environments, pytest.mark.timeout(BUILD_SECONDS + 200)]


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them in one environment, which the lock names; a yard file for each."""
    folder = tmp_path_factory.mktemp("dashboards") / "apps"
    shutil.copytree(HERE / "apps", folder)
    shutil.copy(HERE / "requirements.txt", folder)
    return folder


@pytest.fixture
def name(request: pytest.FixtureRequest, yard: Yard, code: Path) -> Iterator[str]:
    """The app that the test is about, live."""
    chosen = str(request.param)
    yard.client().deploy(code / f"{chosen}.yaml")
    eventually(lambda: is_live(yard, chosen), BUILD_SECONDS, f"{chosen} is live")
    yield chosen
    # Its page is still open, which an app's replica waits for.
    yard.client().delete_endpoint(chosen, wait=False)


def is_live(yard: Yard, name: str) -> bool:
    view = yard.client().endpoint(name)
    assert view.state != "failed", view.sentence
    return view.state == "live"


@pytest.fixture
def page(yard: Yard, browser: Browser) -> Iterator[Page]:
    """A browser's window of somebody who has signed in at the yard, and at no app."""
    context = a_context(browser)
    context.set_default_timeout(SLOW_MILLISECONDS)
    one = context.new_page()
    # As `modelyard open` does it: whoever comes to NAME.localhost is asked at localhost who they are.
    one.goto(yard.client().link()["url"].replace("127.0.0.1", "localhost"))
    yield one
    context.close()


def open_app(page: Page, yard: Yard, name: str, path: str = "/") -> list[WebSocket]:
    """Goes to an app's own origin, over the login; the list grows by the WebSockets that its page opens."""
    opened: list[WebSocket] = []
    page.on("websocket", lambda one: opened.append(one))  # noqa: PLW0108 (Playwright wants a function of Python's)
    page.goto(f"http://{name}.localhost:{urlsplit(yard.url).port}{path}")
    # The login's last page is one that goes on by itself.
    page.wait_for_url(lambda url: urlsplit(url).hostname == f"{name}.localhost", timeout=SLOW_MILLISECONDS)
    return opened


def see(page: Page, text: str) -> None:
    expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=SLOW_MILLISECONDS)


@pytest.mark.parametrize("name", ["streamlit"], indirect=True)
def test_streamlit_keeps_a_session_knows_who_is_there_and_takes_an_upload(page: Page, yard: Yard, name: str) -> None:
    opened = open_app(page, yard, name)
    see(page, "seen by owner")
    page.get_by_role("button", name="Count").click()
    see(page, "counted 1")
    page.get_by_role("button", name="Count").click()
    see(page, "counted 2")
    page.locator("input[type=file]").set_input_files(
        {"name": "rows.csv", "mimeType": "text/csv", "buffer": b"x" * 3 * 2**20}
    )
    see(page, f"{3 * 2**20} bytes of rows.csv")
    assert [one.is_closed() for one in opened] == [False], "one WebSocket, open all the time"


@pytest.mark.parametrize("name", ["gradio"], indirect=True)
def test_gradio_streams_what_its_function_yields(page: Page, yard: Yard, name: str) -> None:
    open_app(page, yard, name)
    page.get_by_label("Word").fill("parrot")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_label("Spelled")).to_have_value("so far parrot", timeout=SLOW_MILLISECONDS)


@pytest.mark.parametrize("name", ["dash"], indirect=True)
def test_dash_calls_back(page: Page, yard: Yard, name: str) -> None:
    open_app(page, yard, name)
    see(page, "costs 200")
    page.locator("#rooms").fill("7")
    see(page, "costs 700")


@pytest.mark.parametrize("name", ["panel"], indirect=True)
def test_panel_answers_over_its_websocket(page: Page, yard: Yard, name: str) -> None:
    opened = open_app(page, yard, name)
    see(page, "counted 0")
    page.get_by_role("button", name="Count").click()
    see(page, "counted 1")
    assert [one.is_closed() for one in opened] == [False]


@pytest.mark.parametrize("name", ["lab"], indirect=True)
def test_a_notebook_runs_and_what_it_serves_is_seen_below_proxy(page: Page, yard: Yard, name: str) -> None:
    # Dash, in the same environment, brings what JupyterLab would be built anew with.
    page.add_locator_handler(page.locator(".jp-Dialog"), lambda: page.locator(".jp-Dialog .jp-mod-reject").click())
    opened = open_app(page, yard, name, "/lab/tree/work.ipynb?reset")
    page.locator(".jp-Notebook").wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    printed = page.locator(".jp-OutputArea-output").get_by_text(re.compile(r"port \d+"))
    for _try in range(RUNS_MAX):
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        with contextlib.suppress(TimedOut):
            printed.wait_for(timeout=SLOW_MILLISECONDS / RUNS_MAX)
            break
    assert any("/api/kernels/" in one.url and not one.is_closed() for one in opened)
    port = int(printed.inner_text().rpartition(" ")[2])
    open_app(page, yard, name, f"/proxy/{port}/")
    see(page, "what is being developed")
