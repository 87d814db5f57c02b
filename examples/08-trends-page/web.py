"""The functions behind the gateway: the data as JSON, and the page that plots it."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = (HERE / "page.html").read_text(encoding="utf-8")


def page(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 (a handler's arguments)
    return {"statusCode": 200, "headers": {"content-type": "text/html; charset=utf-8"}, "body": PAGE}


def series(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 (as above)
    """`/series/NAME`: its values in order of time."""
    known = {one.stem: one for one in (HERE / "data").glob("*.json")}
    place = known.get(event["pathParameters"]["name"])
    if place is None:
        return {"statusCode": 404, "body": f"there are {', '.join(sorted(known))}"}
    values = json.loads(place.read_text(encoding="utf-8"))
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(values)}
