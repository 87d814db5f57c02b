"""Shadows: what comparing their answers has come to, all gateways together."""

from typing import Any

from modelyard.clock import Clock
from modelyard.domain.endpoints import Endpoint, EndpointStatus
from modelyard.domain.names import name_key
from modelyard.domain.shadows import Comparison, comparison_document

WRITE_SECONDS = 5.0
"""Between two times that counts which grow with every request are written down."""


class Shadows:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_gateway: dict[object, dict[str, Comparison]] = {}
        self._told_at: dict[str, float] = {}

    def take(self, gateway: object, report: dict[str, Comparison]) -> None:
        self._by_gateway.setdefault(gateway, {}).update(report)

    def gateway_left(self, gateway: object) -> None:
        """What it counted is gone with it, where it does not come back."""
        self._by_gateway.pop(gateway, None)

    def told(self, endpoint: Endpoint, before: EndpointStatus | None, *, mirrors: bool) -> dict[str, Any] | None:
        """What the status says of the wished version's shadow: the newest now and then, and the last when it is over;
        None where it never was one."""
        key, last = name_key(endpoint.name), before.shadow if before is not None else None
        if last is not None and last.get("version") != endpoint.wished.number:
            last = None
        now = self._clock.monotonic()
        if not mirrors or now - self._told_at.get(key, 0.0) < WRITE_SECONDS:
            return last
        whole = Comparison(endpoint.wished.number)
        for reports in self._by_gateway.values():
            one = reports.get(key)
            if one is not None and one.version == endpoint.wished.number:
                whole.add(one)
        self._told_at[key] = now
        document = comparison_document(whole)
        # After a restart of whoever counts, what was counted before is better than less.
        return document if last is None or whole.copied >= last.get("copied", 0) else last

    def forget(self, name: str) -> None:
        self._told_at.pop(name_key(name), None)
