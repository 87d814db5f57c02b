"""TLS at the gateway: one context for all connections, whose certificate is read again when its file has changed."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 60.0
"""How often it is looked for a certificate that was renewed."""

GREETING_SECONDS = 10.0
"""How long a client may take to say its first byte, where that tells what it speaks."""
GREETED_MAX = 1024
"""Clients that have not said it yet, or have not agreed on the encryption, at one port; beyond it they are let go."""
ACCEPT_PAUSE_SECONDS = 1.0
_HANDSHAKE = b"\x16"
"""What TLS begins with: a record with a handshake (RFC 8446, 5.1)."""

_log = logging.getLogger("modelyard.gateway")


@dataclass(frozen=True, slots=True)
class TlsPlace:
    """Where the certificate with its chain and its key lie, and the port that is told to clients."""

    chain: Path
    key: Path
    port: int


class Tls:
    """Raises OSError (ssl.SSLError among them) where the files are no certificate and key of one another."""

    def __init__(self, place: TlsPlace) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.place = place
        self._seen = self._changed_at()
        self.context.load_cert_chain(place.chain, place.key)

    def look(self) -> None:
        """Takes a renewed certificate for the connections to come; a broken one leaves the last."""
        seen = self._changed_at()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.context.load_cert_chain(self.place.chain, self.place.key)
            _log.info("took the new certificate %s", self.place.chain)
        except OSError as error:
            _log.error("cannot use the new certificate %s: %s; the last one stays", self.place.chain, error)

    def _changed_at(self) -> tuple[float, float]:
        try:
            return self.place.chain.stat().st_mtime, self.place.key.stat().st_mtime
        except OSError:
            return 0.0, 0.0


class MixedServer:
    """Answers at one port who speaks TLS and who does not, as told by the first byte that comes. `made` gives the
    connection of a client, told whether it is encrypted."""

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, made: Callable[[bool], asyncio.Protocol]
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._context = context
        self._made = made
        self._loop = asyncio.get_running_loop()
        self._greeting: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())

    def close(self) -> None:
        """Takes nobody in any more; who was taken in stays."""
        for task in (self._accepting, *self._greeting):
            task.cancel()
        self._listening.close()

    async def _accept(self) -> None:
        while True:
            try:
                wire, _ = await self._loop.sock_accept(self._listening)
            except ConnectionError:
                continue
            except OSError as error:
                # No more open files; those who wait to be accepted go on to wait.
                _log.error("cannot accept a connection: %s", error)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._greeting) >= GREETED_MAX:
                wire.close()
                continue
            task = self._loop.create_task(self._greet(wire))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, wire: socket.socket) -> None:
        try:
            async with asyncio.timeout(GREETING_SECONDS):
                first = await self._first_byte(wire)
            encrypted = first == _HANDSHAKE
            if first:
                context = self._context if encrypted else None
                await self._loop.connect_accepted_socket(lambda: self._made(encrypted), wire, ssl=context)
                return
        except (OSError, TimeoutError):
            # Whoever does not speak, or speaks what nobody understands, is let go.
            pass
        except asyncio.CancelledError:
            wire.close()
            raise
        wire.close()

    async def _first_byte(self, wire: socket.socket) -> bytes:
        """Left where it is; empty where the client went."""
        wire.setblocking(False)
        readable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(wire, lambda: readable.done() or readable.set_result(None))
        try:
            await readable
        finally:
            self._loop.remove_reader(wire)
        return wire.recv(1, socket.MSG_PEEK)
