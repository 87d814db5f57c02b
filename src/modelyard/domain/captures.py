"""Captures: which requests and answers of an endpoint are kept, for how long, and how they are handed on.

A record is a flat object, one line of JSON on its way and one row of Parquet in the end:

    at, id, inference_id, endpoint, version, status     when (seconds since the epoch), which request, who answered
    seconds, queue_seconds, model_seconds               how long it took
    input, input_type, input_encoding, input_bytes      body of the request; null where it is not kept
    output, output_type, output_encoding, output_bytes  body of the answer, likewise

Encodings are `text` and `base64`. Headers are never kept: credentials travel in them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

KEEP_SECONDS = 30 * 86400.0
BODY_BYTES_MAX = 1 * 2**20
"""A longer body is not kept; its size is."""


class Payload(StrEnum):
    """What of a request is kept beside its times and its status."""

    BOTH = "both"
    INPUT = "input"
    OUTPUT = "output"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capture:
    sample: float = 1.0
    """Share of requests, 0 to 1, chosen by chance."""
    payload: Payload = Payload.BOTH
    keep_seconds: float = KEEP_SECONDS


def capture_from(document: Mapping[str, Any]) -> Capture:
    """The inverse of `dataclasses.asdict`, tolerant of keys that a later version added."""
    fields = {name: document[name] for name in Capture.__dataclass_fields__ if name in document}
    fields["payload"] = Payload(fields.get("payload", Payload.BOTH))
    return Capture(**fields)


COLUMNS = {
    "at": "DOUBLE",
    "id": "VARCHAR",
    "inference_id": "VARCHAR",
    "endpoint": "VARCHAR",
    "version": "INTEGER",
    "status": "INTEGER",
    "seconds": "DOUBLE",
    "queue_seconds": "DOUBLE",
    "model_seconds": "DOUBLE",
    "input": "VARCHAR",
    "input_type": "VARCHAR",
    "input_encoding": "VARCHAR",
    "input_bytes": "BIGINT",
    "output": "VARCHAR",
    "output_type": "VARCHAR",
    "output_encoding": "VARCHAR",
    "output_bytes": "BIGINT",
}
"""Of a record, with their types in SQL."""


def encoded(body: bytes) -> tuple[str, str]:
    """(text, encoding) of a body."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), "base64"
    return (base64.b64encode(body).decode(), "base64") if "\0" in text else (text, "text")


def decoded(record: Mapping[str, Any], side: str) -> bytes | None:
    """The body of a record's `input` or `output`; None where it was not kept."""
    text = record.get(side)
    if text is None:
        return None
    return base64.b64decode(text) if record.get(f"{side}_encoding") == "base64" else str(text).encode()


def sagemaker_line(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a line of SageMaker's data capture (sagemaker.md 7.7)."""
    data = {
        name: side
        for name, key, mode in (("endpointInput", "input", "INPUT"), ("endpointOutput", "output", "OUTPUT"))
        if (side := _side(record, key, mode)) is not None
    }
    at = datetime.fromtimestamp(float(record["at"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event: dict[str, Any] = {"eventId": record["id"], "inferenceTime": at}
    if record.get("inference_id"):
        event["inferenceId"] = record["inference_id"]
    return {"captureData": data, "eventMetadata": event, "eventVersion": "0"}


def _side(record: Mapping[str, Any], key: str, mode: str) -> dict[str, Any] | None:
    body = decoded(record, key)
    if body is None:
        return None
    kind = str(record.get(f"{key}_type") or "")
    plain = kind.partition(";")[0].strip().lower()
    encoding = {"text/csv": "CSV", "application/json": "JSON"}.get(plain, "BASE64")
    if record.get(f"{key}_encoding") == "base64":
        encoding = "BASE64"
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    return {"observedContentType": kind, "mode": mode, "data": data, "encoding": encoding}


def sagemaker_path(record: Mapping[str, Any]) -> str:
    """Where a record belongs: `ENDPOINT/vVERSION/yyyy/mm/dd/hh`."""
    hour = datetime.fromtimestamp(float(record["at"]), UTC).strftime("%Y/%m/%d/%H")
    return f"{record['endpoint']}/v{record['version']}/{hour}"
