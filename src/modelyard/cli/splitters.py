"""Splitters, and endpoints with variants, as lines: who answers, with which share, and how each is."""

from typing import TYPE_CHECKING

from modelyard.cli.output import table_lines
from modelyard.cli.resources import place_lines, resource_table
from modelyard.domain.names import name_key

if TYPE_CHECKING:
    from modelyard.protocol.views_of_endpoints import EndpointView
    from modelyard.sdk.views import ResourceView


def splitter_lines(url: str, view: "ResourceView", endpoints: "list[EndpointView]") -> list[str]:
    seen = {name_key(one.name): one for one in endpoints}
    rows: list[tuple[object, ...]] = []
    for member in view["spec"]["members"]:
        one = seen.get(name_key(member["endpoint"]))
        share = "copies" if member["shadow"] else f"{member['weight']:.4g} %"
        status, ready = (one.state, f"{one.ready}/{one.requested}") if one else ("gone", "-")
        model = (one.model or "-") if one else "-"
        rows.append((member["variant"], member["endpoint"], share, status, ready, model))
    table = table_lines(("variant", "endpoint", "share", "status", "ready/requested", "model"), rows)
    return [*resource_table([view]), "", *table, "", *place_lines(url, view)]
