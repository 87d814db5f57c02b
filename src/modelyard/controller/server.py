"""The controller's socket: the api pokes here, gateways follow the table here and report what they see."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from modelyard.controller.access import AccessPass
from modelyard.controller.autoscaling import Autoscaler
from modelyard.controller.idleness import Idleness
from modelyard.controller.metrics import Metrics
from modelyard.controller.shadows import Shadows
from modelyard.controller.table import Publisher
from modelyard.protocol import messages

BACKLOG_BYTES_MAX = 32 * 2**20
"""What may wait for a gateway that does not read; then it is cut off and will connect anew."""

_log = logging.getLogger("modelyard.controller")


class Server:
    def __init__(
        self,
        publisher: Publisher,
        poke: Callable[[], None],
        stuck: Callable[[str, float], None],
        autoscaler: Autoscaler,
        metrics: Metrics,
        idleness: Idleness,
        access: AccessPass,
        shadows: Shadows,
    ) -> None:
        self._publisher = publisher
        self._poke = poke
        self._stuck = stuck
        self._autoscaler = autoscaler
        self._metrics = metrics
        self._idleness = idleness
        self._access = access
        self._shadows = shadows
        self._server: asyncio.Server | None = None

    async def listen(self, path: Path) -> None:
        listening = _bind(path)
        self._server = await asyncio.start_unix_server(self._converse, sock=listening, limit=messages.LINE_BYTES_MAX)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        following = ExitStack()
        is_gateway = False
        # The connection is the gateway's identity here: what it reported counts as long as it lasts.
        gateway = writer
        try:
            while line := await reader.readline():
                message = messages.decode(line)
                if message.get("type") == "gateway" and not is_gateway:
                    is_gateway = True
                    following.callback(self._publisher.follow(lambda told: self._write(writer, told)))
                    following.callback(self._access.follow(lambda told: self._write(writer, told)))
                    self._autoscaler.gateway_came(gateway)
                    self._metrics.gateway_came(gateway, str(message.get("id")))
                elif message.get("type") == "dispatcher":
                    following.callback(self._publisher.follow(lambda told: self._write(writer, told)))
                elif message.get("type") == "load":
                    loads = messages.loads_from(message)
                    self._autoscaler.take(gateway, loads)
                    self._idleness.take(loads)
                elif message.get("type") == "metrics":
                    for part in self._metrics.take(gateway, message):
                        self._write(writer, part)
                elif message.get("type") == "shadows":
                    self._shadows.take(gateway, messages.shadows_from(message))
                else:
                    self._take(message)
        except (OSError, ValueError, KeyError, TypeError) as error:
            # A peer that cannot be understood is let go; it connects anew and is told everything again.
            _log.warning("a peer on the controller's socket: %r", error)
        finally:
            following.close()
            self._autoscaler.gateway_left(gateway)
            self._metrics.gateway_left(gateway)
            self._shadows.gateway_left(gateway)
            writer.close()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "poke":
            self._poke()
        elif kind == "used":
            self._access.used({str(digest): float(at) for digest, at in message["keys"].items()})
        elif kind == "refused":
            self._access.refused(messages.refusals_from(message))
        elif kind == "stuck":
            self._stuck(str(message["replica"]), float(message["seconds"]))
        else:
            _log.warning("a message of type %r is not known", kind)

    def _write(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        if writer.transport.get_write_buffer_size() > BACKLOG_BYTES_MAX:
            writer.transport.abort()
            return
        writer.write(messages.encode(message))


def _bind(path: Path) -> socket.socket:
    """A Unix socket for the owner alone, in place of what a dead controller left."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    path.chmod(0o600)
    return listening
