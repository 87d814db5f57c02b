"""`python -m contributing.lesson_pictures`: pictures of the pages of lessons 8 to 10, of a yard made for them.

Each page wide and narrow, light and dark, into docs/images/lessons. It does what the lessons' pages say, with real data
where there is some (MODELYARD_DATA, or shared/data beside the checkout), in a minute or two.
"""

import base64
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from contributing.screenshots import QUALITY
from tests.acceptance.browser import a_browser, a_context, sign_in
from tests.acceptance.conftest import a_yard
from tests.acceptance.lessons import Lesson
from tests.acceptance.yard import Yard, eventually

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images" / "lessons"
BUILD_SECONDS = 600.0
SLOW_MILLISECONDS = 60_000
WHO, PASSWORD = "ada@example.org", "correct horse battery"


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, how high its window is where it is wide and narrow, and what makes it worth a picture."""

    name: str
    heights: tuple[int, int]
    ready: Callable[[Page], None]


def a_plot(page: Page) -> None:
    expect(page.locator("#plot circle").first).to_be_visible(timeout=SLOW_MILLISECONDS)


def a_map(page: Page) -> None:
    expect(page.locator("[data-testid=stVegaLiteChart] svg.marks")).to_have_count(2, timeout=SLOW_MILLISECONDS)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=SLOW_MILLISECONDS)


def a_text_on_its_way(page: Page) -> None:
    page.get_by_role("button", name="Write on").click()
    written = page.locator("[data-testid=stText]")
    written.wait_for()
    eventually(lambda: len(written.inner_text()) > 260, BUILD_SECONDS)


PAGES = (
    Shown("trends", (620, 620), a_plot),
    Shown("pickups", (1000, 1000), a_map),
    Shown("text-page", (1060, 1180), a_text_on_its_way),
)


def main() -> int:
    with tempfile.TemporaryDirectory() as place, a_yard() as yard, a_browser() as browser:
        temporary = let_in(yard)
        deploy(yard, Path(place))
        for width, kind in ((1280, "wide"), (390, "narrow")):
            for dark in (False, True):
                temporary = take(browser, yard, width, f"{kind}-{'dark' if dark else 'light'}", temporary, dark=dark)
    total = sum(file.stat().st_size for file in IMAGES.glob("*.webp"))
    sys.stdout.write(f"{len(PAGES) * 4} pictures, {total / 1e6:.1f} MB\n")
    return 0


def let_in(yard: Yard) -> str:
    """Adds somebody of the group that may see the dashboard; returns the password for the first login."""
    access = yard.client().access
    access.put_group("analysts", [])
    added = access.add_user(WHO)
    access.put_member("analysts", WHO, member=True)
    return str(added.temporary_password)


def deploy(yard: Yard, place: Path) -> None:
    data = Path(os.environ.get("MODELYARD_DATA", ROOT.parent / "shared" / "data"))
    real = data if data.is_dir() else None
    lesson = Lesson(yard, place, "06-text-generation", real)
    lesson.train("text-training")
    lesson.deploy("text")
    Lesson(yard, place, "08-trends-page", real).deploy("trend-anomalies")
    for name, app in (("09-pickups-dashboard", "pickups"), ("10-text-page", "text-page")):
        yard.client().deploy(Lesson(yard, place, name, real).folder, project="lessons")
        eventually(lambda app=app: yard.client().endpoint(app).state == "live", BUILD_SECONDS)


def take(browser: Browser, yard: Yard, width: int, kind: str, temporary: str, *, dark: bool) -> str:
    """Returns what is left of the temporary password, which is for the first login alone."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for shown in PAGES:
        height = shown.heights[0 if width > 600 else 1]
        context = a_context(browser, (width, height), dark=dark)
        context.set_default_timeout(SLOW_MILLISECONDS)
        page = context.new_page()
        page.goto(f"http://{shown.name}.localhost:{urlsplit(yard.url).port}/")
        if shown.name != "trends":
            sign_in(page, WHO, temporary or PASSWORD, PASSWORD if temporary else None)
            temporary = ""
        shown.ready(page)
        session: Any = context.new_cdp_session(page)
        shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        (IMAGES / f"{shown.name}-{kind}.webp").write_bytes(base64.b64decode(str(shot["data"])))
        context.close()
    return temporary


if __name__ == "__main__":
    sys.exit(main())
