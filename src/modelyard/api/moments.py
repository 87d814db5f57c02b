"""Times as a request names them."""

from datetime import datetime

from modelyard.domain.quantities import duration_seconds
from modelyard.errors import InvalidValue


def moment(text: str, now: float) -> float:
    """Seconds since the epoch for a time as RFC 3339 has it, or for how long ago: `10m`. Raises InvalidValue."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        if found.tzinfo is not None:
            return found.timestamp()
    try:
        return max(0.0, now - duration_seconds(text))
    except InvalidValue as error:
        raise InvalidValue(
            f"cannot read {text[:40]!r} as a time", "write how long ago (10m, 2h) or a time (2026-01-31T12:00:00Z)"
        ) from error
