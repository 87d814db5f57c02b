"""How many requests a replica is sent ahead that takes them one by one.

Two would do where a call takes long: one runs, the next is there when it ends. Where a call takes 30 us the replica
then sleeps between any two, and both processes spend their time waking each other. So it is sent as many as it answers
within a moment; what waits beyond that waits in the gateway, where any replica can take it. One slow call is remembered
for long: whoever is now and then slow gets no more than two.
"""

AHEAD_SECONDS = 0.001
"""What is sent ahead is done within this."""

AHEAD_MAX = 32
"""As many as a batch holds."""

REMEMBERED_SHARE = 0.98
"""Of the slowest call, after each that was quicker: after one of 1 s it takes 490 of 50 us to be sent 20 ahead."""

SLOW_SECONDS = 1.0
"""What a call is taken to last before any was seen, and one whose end nobody saw."""


class Pace:
    """Of one replica. `stated` is what it says that it takes."""

    __slots__ = ("_seconds", "_stated")

    def __init__(self, stated: int) -> None:
        self._stated = stated
        self._seconds = SLOW_SECONDS

    def after(self, call_seconds: float) -> int:
        """How many it may hold, now that a call took so long."""
        self._seconds = max(call_seconds, self._seconds * REMEMBERED_SHARE, AHEAD_SECONDS / AHEAD_MAX)
        return max(self._stated, int(AHEAD_SECONDS / self._seconds))
