"""Messages on the controller's socket: JSON, one a line, UTF-8, both ways.

To the controller:

    {"type": "poke"}                                     something was committed; look now. No answer.
    {"type": "gateway", "id": "..."}                     a gateway is here and wants the table; deltas follow
    {"type": "stuck", "replica": "...", "seconds": 75.0} one call in this replica is past its limit plus grace

From the controller, to gateways:

    {"type": "snapshot", "table": {...}}
    {"type": "delta", "delta": {...}}
"""

import json
from typing import Any

LINE_BYTES_MAX = 16 * 2**20


def encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Raises ValueError where the line is not a JSON object."""
    message: Any = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("cannot read a message that is not a JSON object")
    return message  # pyright: ignore[reportUnknownVariableType]
