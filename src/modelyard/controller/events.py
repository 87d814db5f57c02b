"""Says what happened: one sentence for the log and for the events that people read."""

import logging

from modelyard.errors import StoreFailed
from modelyard.store.ports import Events

_log = logging.getLogger("modelyard.controller")


def tell(events: Events, kind: str, name: str, sentence: str, now: float) -> None:
    """Writes the first line of `sentence`. Never raises where the store does: what it tells of has happened."""
    first = sentence.splitlines()[0]
    _log.info("%s %s: %s", kind, name, first)
    try:
        events.add(kind, name, first, now)
    except StoreFailed as error:
        _log.error("%s %s: %s", kind, name, error)
