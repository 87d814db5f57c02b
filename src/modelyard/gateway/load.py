"""What the controller is told of the load: which endpoints have requests, and whether one waits to be woken.

Only endpoints that had a request since they were last at rest are looked at, so that thousands at rest cost nothing.
"""

import asyncio
from typing import Protocol

from modelyard.protocol.messages import Load


class Loaded(Protocol):
    """What is read of a service."""

    def look_at_load(self) -> None:
        """Remembers how many requests there are now, if they are the fewest or the most since the last report."""
        ...

    def take_load(self) -> Load:
        """What it holds now, and the arrivals since the last call."""
        ...


class Loads:
    def __init__(self) -> None:
        self.urgent = asyncio.Event()
        """A request waits for an endpoint that has no replica: the controller should hear of it now."""
        self._active: dict[str, Loaded] = {}

    def begin(self, key: str, service: Loaded) -> None:
        """The first request of an endpoint since its last report."""
        self._active[key] = service

    def look(self) -> None:
        """At every turn of the gateway's clock, so that a report knows what was there throughout."""
        for service in self._active.values():
            service.look_at_load()

    def report(self) -> dict[str, Load]:
        """By `name_key`. An endpoint that has come to rest is reported once more, and then no longer."""
        loads = {key: service.take_load() for key, service in self._active.items()}
        for key, load in loads.items():
            if not (load.in_flight or load.queued or load.arrivals):
                del self._active[key]
        return loads
