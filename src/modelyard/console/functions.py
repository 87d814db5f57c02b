"""Functions: the list; each has the page of what serves, with an event to invoke it and what its log reports."""

from typing import Any

from modelyard.console.endpoints import pages_at
from modelyard.console.headlines import headline_list
from modelyard.console.visits import Visit
from modelyard.sdk.client import Client


def function_list(client: Client, visit: Visit) -> dict[str, Any]:
    return headline_list(client, visit, "function")


PAGES = pages_at("/functions", "functions.html", function_list)
