"""The pass over keys and sessions: what gateways must know to recognise somebody, when keys were last used, and whom
gateways refused."""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modelyard_worker.records import write_json

from modelyard.clock import Clock
from modelyard.domain.audit import Refusal, audited
from modelyard.errors import ModelyardError
from modelyard.protocol.credentials import Credential, credentials_document
from modelyard.store.ports import Store

REFUSED_MAX = 1000
"""Refusals that wait for the next pass; beyond it they are not noted."""

_log = logging.getLogger("modelyard.controller")


class AccessPass:
    def __init__(self, store: Store, path: Path, clock: Clock) -> None:
        self._store = store
        self._path = path
        self._clock = clock
        self._revision: int | None = None
        self._followers: set[Callable[[dict[str, Any]], None]] = set()
        self._document = self._last()
        self._used: dict[str, float] = {}
        self._refused: list[Refusal] = []

    def __call__(self) -> None:
        used, self._used = self._used, {}
        if used:
            self._store.keys.used(used)
        refused, self._refused = self._refused, []
        if refused:
            self._note(refused)
        revision = self._store.keys.revision()
        if revision == self._revision:
            return
        found = self._store.keys.credentials(self._clock.now())
        self._publish({digest: Credential(*one) for digest, one in found.items()})
        self._revision = revision

    def follow(self, tell: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Sends what is known now, then every change; returns what ends that."""
        tell(self._message())
        self._followers.add(tell)
        return lambda: self._followers.discard(tell)

    def used(self, digests: dict[str, float]) -> None:
        """A gateway has seen these; they are written down by the next pass."""
        self._used |= digests

    def refused(self, refusals: Sequence[Refusal]) -> None:
        """A gateway did not let these in; they are written down by the next pass."""
        self._refused += refusals[: REFUSED_MAX - len(self._refused)]

    def _note(self, refused: Sequence[Refusal]) -> None:
        """A log that cannot be written stops nobody's work; that is said where the controller's own log is."""
        try:
            self._store.audit.add(*map(audited, refused))
        except ModelyardError as error:
            _log.error("cannot write to the audit log: %s", error.message)

    def _publish(self, credentials: dict[str, Credential]) -> None:
        """First the file, then the word: a gateway that starts now reads the newest."""
        document = credentials_document(credentials)
        if document == self._document:
            return
        self._document = document
        write_json(str(self._path), document)
        for tell in list(self._followers):
            tell(self._message())

    def _message(self) -> dict[str, Any]:
        return {"type": "credentials", "credentials": self._document}

    def _last(self) -> dict[str, Any]:
        try:
            return json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("cannot read %s: %s", self._path, error)
            return {}
