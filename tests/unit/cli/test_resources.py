"""A resource as `get` shows it."""

from modelyard.cli.resources import resource_lines
from modelyard.sdk.views import ResourceView


def test_what_a_document_leaves_open_is_not_shown() -> None:
    then = "2026-01-31T12:00:00Z"
    view: ResourceView = {
        "kind": "batch",
        "name": "nightly",
        "project": "shop",
        "version": 1,
        "updated_at": then,
        "spec": {"input": "/in", "model_tree": None, "options": {}, "priority": 0},
        "versions": [{"number": 1, "created_at": then, "by": None, "spec": {}}],
    }
    lines = resource_lines(view)
    assert "input: /in" in lines
    assert "priority: 0" in lines
    assert not any("null" in line or "options" in line for line in lines)
