"""What a predictor's answer may be at the yard's own address: no page that acts there, no cookie of the yard's."""

import pytest

from modelyard.gateway.answers import SANDBOX, answer_head, is_page


@pytest.mark.parametrize(
    "media_type",
    [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        " image/svg+xml",
        "application/xhtml+xml",
        "application/rss+xml;x=1",
        "text/xsl",
        "multipart/x-mixed-replace; boundary=x",
        "*/*",
        "unknown/unknown",
        "html",
        "",
        "text/plain, text/html",
    ],
)
def test_whatever_a_browser_might_run_is_in_a_sandbox(media_type: str) -> None:
    assert SANDBOX in answer_head({"type": media_type or " "}, 1)[1]


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "text/csv",
        "text/plain; charset=utf-8",
        "image/png",
        "application/x-npy",
        "text/event-stream",
    ],
)
def test_what_no_browser_runs_needs_none(media_type: str) -> None:
    assert SANDBOX not in answer_head({"type": media_type}, 1)[1]


def test_one_of_several_types_is_enough() -> None:
    assert is_page(b"content-type: text/plain\r\ncontent-type: text/html\r\n")
    assert is_page(b"x-own: 1\r\n"), "a browser guesses"


def test_a_predictor_sets_no_cookie_that_is_the_yards() -> None:
    theirs = [("Set-Cookie", "modelyard_session=fixed; Path=/"), ("set-cookie", "mine=1; Domain=localhost")]
    head = answer_head({"type": "application/json", "headers": theirs}, 1)[1]
    assert b"modelyard_session" not in head
    assert b"set-cookie: mine=1\r\n" in head
