"""What is sent to an endpoint, and what comes back."""

import json
from typing import TYPE_CHECKING, Any

from modelyard.errors import InvalidValue

if TYPE_CHECKING:
    import httpx

JSON = "application/json"
BYTES = "application/octet-stream"


def request_body(data: Any, content_type: str | None) -> tuple[bytes, str]:
    """Bytes go as they are; text with a content type likewise; everything else goes as JSON, arrays and data frames
    included. Raises InvalidValue for what JSON cannot say."""
    if isinstance(data, bytes | bytearray):
        return bytes(data), content_type or BYTES
    if isinstance(data, str) and content_type not in (None, JSON):
        return data.encode(), str(content_type)
    try:
        return json.dumps(data, default=_plain).encode(), content_type or JSON
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"cannot send the data as JSON: {error}", "give plain values, arrays, or bytes") from error


def _plain(value: Any) -> Any:
    """numpy and pandas, without importing either: a data frame becomes rows of named values, an array lists."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} is not JSON")


def answer_value(response: "httpx.Response") -> Any:
    """JSON as values, text as text, everything else as bytes."""
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == JSON or content_type.endswith("+json"):
        return response.json()
    return response.text if content_type.startswith("text/") else response.content
