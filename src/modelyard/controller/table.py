"""Publishes the table: a snapshot file and a journal for gateways that start, and deltas to those that are connected.

A change appends a line to the journal, so that it costs the same among ten thousand endpoints as among ten. When the
journal has grown to JOURNAL_BYTES_MAX, the snapshot is written anew and the journal begins again.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from modelyard_worker.records import write_json

from modelyard.protocol.table import (
    EndpointEntry,
    HostEntry,
    Table,
    apply_delta,
    delta_document,
    delta_of,
    table_after,
    table_document,
    table_from,
)

JOURNAL_BYTES_MAX = 1024 * 1024

_log = logging.getLogger("modelyard.controller")


class Publisher:
    def __init__(self, path: Path, journal: Path) -> None:
        self._path = path
        self._journal = journal
        self._followers: set[Callable[[dict[str, Any]], None]] = set()
        self.table = self._last()
        self._write_snapshot()

    def publish(
        self, put: dict[str, EndpointEntry], drop: Iterable[str] = (), hosts: dict[str, HostEntry] | None = None
    ) -> None:
        """Puts these entries into the table and drops those; `hosts`, where given, are all that there are. First the
        file, then the word: a gateway that starts now reads the newest."""
        delta = delta_of(self.table, put, drop, hosts)
        if delta is None:
            return
        self.table = apply_delta(self.table, delta) or self.table
        document = delta_document(delta)
        self._write_down(document)
        self._tell(document)

    def follow(self, tell: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Sends the snapshot, then every delta; returns what ends that."""
        tell({"type": "snapshot", "table": table_document(self.table)})
        self._followers.add(tell)
        return lambda: self._followers.discard(tell)

    def _tell(self, document: dict[str, Any]) -> None:
        message = {"type": "delta", "delta": document}
        for tell in list(self._followers):
            tell(message)

    def _write_down(self, document: dict[str, Any]) -> None:
        """Not synced: after a power cut there is no gateway that could read what its replicas were."""
        line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        try:
            if self._size + len(line) > JOURNAL_BYTES_MAX:
                self._write_snapshot()
                return
            journal = os.open(self._journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                written = os.write(journal, line)
            finally:
                os.close(journal)
            self._size += written
            if written < len(line):
                self._write_snapshot()
        except OSError as error:
            # The gateways that run are told all the same; only a new one would start from an older table.
            _log.error("cannot write the table's journal %s: %s", self._journal, error)

    def _write_snapshot(self) -> None:
        """The snapshot first: a journal beside it that begins earlier does no harm."""
        self._size = 0
        try:
            write_json(str(self._path), table_document(self.table))
            self._journal.unlink(missing_ok=True)
        except OSError as error:
            _log.error("cannot write the table %s: %s", self._path, error)

    def _last(self) -> Table:
        try:
            table = table_from(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return Table(0, {})
        try:
            return table_after(table, self._journal.read_bytes().splitlines())
        except OSError:
            return table
