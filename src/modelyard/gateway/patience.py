"""How long a client may take: for headers, for a body, for an answer, for nothing.

A client that says nothing is easy to see. One that says a byte every few seconds is not silent, and still holds a
connection for ever; so a request's headers have a time of their own, and a body a rate that it must keep. The numbers
are those of Apache's mod_reqtimeout, which has met such clients for many years.
"""

from typing import NamedTuple

HEADER_SECONDS = 15.0
"""From a request's first byte to the end of its headers; and how long a body may pause."""

KEEP_ALIVE_SECONDS = 75.0
"""How long a connection may be idle between requests."""

SLOW_CLIENT_SECONDS = 60.0
"""How long a client may take nothing of its answer."""

BODY_GRACE_SECONDS = 20.0
BODY_BYTES_PER_SECOND_MIN = 500
"""What a body must have come with on average, once the grace is over."""


class Limits(NamedTuple):
    header_seconds: float = HEADER_SECONDS
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    slow_client_seconds: float = SLOW_CLIENT_SECONDS
    body_grace_seconds: float = BODY_GRACE_SECONDS
    body_bytes_per_second_min: float = BODY_BYTES_PER_SECOND_MIN


class Sight(NamedTuple):
    """What is seen of a connection. Times are monotonic seconds."""

    heard_at: float
    """When it last sent or took anything."""
    idle_since: float
    """When its last request was over."""
    begun_at: float | None
    """When the request that is just coming began; None where none is."""
    body_bytes: int | None
    """How much of its body has come; None before the end of its headers."""
    answering: bool
    """An answer is under way, or waited for."""
    client_is_slow: bool
    """It takes no more of the answer."""
    reading: bool
    """We read what it sends; where we do not, it is we who are slow."""


def outstayed(sight: Sight, now: float, limits: Limits) -> bool:
    """Whether a client has kept its connection too long for too little."""
    silent_seconds = now - sight.heard_at
    if sight.answering and sight.client_is_slow:
        return silent_seconds > limits.slow_client_seconds
    if sight.begun_at is None or sight.body_bytes is None:
        if sight.answering:
            return False
        if sight.begun_at is None:
            return now - sight.idle_since > limits.keep_alive_seconds
        return now - sight.begun_at > limits.header_seconds
    if not sight.reading:
        return False
    took_seconds = now - sight.begun_at
    too_slow = sight.body_bytes < limits.body_bytes_per_second_min * took_seconds
    return silent_seconds > limits.header_seconds or (took_seconds > limits.body_grace_seconds and too_slow)
