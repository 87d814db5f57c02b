"""Metrics: adds up what gateways counted, writes down what each endpoint did, answers who asks for all of it.

Gateways report what they counted since they started, so a report that is lost costs nothing. What was counted up to the
last record is written with it, in one transaction: a controller that comes after a dead one goes on from there, and
nothing is recorded twice or left out.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelyard.clock import Clock
from modelyard.controller.periodic import Periodic
from modelyard.controller.process_metrics import model_metrics, platform_metrics, replica_metrics
from modelyard.domain.metrics import RESOLUTIONS, Figures, MetricRecord
from modelyard.domain.names import name_key
from modelyard.engines.ports import Engine
from modelyard.errors import ModelyardError, StoreFailed
from modelyard.protocol.metrics import (
    EndpointMetrics,
    GatewayMetrics,
    YardMetrics,
    exposition,
    merged,
    metrics_from,
)
from modelyard.protocol.table import Table, variants_of
from modelyard.settings import Home
from modelyard.store.ports import Store

RECORD_SECONDS = RESOLUTIONS[0][0]

CONDENSE_SECONDS = 300.0

RETURN_SECONDS = 60.0
"""How long a gateway may be away before it is taken for dead and its counts are added to those of the dead: one that
lives connects anew within a second, and tells its counts from its beginning."""

TEXT_PART_LENGTH = 1_000_000
"""Characters of one message; a text may be longer."""

DEAD = ""
"""In place of the id of a gateway: all that are gone together."""

_log = logging.getLogger("modelyard.controller")


@dataclass(slots=True)
class _Gauges:
    """What is averaged between two records."""

    samples: int = 0
    in_flight: int = 0
    queued: int = 0


class Metrics:
    def __init__(self, home: Home, store: Store, engine: Engine, clock: Clock) -> None:
        self.ready: Callable[[], dict[str, tuple[str, int]]] = dict
        """Names of endpoints and how many of their replicas are ready, by `name_key`."""
        self.alarms: Callable[[], list[tuple[str, str, str]]] = list
        """(alarm, endpoint, state) of every alarm."""
        self.table: Callable[[], Table] = lambda: Table(0, {})
        self._home = home
        self._store = store
        self._engine = engine
        self._clock = clock
        self._ids: dict[object, str] = {}
        """Gateways that are connected."""
        self._gateways: dict[str, GatewayMetrics] = {}
        """What each counted, those included that a dead controller heard of."""
        self._away_since: dict[str, float] = {}
        self._recorded: dict[tuple[str, int], Figures] = {}
        """What was counted of each version up to the last record."""
        self._changed: set[str] = set()
        self._gauges: dict[str, _Gauges] = {}
        self._recorded_at = math.floor(clock.now() / RECORD_SECONDS) * RECORD_SECONDS
        now = clock.monotonic()
        self._condensing = Periodic(now + CONDENSE_SECONDS, CONDENSE_SECONDS, self._condense)
        self._remember()

    # -- from gateways -----------------------------------------------------------------------------------------------

    def gateway_came(self, gateway: object, identity: str) -> None:
        self._ids[gateway] = identity
        self._away_since.pop(identity, None)

    def gateway_left(self, gateway: object) -> None:
        identity = self._ids.pop(gateway, None)
        if identity is None:
            return
        self._away_since[identity] = self._clock.monotonic()
        for one in self._gateways.get(identity, GatewayMetrics()).endpoints.values():
            # What it held is gone with it; what it counted is not.
            one.queued = one.in_flight = 0

    def take(self, gateway: object, message: dict[str, Any]) -> list[dict[str, Any]]:
        """A report; what is to be answered, where it was a question. Raises KeyError, TypeError or ValueError where it
        cannot be understood."""
        identity = self._ids.get(gateway)
        if identity is not None:
            self._merge(identity, metrics_from(message["metrics"]))
        return _parts(int(message["scrape"]), self.text()) if "scrape" in message else []

    def _merge(self, identity: str, report: GatewayMetrics) -> None:
        known = self._gateways.setdefault(identity, GatewayMetrics())
        known.connections, known.control_answers = report.connections, report.control_answers
        for key, one in report.endpoints.items():
            before = known.endpoints.get(key)
            if before is not None:
                # A gateway forgets versions of long ago; what it counted of them stays counted.
                one.figures = {**before.figures, **one.figures}
            known.endpoints[key] = one
            self._changed.add(key)

    # -- the pass ----------------------------------------------------------------------------------------------------

    def __call__(self) -> bool:
        """Writes down what is due; whether something was, so that whoever judges it may look."""
        self._condensing(self._clock.monotonic())
        self._sample()
        at = math.floor(self._clock.now() / RECORD_SECONDS) * RECORD_SECONDS
        if at <= self._recorded_at:
            # Also where the clock was set back: what comes meanwhile is in the next record.
            return False
        self._bury_the_dead()
        try:
            self._record(at)
        except StoreFailed as error:
            _log.error("cannot record metrics: %s", error)
            return False
        return True

    async def close(self) -> None:
        await self._condensing.close()

    def forget(self, name: str) -> None:
        """The endpoint is gone."""
        key = name_key(name)
        for gateway in self._gateways.values():
            gateway.endpoints.pop(key, None)
        for place in [one for one in self._recorded if one[0] == key]:
            del self._recorded[place]
        self._changed.discard(key)
        self._store.metrics.forget(name)

    def _remember(self) -> None:
        """What a controller before this one had heard."""
        now = self._clock.monotonic()
        for (identity, key, version), figures in self._store.metrics.totals().items():
            endpoints = self._gateways.setdefault(identity, GatewayMetrics()).endpoints
            endpoints.setdefault(key, EndpointMetrics(key)).figures[version] = figures
            self._recorded.setdefault((key, version), Figures()).add(figures)
            if identity != DEAD:
                self._away_since[identity] = now

    def _sample(self) -> None:
        """What is under way, once a pass for each endpoint that has something to say."""
        for key in self._changed:
            gauges = self._gauges.setdefault(key, _Gauges())
            gauges.samples += 1
            for gateway in self._gateways.values():
                one = gateway.endpoints.get(key)
                if one is not None:
                    gauges.in_flight += one.in_flight
                    gauges.queued += one.queued

    def _bury_the_dead(self) -> None:
        now = self._clock.monotonic()
        for identity in [one for one, since in self._away_since.items() if now - since > RETURN_SECONDS]:
            del self._away_since[identity]
            gone = self._gateways.pop(identity, None)
            if gone is None:
                continue
            dead = self._gateways.setdefault(DEAD, GatewayMetrics())
            for key, one in gone.endpoints.items():
                whole = dead.endpoints.setdefault(key, EndpointMetrics(one.name))
                for version, figures in one.figures.items():
                    whole.figures.setdefault(version, Figures()).add(figures)
            for status, count in gone.control_answers.items():
                dead.control_answers[status] = dead.control_answers.get(status, 0) + count
            totals = {
                (DEAD, key, version): figures
                for key, one in dead.endpoints.items()
                for version, figures in one.figures.items()
            }
            self._store.metrics.add([], totals, gone=[identity])

    def _record(self, at: float) -> None:
        ready = self.ready()
        records: list[tuple[str, MetricRecord]] = []
        heads: dict[tuple[str, int], Figures] = {}
        whole = merged(self._only(self._changed))
        seconds = min(at - self._recorded_at, 60.0 * RECORD_SECONDS)
        for key, one in whole.items():
            gauges = self._gauges.get(key) or _Gauges()
            shares = max(gauges.samples, 1)
            for version, figures in one.figures.items():
                done = figures.since(self._recorded.get((key, version)))
                if done.requests < 0:
                    # An endpoint of the same name began anew.
                    done = figures.since(None)
                if done.empty and not (gauges.in_flight or gauges.queued):
                    continue
                heads[key, version] = figures
                records.append(
                    (
                        key,
                        MetricRecord(
                            at=at,
                            seconds=seconds,
                            version=version,
                            figures=done,
                            in_flight=round(gauges.in_flight / shares, 3),
                            queued=round(gauges.queued / shares, 3),
                            replicas=float(ready.get(key, ("", 0))[1]),
                        ),
                    )
                )
        totals = {
            (identity, key, version): figures
            for identity, gateway in self._gateways.items()
            for key in self._changed
            if key in gateway.endpoints
            for version, figures in gateway.endpoints[key].figures.items()
        }
        if records or totals:
            self._store.metrics.add(records, totals)
        self._recorded |= heads
        self._recorded_at = at
        self._gauges.clear()
        # What is under way now has something to say next time, even where no gateway reports a change.
        self._changed = {key for key, one in whole.items() if one.in_flight or one.queued}

    def _only(self, keys: set[str]) -> list[GatewayMetrics]:
        return [
            GatewayMetrics({key: one for key, one in gateway.endpoints.items() if key in keys})
            for gateway in self._gateways.values()
        ]

    def _condense(self) -> None:
        try:
            count = self._store.metrics.condense(self._clock.now())
        except ModelyardError as error:
            _log.error("cannot condense metrics: %s", error)
        else:
            if count:
                _log.info("added %d records of metrics up to fewer", count)

    # -- for whoever asks --------------------------------------------------------------------------------------------

    def figures(self, key: str) -> dict[int, Figures]:
        """What was counted of each version of an endpoint, by `name_key`."""
        whole = merged(self._only({key})).get(key)
        return {} if whole is None else whole.figures

    def text(self) -> str:
        """Everything as Prometheus text."""
        table = self.table()
        known = merged(self._gateways.values())
        for key, (name, ready) in self.ready().items():
            one = known.setdefault(key, EndpointMetrics(name))
            one.name, one.ready = name, ready
        answers: dict[int, int] = {}
        for gateway in self._gateways.values():
            for status, count in gateway.control_answers.items():
                answers[status] = answers.get(status, 0) + count
        sights = self._engine.replicas()
        living = [self._gateways[one] for one in self._ids.values() if one in self._gateways]
        return exposition(
            YardMetrics(
                endpoints=list(known.values()),
                connections=sum(one.connections for one in living),
                control_answers=answers,
                gateways=len(self._ids),
                table_number=table.number,
                variants=variants_of(table),
                alarms=self.alarms(),
                processes=platform_metrics(self._home),
                replicas=replica_metrics(sights),
                models=model_metrics(self._home, sights),
            )
        )


def _parts(number: int, text: str) -> list[dict[str, Any]]:
    """An answer as messages that fit on a line each."""
    begins = range(0, len(text), TEXT_PART_LENGTH)
    return [
        {
            "type": "metrics",
            "scrape": number,
            "text": text[begin : begin + TEXT_PART_LENGTH],
            "last": begin + TEXT_PART_LENGTH >= len(text),
        }
        for begin in begins
    ]
