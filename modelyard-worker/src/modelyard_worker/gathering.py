"""Whether it pays to wait a moment after a long call, for clients that were just answered and ask again.

Clients that ask one thing after the other come back together, a fraction of a millisecond apart. A call that begins
with the first of them leaves the others for the next one, and from then on there are two halves of which each waits for
the other's call. So after a long call the next one waits for as many as were there, but no longer than a small part of
what the call took. Where those who come are others, nobody comes back in that time: then the wait is left out, for
twice as many calls after each wait in vain.
"""

LONG_CALL_SECONDS = 0.004
"""Shorter calls are followed by the next at once."""

PAUSE_SHARE = 0.1
"""The longest wait, as a share of what the call took."""

PAUSE_SECONDS_MAX = 0.02

SKIPPED_MAX = 64
"""Long calls after which no wait is tried again, at most."""


class Gathering:
    """One thread's calls. `expected` requests are waited for until `until`, a monotonic time."""

    __slots__ = ("_answered", "_skip_next", "_to_skip", "_waiting", "expected", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self.expected = 0
        self._answered = 0
        self._waiting = 0
        self._skip_next = 0
        self._to_skip = 0

    def after(self, answered: int, waiting: int, took_seconds: float, size_max: int, now: float) -> None:
        """A call has answered so many requests, and so many wait; a call holds at most `size_max`."""
        self.until = 0.0
        if took_seconds < LONG_CALL_SECONDS or waiting >= size_max:
            return
        if self._to_skip:
            self._to_skip -= 1
            return
        self._answered, self._waiting = answered, waiting
        self.expected = min(answered + waiting, size_max)
        self.until = now + min(took_seconds * PAUSE_SHARE, PAUSE_SECONDS_MAX)

    def begin(self, waiting: int) -> None:
        """A wait is over: so many are there for the next call."""
        self.until = 0.0
        if 2 * (waiting - self._waiting) >= min(self._answered, self.expected - self._waiting):
            self._skip_next = 0
        else:
            self._skip_next = min(max(1, 2 * self._skip_next), SKIPPED_MAX)
            self._to_skip = self._skip_next
