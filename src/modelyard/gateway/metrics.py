"""What this gateway counted, for the controller and for whoever asks for `/metrics`.

The controller adds up what all gateways counted. So a question for `/metrics` goes to it over the connection that is
there anyway, with this gateway's newest counts; where it does not answer in time, or is not there, this gateway shows
what it knows itself.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from modelyard.gateway.answers import status_line
from modelyard.protocol.metrics import (
    CONTENT_TYPE,
    EndpointMetrics,
    GatewayMetrics,
    YardMetrics,
    exposition,
    metrics_document,
)
from modelyard.protocol.table import Table, variants_of

if TYPE_CHECKING:
    from modelyard.gateway.connection import HttpConnection
    from modelyard.gateway.service import Service
    from modelyard.gateway.traces import Tracer

SCRAPE_SECONDS_MAX = 3.0
"""How long the controller may take to add up; Prometheus waits for ten by default."""

SCRAPES_MAX = 8
"""Questions under way; beyond it this gateway answers by itself."""


class Measurements:
    """One per gateway."""

    def __init__(self) -> None:
        self.control_answers: dict[int, int] = {}
        """Answers of the control process that were passed on, by status."""
        self.ask: Callable[[dict[str, Any]], None] | None = None
        """Sends a message to the controller; None while none is there."""
        self.changed: set[Service] = set()
        """Endpoints of which something was counted since the last report."""
        self.tracer: Tracer | None = None
        """Where traces are exported; to be set before there is any service."""
        self._number = 0
        self._waiting: dict[int, Callable[[str | None], None]] = {}
        self._parts: dict[int, list[str]] = {}

    def count_control(self, status: int) -> None:
        self.control_answers[status] = self.control_answers.get(status, 0) + 1

    def report(self, services: Iterable["Service"], connections: int, *, everything: bool = False) -> dict[str, Any]:
        """The message with what has changed since the last one, or with everything."""
        told = [one for one in services if one.figures] if everything else self.changed
        endpoints = {service.entry_key: _endpoint_metrics(service) for service in told}
        # One that has come to rest is reported once more, so that its gauges say so.
        self.changed = {service for service in told if service.in_flight or service.queued}
        document = metrics_document(GatewayMetrics(endpoints, connections, self.control_answers))
        return {"type": "metrics", "metrics": document}

    def own_text(self, services: Iterable["Service"], connections: int, table: Table) -> str:
        """What this gateway knows, as text."""
        endpoints = [_endpoint_metrics(service) for service in services if not service.entry.members]
        return exposition(
            YardMetrics(
                endpoints, connections, self.control_answers, 1, table_number=table.number, variants=variants_of(table)
            )
        )

    # -- asking the controller ---------------------------------------------------------------------------------------

    def scrape(self, report: dict[str, Any], told: Callable[[str | None], None]) -> None:
        """Asks for the text of the whole yard; `told` gets it, or None where this gateway must do."""
        if self.ask is None or len(self._waiting) >= SCRAPES_MAX:
            told(None)
            return
        self._number += 1
        number = self._number
        self._waiting[number] = told
        self._parts[number] = []
        asyncio.get_running_loop().call_later(SCRAPE_SECONDS_MAX, self._answer, number, None)
        self.ask({**report, "scrape": number})

    def take(self, message: dict[str, Any]) -> None:
        """A part of an answer."""
        number = int(message["scrape"])
        if number not in self._waiting:
            return
        self._parts[number].append(str(message["text"]))
        if message["last"]:
            self._answer(number, "".join(self._parts[number]))

    def lost(self) -> None:
        """The controller is gone."""
        self.ask = None
        for number in list(self._waiting):
            self._answer(number, None)

    def _answer(self, number: int, text: str | None) -> None:
        told = self._waiting.pop(number, None)
        self._parts.pop(number, None)
        if told is not None:
            told(text)


class Scrape:
    """The exchange that answers `GET /metrics`."""

    def __init__(self, connection: "HttpConnection", request_id: bytes, *, is_head: bool) -> None:
        self.keep_alive = True
        self.body_bytes = 0
        self._connection = connection
        self._request_id = request_id
        self._is_head = is_head
        self._gone = False

    def on_body(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)

    def on_complete(self) -> None:
        """Nothing depends on it."""

    def start(self) -> None:
        gateway = self._connection.gateway
        gateway.measurements.scrape(gateway.metrics_report(), self._told)

    def abort(self) -> None:
        self._gone = True

    def can_write(self) -> None:
        """It is written at once."""

    def _told(self, text: str | None) -> None:
        if self._gone:
            return
        connection = self._connection
        body = (connection.gateway.metrics() if text is None else text).encode()
        head = status_line(200) + b"content-type: %b\r\n" % CONTENT_TYPE.encode()
        connection.write_answer(head, body, self._request_id, self.keep_alive, is_head=self._is_head)
        connection.finished(self)


def _endpoint_metrics(service: "Service") -> EndpointMetrics:
    return EndpointMetrics(service.name, service.figures, service.queued, service.in_flight, service.ready)
