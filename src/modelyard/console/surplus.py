"""Room on the disk: what nothing needs any more, shown before it is deleted."""

from typing import Any

from modelyard.console.visits import Answer, Page, Visit
from modelyard.sdk.client import Client

ROWS_SHOWN = 200


def surplus_page(client: Client, visit: Visit) -> dict[str, Any]:  # noqa: ARG001 (what a page's content takes)
    found = client.collect(dry_run=True)
    return {"found": found, "rows": found["surplus"][:ROWS_SHOWN], "freed": None, "disk": client.status()["disk"]}


def collect(client: Client, visit: Visit) -> Answer:  # noqa: ARG001 (what a button takes)
    return {"freed": client.collect()["size_bytes"]}


PAGES = (Page("/surplus", "surplus.html", surplus_page, {"collect": collect}),)
