"""A resource as `get` shows it."""

from typing import Any

import pytest

from modelyard.cli.resources import place_lines, resource_lines
from modelyard.sdk.views import ResourceView

URL, THEN = "http://127.0.0.1:8400", "2026-01-31T12:00:00Z"


PLACE = "http://nightly.localhost:8400"


def a_view(kind: str, **spec: Any) -> ResourceView:
    return {
        "kind": kind,
        "name": "nightly",
        "project": "shop",
        "version": 1,
        "updated_at": THEN,
        "spec": spec,
        "versions": [{"number": 1, "created_at": THEN, "by": None, "spec": {}}],
        "url": PLACE if kind in ("site", "gateway") else None,
        "notes": [],
    }


def test_what_a_document_leaves_open_is_not_shown() -> None:
    lines = resource_lines(URL, a_view("batch", input="/in", model_tree=None, options={}, priority=0))
    assert "input: /in" in lines
    assert "priority: 0" in lines
    assert not any("null" in line or "options" in line for line in lines)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("site", [f"open {PLACE}", "port 8501 is not open"]),
        ("gateway", [f"gateway: {URL}/gateways/nightly", f"open {PLACE}", "port 8501 is not open"]),
        ("alarm", []),
    ],
)
def test_a_deployed_site_or_gateway_says_where_it_is_and_what_is_wrong_with_that(kind: str, said: list[str]) -> None:
    view = a_view(kind)
    view["notes"] = ["port 8501 is not open"]
    assert place_lines(URL, view) == said
