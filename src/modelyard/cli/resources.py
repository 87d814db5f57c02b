"""Resources of kinds other than endpoints, as lines. `get` and `delete` show and remove them."""

import json
from typing import TYPE_CHECKING, Any, cast

from modelyard.cli.output import table_lines
from modelyard.cli.times import age
from modelyard.domain.gateways import KIND as GATEWAY
from modelyard.domain.sites import KIND as SITE
from modelyard.domain.splitters import KIND as SPLITTER
from modelyard.protocol.routes import ENDPOINTS, GATEWAYS, INVOCATIONS

if TYPE_CHECKING:
    from modelyard.sdk.views import ResourceView


WIDTH = 110
"""Columns of what is shown of a document."""


def resource_table(resources: "list[ResourceView]") -> list[str]:
    rows = [(one["kind"], one["name"], one["project"], one["version"], age(one["updated_at"])) for one in resources]
    return table_lines(("kind", "name", "project", "version", "last update"), rows)


def place_lines(url: str, view: "ResourceView") -> list[str]:
    """Where it is asked, or where somebody goes to see it; nothing where that is no place."""
    if view["kind"] == SPLITTER:
        return [f"endpoint: {url}{ENDPOINTS}{view['name']}{INVOCATIONS}"]
    if view["kind"] not in (GATEWAY, SITE):
        return []
    below = [f"gateway: {url}{GATEWAYS}{view['name']}"] if view["kind"] == GATEWAY else []
    return [*below, f"open {view['url']}", *view["notes"]]


def resource_lines(url: str, view: "ResourceView") -> list[str]:
    """The table of one, what its document says, and its versions."""
    fields: list[str] = []
    for key, value in _told(view["spec"]).items():
        if value != {}:
            fields += _field_lines(key, value)
    rows = [(one["number"], age(one["created_at"]), one["by"]) for one in view["versions"]]
    return [
        *resource_table([view]),
        "",
        *fields,
        *place_lines(url, view),
        "",
        *table_lines(("version", "when", "by"), rows),
    ]


def _field_lines(key: str, value: Any) -> list[str]:
    """As a yard file would have it; what is short stays in its line."""
    import yaml  # noqa: PLC0415 (start-up time)

    if not isinstance(value, dict | list):
        return [f"{key}: {value if isinstance(value, str) else json.dumps(value)}"]
    text = yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=None, allow_unicode=True, width=WIDTH)
    return text.splitlines()


def _told(value: Any) -> Any:
    """What is said of it, without what is left open at any depth."""
    if isinstance(value, dict):
        inner = {key: _told(one) for key, one in cast("dict[str, Any]", value).items()}
        return {key: one for key, one in inner.items() if one not in (None, "", [])}
    if isinstance(value, list):
        return [_told(one) for one in cast("list[Any]", value)]
    return value
