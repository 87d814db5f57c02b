"""Views out of JSON."""

from dataclasses import asdict

from modelyard.protocol.views import HeadlinesView, HeadlineView, view_from

LINE = HeadlineView("endpoint", "price", "shop", None, "live", "fine", 1, 1, 1, 1, "2026-01-01T00:00:00.000Z", None)
LINES = HeadlinesView(1, 2, {"live": 2}, ["shop"], [LINE])


def test_a_view_comes_back_as_it_was_sent_and_what_a_newer_yard_says_beside_it_is_left_out() -> None:
    document = asdict(LINES)
    assert view_from(HeadlinesView, document) == LINES
    assert view_from(HeadlinesView, {**document, "news": 1, "headlines": [{**asdict(LINE), "more": {}}]}) == LINES
