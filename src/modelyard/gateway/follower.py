"""Follows the controller's table: from its file at the start, then from its socket; without it, on with the last."""

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path

from modelyard.gateway.server import Gateway
from modelyard.protocol import messages
from modelyard.protocol.credentials import Credentials, credentials_from
from modelyard.protocol.table import Table, apply_delta, delta_from, table_after, table_from
from modelyard.settings import Home

RECONNECT_SECONDS = 0.2
REPORT_SECONDS = 0.25

METRICS_SECONDS = 1.0
"""How often the controller is told what was counted."""

UNREAD_BYTES_MAX = 2**20
"""What may wait for a controller that does not read; then reports are left out, as the next one says it all again."""

_log = logging.getLogger("modelyard.gateway")


def read_table(home: Home) -> Table | None:
    """The table that was last published, or None where there is none that can be read."""
    try:
        table = table_from(json.loads(home.table.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("cannot read the table %s: %s", home.table, error)
        return None
    try:
        return table_after(table, home.table_journal.read_bytes().splitlines())
    except OSError:
        return table


def _read_credentials(path: Path) -> Credentials | None:
    try:
        return credentials_from(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        _log.warning("cannot read %s: %s", path, error)
        return None


async def follow_table(gateway: Gateway, home: Home, gateway_id: str) -> None:
    """Runs until cancelled. The controller may come and go."""
    table = read_table(home)
    if table is not None:
        gateway.follow(table)
    credentials = _read_credentials(home.credentials)
    if credentials is not None:
        gateway.access.follow(credentials)
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
            reader, writer = await asyncio.open_unix_connection(
                str(home.controller_socket), limit=messages.LINE_BYTES_MAX
            )
            try:
                await _follow_connection(gateway, reader, writer, gateway_id)
            finally:
                writer.close()
        await asyncio.sleep(RECONNECT_SECONDS)


async def _follow_connection(
    gateway: Gateway, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gateway_id: str
) -> None:
    writer.write(messages.encode({"type": "gateway", "id": gateway_id}))
    gateway.measurements.ask = lambda message: writer.write(messages.encode(message))
    writer.write(messages.encode(gateway.metrics_report(everything=True)))
    reports = asyncio.get_running_loop().create_task(_report(gateway, writer))
    table: Table | None = None
    try:
        while line := await reader.readline():
            message = messages.decode(line)
            if message["type"] == "metrics":
                gateway.measurements.take(message)
                continue
            if message["type"] == "credentials":
                gateway.access.follow(credentials_from(message["credentials"]))
                continue
            if message["type"] == "snapshot":
                table = table_from(message["table"])
                gateway.follow(table)
            elif message["type"] == "delta" and table is not None:
                delta = delta_from(message["delta"])
                table = apply_delta(table, delta)
                if table is None:
                    # A gap: connecting anew brings a snapshot.
                    return
                gateway.follow_delta(table, delta)
    finally:
        reports.cancel()
        gateway.measurements.lost()


async def _report(gateway: Gateway, writer: asyncio.StreamWriter) -> None:
    """At once what a controller that has just come does not know, then at every turn, and when a request waits."""
    loop = asyncio.get_running_loop()
    metrics_at = loop.time() + METRICS_SECONDS
    while True:
        if writer.transport.get_write_buffer_size() < UNREAD_BYTES_MAX:
            _report_stuck(gateway, writer)
            _report_used(gateway, writer)
            _report_refused(gateway, writer)
            loads = gateway.loads.report()
            if loads:
                writer.write(messages.encode(messages.load_message(loads)))
            if loop.time() >= metrics_at:
                metrics_at = loop.time() + METRICS_SECONDS
                report = gateway.metrics_report()
                if report["metrics"]["endpoints"]:
                    writer.write(messages.encode(report))
                shadows = gateway.shadows()
                if shadows:
                    writer.write(messages.encode(messages.shadows_message(shadows)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_SECONDS):
                await gateway.loads.urgent.wait()
        gateway.loads.urgent.clear()


def _report_used(gateway: Gateway, writer: asyncio.StreamWriter) -> None:
    used, gateway.access.used = gateway.access.used, {}
    if used:
        writer.write(messages.encode({"type": "used", "keys": {key: round(at, 3) for key, at in used.items()}}))


def _report_refused(gateway: Gateway, writer: asyncio.StreamWriter) -> None:
    refusals = gateway.refusals.take(time.time())
    if refusals:
        writer.write(messages.encode(messages.refused_message(refusals)))


def _report_stuck(gateway: Gateway, writer: asyncio.StreamWriter) -> None:
    for replica, seconds in gateway.stuck.items():
        writer.write(messages.encode({"type": "stuck", "replica": replica, "seconds": round(seconds, 1)}))
    gateway.stuck.clear()
