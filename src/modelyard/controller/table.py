"""Publishes the table: a snapshot file that is replaced whole, and deltas to the gateways that are connected."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard_worker.records import write_json

from modelyard.protocol.table import (
    Delta,
    EndpointEntry,
    Table,
    delta_between,
    delta_document,
    table_document,
    table_from,
)

_log = logging.getLogger("modelyard.controller")


class Publisher:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._followers: set[Callable[[dict[str, Any]], None]] = set()
        self.table = self._last()

    def publish(self, entries: dict[str, EndpointEntry]) -> None:
        """Makes these entries the table. First the file, then the word: a gateway that starts now reads the newest."""
        delta = delta_between(self.table, entries)
        if delta is None:
            return
        self.table = Table(delta.number, entries)
        try:
            write_json(str(self._path), table_document(self.table))
        except OSError as error:
            # The gateways that run are told all the same; only a new one would start from an older table.
            _log.error("cannot write the table %s: %s", self._path, error)
        self._tell(delta)

    def follow(self, tell: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Sends the snapshot, then every delta; returns what ends that."""
        tell({"type": "snapshot", "table": table_document(self.table)})
        self._followers.add(tell)
        return lambda: self._followers.discard(tell)

    def _tell(self, delta: Delta) -> None:
        message = {"type": "delta", "delta": delta_document(delta)}
        for tell in list(self._followers):
            tell(message)

    def _last(self) -> Table:
        try:
            return table_from(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return Table(0, {})
