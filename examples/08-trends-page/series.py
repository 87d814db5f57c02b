"""The function behind `/series` and `/series/NAME`: which series there are, and one of them."""

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def answer(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 (a handler's arguments)
    known = {one.stem: one for one in sorted(DATA.glob("*.json"))}
    parameters: dict[str, str] = event.get("pathParameters") or {}
    name = parameters.get("name")
    if name is None:
        return said(200, list(known))
    if name not in known:
        return said(404, {"message": f"there is no series {name}; there are {', '.join(known)}"})
    return said(200, json.loads(known[name].read_text(encoding="utf-8")))


def said(status: int, document: Any) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(document)}
