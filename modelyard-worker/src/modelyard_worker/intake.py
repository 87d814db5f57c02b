"""How much of long bodies a replica holds in memory, and who may send more.

Every stream may have WINDOW_BYTES under way; what was taken is granted again with CREDIT, unless the bodies that are
held together are over HELD_BYTES_MAX. Then credits are owed until others were answered. The oldest unfinished body is
always granted, so that one of them comes to its end whatever the others wait for.
"""

from typing import Any, Dict, Tuple

from modelyard_worker.frames import CREDIT, pack

HELD_BYTES_MAX = 64 * 2**20
"""Bytes of long bodies, from their first part to their answer. Short bodies are bounded by the requests in flight."""

Place = Tuple[Any, int]
"""A connection and a stream of it."""


class Intake:
    """One per replica, for all its connections."""

    def __init__(self) -> None:
        self._held_bytes = 0
        self._unfinished: Dict[Place, int] = {}
        """Bodies that more is to come of, oldest first, with the bytes of credit that each is owed."""

    def take(self, place: Place, size_bytes: int) -> None:
        """A part came of a body that is not at its end: grants as much again, now or later."""
        self._held_bytes += size_bytes
        self._unfinished[place] = self._unfinished.get(place, 0) + size_bytes
        self._settle()

    def finish(self, place: Place, size_bytes: int) -> None:
        """The last part came, of `size_bytes`. The body stays held until `release`."""
        self._held_bytes += size_bytes
        self._unfinished.pop(place, None)
        self._settle()

    def forget(self, place: Place, size_bytes: int) -> None:
        """A body will not come to its end; so much of it was held."""
        self._unfinished.pop(place, None)
        self.release(size_bytes)

    def release(self, size_bytes: int) -> None:
        """So much is held no more."""
        self._held_bytes -= size_bytes
        self._settle()

    def _settle(self) -> None:
        oldest = True
        for place, owed in self._unfinished.items():
            if not oldest and self._held_bytes > HELD_BYTES_MAX:
                return
            if owed:
                self._unfinished[place] = 0
                connection, stream = place
                connection.send(pack(CREDIT, stream, payload=owed.to_bytes(4, "big")))
            oldest = False
