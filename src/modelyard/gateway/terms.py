"""On what terms the yard's own processes ask for predictions: what a dispatcher says beside the request itself."""

from collections.abc import Mapping
from typing import NamedTuple

from modelyard.errors import InvalidValue
from modelyard.protocol.routes import ATTEMPT, BODY_FILE, TIMEOUT

_ATTEMPT, _TIMEOUT, _BODY_FILE = ATTEMPT.encode(), TIMEOUT.encode(), BODY_FILE.encode()


class Terms(NamedTuple):
    """Such a request is sent to one replica and never again: who queued it counts the attempts."""

    attempt: int
    timeout_seconds: float
    body_file: str | None


def read_terms(fields: Mapping[bytes, bytes]) -> Terms | None:
    """None where the request states none. Raises InvalidValue where they cannot be."""
    if _ATTEMPT not in fields:
        return None
    try:
        attempt, timeout_seconds = int(fields[_ATTEMPT]), float(fields[_TIMEOUT])
    except (KeyError, ValueError) as error:
        raise InvalidValue(f"cannot read {ATTEMPT} and {TIMEOUT}: both must be numbers") from error
    file = fields.get(_BODY_FILE)
    return Terms(attempt, timeout_seconds, file.decode() if file is not None else None)
