"""Debian's Chromium, driven by Playwright: pages as people see them, and what they would stumble over.

`a_browser` is for scripts, the fixtures `browser` and `page` for tests. Playwright keeps a loop running in its thread
as long as it lives, so that none outlives the tests of one file.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.acceptance.yard import Yard

WIDE = (1280, 900)
NARROW = (390, 844)
"""Sizes of a window, in pixels: a laptop's, a telephone's."""

ACTION_MILLISECONDS = 15_000
"""How long an element that a test names may take to be there."""

GRAVE = ("serious", "critical")
"""What axe calls the faults that keep people out."""

_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Its path; None where this machine has none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def a_browser() -> Generator[Browser]:
    """A browser without a window, that asks nobody but the pages it is sent to."""
    executable = find_chromium()
    assert executable is not None, "cannot look at pages without a browser: install Debian's package chromium"
    with sync_playwright() as playwright:
        # Root has no namespaces of its own to shut the browser into.
        browser = playwright.chromium.launch(
            executable_path=executable, args=list(_QUIET), chromium_sandbox=os.geteuid() != 0
        )
        try:
            yield browser
        finally:
            browser.close()


def a_context(browser: Browser, size: tuple[int, int] = WIDE, *, dark: bool = False, **more: Any) -> BrowserContext:
    """A browser's window with cookies of its own. `more` is Playwright's."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="UTC",
        **more,
    )
    context.set_default_timeout(ACTION_MILLISECONDS)
    return context


def watch(page: Page) -> list[str]:
    """A list that grows by what goes wrong in the page: scripts that fail, and what its policy forbids."""
    faults: list[str] = []

    def on_console(message: Any) -> None:
        # An answer that is an error is told by the test, which knows whether it is one.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            faults.append(f"{page.url}: {message.text}")

    page.on("console", on_console)
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    return faults


def enter(page: Page, yard: Yard, path: str = "/console") -> None:
    """Signs in as the yard's owner, as `modelyard open` does, and goes to a page."""
    page.goto(yard.client().link()["url"])
    if path != "/console":
        page.goto(yard.url + path)


def sign_in(page: Page, email: str, password: str, chosen: str | None = None) -> None:
    """Fills in the login that the page shows; with `chosen` also the form that a temporary password leads to."""
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    if chosen is not None:
        page.get_by_label("Present password").fill(password)
        page.get_by_label("New password").fill(chosen)
        page.get_by_label("The new one again").fill(chosen)
        page.get_by_role("button", name="Change the password").click()


def grave_faults(page: Page) -> list[str]:
    """What axe-core finds that keeps people out: rule, element, and what is wrong with it."""
    # Evaluated by the debugger's protocol, which a page's own policy does not bind.
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


def overflow_pixels(page: Page) -> int:
    """How much wider the page is than its window: nought, or people have to scroll sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def transferred_bytes(page: Page) -> int:
    """What the page took to load, all files of it, without the headers."""
    entries = page.evaluate(
        "JSON.stringify(performance.getEntries().filter(e => e.encodedBodySize !== undefined)"
        ".map(e => [e.name, e.encodedBodySize]))"
    )
    return sum(size for _, size in json.loads(entries))


def take_screenshot(page: Page, path: Path, *, whole: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=whole, animations="disabled", caret="hide")
