"""Room on the disk: what nothing needs any more, shown before it is deleted."""

from typing import Any

from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client

ROWS_SHOWN = 200


def surplus_page(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    return {"disk": client.status()["disk"], "found": None, "freed": None}


def look(client: Client, visit: Visit) -> Answer:  # noqa: ARG001 (what a button takes)
    """A button, not the page itself: finding it reads every folder."""
    return {"found": client.collect(dry_run=True), "rows_shown": ROWS_SHOWN}


def collect(client: Client, visit: Visit) -> Answer:  # noqa: ARG001 (what a button takes)
    return {"freed": client.collect()["size_bytes"]}


PAGES = (Page("/surplus", "surplus.html", surplus_page, {"look": look, "collect": collect}),)
