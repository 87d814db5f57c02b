"""A function that adds, called bare or by an API gateway."""

import json
from typing import Any


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    asked = json.loads(event["body"]) if "body" in event else event
    return {"sum": asked["a"] + asked["b"]}
