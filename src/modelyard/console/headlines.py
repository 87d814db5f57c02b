"""Lists of what serves: endpoints, apps, functions, a line each."""

from typing import Any

from modelyard.console.paging import ROWS, offset_asked, paging_of
from modelyard.console.visits import Visit
from modelyard.sdk.client import Client


def headline_list(client: Client, visit: Visit, *kinds: str) -> dict[str, Any]:
    """The page that is asked for of those that are like what is asked for."""
    sought: dict[str, Any] = {"text": visit.asked("q"), "project": visit.asked("project"), "kinds": kinds}
    sought["states"] = [visit.asked("state")] if visit.asked("state") else []
    found = client.headlines(**sought, limit=ROWS, offset=offset_asked(visit))
    paging = paging_of(found.total, visit)
    if paging.offset != offset_asked(visit):
        found = client.headlines(**sought, limit=ROWS, offset=paging.offset)
    return {
        "headlines": found.headlines,
        "paging": paging,
        "all_count": found.count,
        "states": sorted(found.states),
        "projects": found.projects,
    }
