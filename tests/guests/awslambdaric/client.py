"""Invokes functions as a user of boto3 does: `client.py ENDPOINT_URL`; prints what came back as JSON."""

import base64
import json
import sys
from typing import Any

import boto3
import botocore.config  # pyright: ignore[reportMissingImports] (the guest has it)
import botocore.exceptions  # pyright: ignore[reportMissingImports] (as above)


def main() -> None:
    client: Any = boto3.client(  # pyright: ignore[reportAttributeAccessIssue] (taken for this folder)
        "lambda",
        endpoint_url=sys.argv[1],
        region_name="local",
        aws_access_key_id="any",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )
    found: dict[str, Any] = {}
    for name in ("ours", "theirs"):
        found[name] = {
            "result": _invoke(client, name, {"n": 1}, ClientContext=_context()),
            "raised": _invoke(client, name, {"raise": "no"}),
            "late": _invoke(client, name, {"sleep": 30}),
            "after": _invoke(client, name, {"n": 2}),
        }
    found["tail"] = _invoke(client, "ours", {"raise": "no"}, LogType="Tail")
    found["event"] = _invoke(client, "ours", {"n": 3}, InvocationType="Event")
    found["dry"] = _invoke(client, "ours", {}, InvocationType="DryRun")
    found["missing"] = _invoke(client, "nowhere", {})
    print(json.dumps(found))


def _context() -> str:
    return base64.b64encode(b'{"custom": {"k": 1}}').decode()


def _invoke(client: Any, name: str, event: Any, **given: Any) -> Any:
    try:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **given)
    except botocore.exceptions.ClientError as error:
        return {
            "error": error.response["Error"]["Code"],
            "status": error.response["ResponseMetadata"]["HTTPStatusCode"],
        }
    body = answer["Payload"].read()
    shown = {name: answer.get(name) for name in ("StatusCode", "FunctionError", "ExecutedVersion", "LogResult")}
    return {**shown, "payload": json.loads(body) if body else None}


if __name__ == "__main__":
    main()
