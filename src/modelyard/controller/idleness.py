"""When each endpoint was last asked, as gateways report it; written down now and then, and judged by its `ttl`."""

import logging

from modelyard.clock import Clock
from modelyard.controller.events import tell
from modelyard.domain.endpoints import Endpoint
from modelyard.domain.idleness import Fate, Requests, decide_ttl
from modelyard.domain.names import name_key
from modelyard.errors import StoreFailed
from modelyard.protocol.messages import Load
from modelyard.store.ports import Store

WRITE_SECONDS = 10.0
"""How often it is written down: what a controller that is killed may forget."""

_log = logging.getLogger("modelyard.controller")


class Idleness:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._requests = store.endpoints.requests()
        self._unwritten: set[str] = set()
        self._write_at = clock.monotonic() + WRITE_SECONDS

    def take(self, loads: dict[str, Load]) -> None:
        """A gateway's report, by `name_key`."""
        now = self._clock.now()
        for key, load in loads.items():
            if load.arrivals or load.in_flight or load.queued:
                self._requests[key] = Requests(last_at=now)
                self._unwritten.add(key)

    def requests_of(self, key: str) -> Requests:
        return self._requests.get(key, Requests())

    def judge(self, endpoint: Endpoint) -> float | None:
        """Announces or wishes its deletion where its `ttl` says so; when to judge again, None where never. Wall
        clock."""
        ttl_seconds = endpoint.wished.spec.ttl_seconds
        if ttl_seconds is None or endpoint.deleting:
            return None
        key, now = name_key(endpoint.name), self._clock.now()
        requests = self.requests_of(key)
        verdict = decide_ttl(ttl_seconds, endpoint.wished.created_at, requests, now)
        if verdict.fate is Fate.WARN:
            self._requests[key] = Requests(requests.last_at, warned_at=now)
            self._store.endpoints.put_requests({key: self._requests[key]})
        if verdict.fate is Fate.DELETE:
            self._store.endpoints.delete(endpoint.name, now, endpoint.wished.number)
        if verdict.fate is not Fate.STAY:
            tell(self._store.events, "endpoint", endpoint.name, verdict.sentence, now)
        return now if verdict.fate is Fate.DELETE else verdict.look_at

    def forget(self, key: str) -> None:
        self._requests.pop(key, None)
        self._unwritten.discard(key)

    def write_down(self, *, at_once: bool = False) -> None:
        """Where it is time."""
        if not self._unwritten or (self._clock.monotonic() < self._write_at and not at_once):
            return
        self._write_at = self._clock.monotonic() + WRITE_SECONDS
        try:
            self._store.endpoints.put_requests({key: self._requests[key] for key in self._unwritten})
        except StoreFailed as error:
            _log.error("cannot write down when endpoints were last asked: %s", error)
            return
        self._unwritten.clear()
