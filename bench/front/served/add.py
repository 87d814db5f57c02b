"""A function that adds, called bare or by an API gateway."""

import json


def handler(event, context):
    asked = json.loads(event["body"]) if "body" in event else event
    return {"sum": asked["a"] + asked["b"]}
