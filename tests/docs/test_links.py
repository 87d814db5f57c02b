"""Links between pages lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import pages, where

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize("page", pages(), ids=where)
def test_every_link_of_a_page_leads_to_a_file_and_heading_that_are_there(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{where(page)}: {link}"
        if anchor:
            assert anchor in {_anchor(heading) for heading in _HEADING.findall(target.read_text())}, link


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-")
