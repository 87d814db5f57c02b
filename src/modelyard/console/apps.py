"""Apps: the list; each has the page of what serves, without a form to try it: one opens it."""

from typing import Any

from modelyard.console.endpoints import pages_at
from modelyard.console.headlines import headline_list
from modelyard.console.visits import Visit
from modelyard.sdk.client import Client


def app_list(client: Client, visit: Visit) -> dict[str, Any]:
    return headline_list(client, visit, "app")


PAGES = pages_at("/apps", "apps.html", app_list)
