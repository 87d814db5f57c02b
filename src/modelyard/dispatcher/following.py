"""Hears from the controller which replicas there are, and tells it what waits, so that it scales on the backlog."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from modelyard.protocol import messages
from modelyard.protocol.messages import Load, load_message
from modelyard.protocol.table import EndpointEntry, Table, apply_delta, delta_from, table_from
from modelyard.settings import Home

RECONNECT_SECONDS = 0.2


class Following:
    """`changed` is called when there may be room where there was none."""

    def __init__(self, home: Home, changed: Callable[[], None]) -> None:
        self._home = home
        self._changed = changed
        self._table: Table | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._backlog: dict[str, int] = {}

    def entry(self, key: str) -> EndpointEntry | None:
        return self._table.entries.get(key) if self._table is not None else None

    def is_news(self, backlog: Mapping[str, int]) -> bool:
        """Whether something waits where nothing did, or nothing any more: what wakes endpoints and lets them rest."""
        return {key for key, count in backlog.items() if count} != self._backlog.keys()

    def tell(self, backlog: Mapping[str, int]) -> None:
        """What waits here and not in the gateway, by endpoint. Only differences are sent."""
        news = {key: count for key, count in backlog.items() if self._backlog.get(key) != count}
        news |= {key: 0 for key, count in self._backlog.items() if count and key not in backlog}
        self._backlog = {key: count for key, count in backlog.items() if count}
        self._report(news)

    async def follow(self) -> None:
        """Until cancelled. The controller may come and go."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                await self._converse()
            self._writer = None
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _converse(self) -> None:
        reader, writer = await asyncio.open_unix_connection(
            str(self._home.controller_socket), limit=messages.LINE_BYTES_MAX
        )
        try:
            writer.write(messages.encode({"type": "dispatcher"}))
            self._writer = writer
            self._report(self._backlog)
            while line := await reader.readline():
                if not self._take(messages.decode(line)):
                    return
        finally:
            writer.close()

    def _take(self, message: dict[str, object]) -> bool:
        """False after a gap: connecting anew brings a snapshot."""
        kind = message.get("type")
        if kind == "snapshot":
            self._table = table_from(message["table"])  # type: ignore[arg-type]  # as the protocol has it
        elif kind == "delta" and self._table is not None:
            following = apply_delta(self._table, delta_from(message["delta"]))  # type: ignore[arg-type]  # likewise
            if following is None:
                return False
            self._table = following
        self._changed()
        return True

    def _report(self, backlog: Mapping[str, int]) -> None:
        if self._writer is None or not backlog:
            return
        loads = {key: Load(0, count, 0, count, count) for key, count in backlog.items()}
        self._writer.write(messages.encode(load_message(loads)))
