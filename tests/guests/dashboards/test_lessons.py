"""Lessons 9 and 10 in Chromium: a dashboard that one group may open, and a page on which a streamed answer grows."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import a_context, sign_in
from tests.acceptance.lessons import Lesson
from tests.acceptance.yard import Yard, eventually
from tests.guests.dashboards.conftest import BUILD_SECONDS, SLOW_MILLISECONDS

LOCK = Path(__file__).parent / "requirements.txt"
CHOSEN = "correct horse battery"

pytestmark = [pytest.mark.environments, pytest.mark.timeout(BUILD_SECONDS + 200)]


def deploy(lesson: Lesson, name: str) -> str:
    """In the environment of this guest's lock; returns where it is."""
    (lesson.folder / "requirements.txt").write_text(LOCK.read_text())
    client = lesson.yard.client()
    client.deploy(lesson.folder, project="lessons")
    eventually(lambda: client.endpoint(name).state == "live", BUILD_SECONDS, f"{name} is live")
    return f"http://{name}.localhost:{urlsplit(lesson.yard.url).port}/"


def a_page(browser: Browser) -> Page:
    context = a_context(browser)
    context.set_default_timeout(SLOW_MILLISECONDS)
    return context.new_page()


def test_a_dashboard_lets_its_group_in_after_the_first_login_and_nobody_else(
    yard: Yard, browser: Browser, tmp_path: Path
) -> None:
    lesson = Lesson(yard, tmp_path, "09-pickups-dashboard")
    access = yard.client().access
    access.put_group("analysts", [])
    passwords = {name: access.add_user(f"{name}@example.org").temporary_password for name in ("ada", "bob")}
    access.put_member("analysts", "ada@example.org", member=True)
    url = deploy(lesson, "pickups")
    ada = a_page(browser)
    ada.goto(f"{url}?from=mail")
    sign_in(ada, "ada@example.org", str(passwords["ada"]), CHOSEN)
    ada.wait_for_url(f"{url}?from=mail", timeout=SLOW_MILLISECONDS)
    expect(ada.get_by_text("seen by ada@example.org (analysts)")).to_be_visible(timeout=SLOW_MILLISECONDS)
    expect(ada.get_by_text("8,000")).to_be_visible()
    # One chart is the map, one has the hours of the day.
    charts = ada.locator("[data-testid=stVegaLiteChart] svg.marks")
    expect(charts).to_have_count(2, timeout=SLOW_MILLISECONDS)
    bob = a_page(browser)
    bob.goto(url)
    sign_in(bob, "bob@example.org", str(passwords["bob"]), CHOSEN)
    expect(bob.get_by_text("it is for the group analysts; an admin can take you in")).to_be_visible()
    assert bob.goto(url).status == 403  # pyright: ignore[reportOptionalMemberAccess] (a page was gone to)
    bob.get_by_role("link", name="Sign out at the yard").click()
    bob.get_by_role("button", name="Sign out").click()
    bob.get_by_role("heading", name="Modelyard").wait_for()
    bob.goto(url)
    sign_in(bob, "ada@example.org", CHOSEN)
    expect(bob.get_by_text("seen by ada@example.org (analysts)")).to_be_visible(timeout=SLOW_MILLISECONDS)


def test_a_streamed_answer_grows_on_the_page_character_by_character(
    yard: Yard, browser: Browser, tmp_path: Path
) -> None:
    text = Lesson(yard, tmp_path, "06-text-generation")
    learned = text.folder / "data" / "train" / "text.txt"
    learned.write_text(learned.read_text()[:40_000])
    text.train("text-training")
    text.deploy("text")
    url = deploy(Lesson(yard, tmp_path, "10-text-page"), "text-page")
    page = a_page(browser)
    page.goto(yard.client().link()["url"].replace("127.0.0.1", "localhost"))
    page.goto(url)
    page.get_by_label("Prompt").fill("the ")
    page.get_by_role("button", name="Write on").click()
    written = page.locator("[data-testid=stText]")
    lengths: set[int] = set()

    def grown() -> bool:
        lengths.add(len(written.inner_text()))
        return max(lengths) >= len("the ") + 300

    written.wait_for()
    eventually(grown, 60)
    assert len(lengths) > 20, "as it comes, not at its end"
    # What may not be asked is said on the page: the endpoint is for a group that whoever looks is not in.
    access = yard.client().access
    access.put_group("writers", [])
    access.add_user("eve@example.org")
    text.change("path: predictor.py}", "path: predictor.py}\n  access: {groups: [writers]}", last=True)
    yard.client().deploy(text.folder, project="lessons")
    eve = a_page(browser)
    eve.goto(url)
    temporary = str(access.reset_password("eve@example.org").temporary_password)
    sign_in(eve, "eve@example.org", temporary, CHOSEN)
    eve.get_by_role("button", name="Write on").click()
    expect(eve.get_by_text("it is for the group writers")).to_be_visible(timeout=SLOW_MILLISECONDS)
