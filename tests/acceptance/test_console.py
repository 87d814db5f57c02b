"""The console in a real browser, over a real yard."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.acceptance.browser import NARROW, WIDE, a_context, enter, grave_faults, overflow_pixels
from tests.acceptance.yard import Yard

pytestmark = pytest.mark.acceptance

PASSWORD = "correct horse battery"


def test_the_first_login_wants_another_password(shared_yard: Yard, page: Page) -> None:
    added = shared_yard.client().access.add_user(
        "ada@example.org", grants=[{"role": "viewer", "project": None, "resource": None}]
    )
    page.goto(f"{shared_yard.url}/console")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill(str(added.get("temporary_password")))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
    page.goto(f"{shared_yard.url}/console")
    expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
    page.get_by_label("Present password").fill(str(added.get("temporary_password")))
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The new one again").fill(PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page).to_have_url(f"{shared_yard.url}/console")
    expect(page.get_by_role("heading", name="Nothing is wrong")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nobody_stumbles_over_the_overview(
    shared_yard: Yard, browser: Browser, size: tuple[int, int], dark: bool
) -> None:
    context = a_context(browser, size, dark=dark)
    page = context.new_page()
    enter(page, shared_yard)
    assert grave_faults(page) == []
    assert overflow_pixels(page) == 0
    context.close()
