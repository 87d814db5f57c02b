"""Resources of kinds other than endpoints, as lines. `get` and `delete` show and remove them."""

import json
from typing import TYPE_CHECKING

from modelyard.cli.output import table_lines
from modelyard.cli.times import age

if TYPE_CHECKING:
    from modelyard.sdk.views import ResourceView


def resource_table(resources: "list[ResourceView]") -> list[str]:
    rows = [(one["kind"], one["name"], one["project"], one["version"], age(one["updated_at"])) for one in resources]
    return table_lines(("kind", "name", "project", "version", "last update"), rows)


def resource_lines(view: "ResourceView") -> list[str]:
    """The table of one, what its document says, and its versions."""
    said = {key: value for key, value in view["spec"].items() if value not in (None, "", [], {})}
    fields = [f"{key}: {value if isinstance(value, str) else json.dumps(value)}" for key, value in said.items()]
    rows = [(one["number"], age(one["created_at"]), one["by"]) for one in view["versions"]]
    return [*resource_table([view]), "", *fields, "", *table_lines(("version", "when", "by"), rows)]
