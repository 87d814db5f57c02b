"""Ports of their own, where an app, a site or a gateway answers and nothing else does: opened when the table names
them, closed when it no longer does.

What listens is handed to the supervisor before anything is answered there (`protocol.wishes`), and by it to the next
gateway: between two gateways connections wait, and none is refused. A port that cannot be opened is tried again, and
the reason is written down for whoever asks how the app is; nothing else waits for it.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.domain.ports import RESERVED, decide_moves, problem_of
from modelyard.gateway.repeats import Repeats
from modelyard.gateway.tls import MixedServer
from modelyard.protocol.ports import write_ports
from modelyard.protocol.table import HostEntry
from modelyard.protocol.wishes import drop_listener, keep_listener

LISTEN_BACKLOG = 2048
RETRY_SECONDS = 2.0
"""How soon a port is tried again, and a supervisor told again that did not hear."""

TELL_TRIES_MAX = 5
TELL_PAUSE_SECONDS = 0.02
"""A supervisor that has not read yet what it was told before is told again so often; after that, later."""

_log = logging.getLogger("modelyard.gateway")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where ports are opened, and by whom they are answered."""

    family: socket.AddressFamily
    address: str
    """The yard's own."""
    reserved: frozenset[int]
    """The yard's own ports."""
    supervisor: Path
    """Its socket."""
    notes: Path
    """Where it is written down which ports are open (`protocol.ports`)."""
    serve: Callable[[socket.socket, int], Awaitable[asyncio.Server | MixedServer]]
    """Begins to answer what comes to a port; the socket is then the server's."""
    leave: Callable[[int], None]
    """Ends the connections that came to a port, in order."""


class Ports:
    def __init__(self) -> None:
        self._entries: dict[int, HostEntry] = {}
        self._listening: dict[int, socket.socket] = {}
        self._servers: dict[int, asyncio.Server | MixedServer] = {}
        self._repeats: dict[int, Repeats] = {}
        self._problems: dict[int, str] = {}
        self._untold: set[int] = set()
        """Ports of which the supervisor does not know yet how it is with them."""
        self._written: dict[int, str | None] | None = None
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def inherit(self, listening: Iterable[socket.socket]) -> None:
        """What the gateway before this one listened on."""
        for one in listening:
            port = one.getsockname()[1]
            if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._listening[port] = one
            else:
                # It was given up, and the supervisor did not hear of it.
                one.close()
                self._untold.add(port)

    def follow(self, entries: Mapping[str, HostEntry]) -> None:
        """Makes them what the table says, by and by. Of two with one port, the first by name has it."""
        self._entries = {}
        for _, entry in sorted(entries.items()):
            if entry.port is not None:
                self._entries.setdefault(entry.port, entry)
        for one in self._repeats.values():
            one.forget()
        self._changed.set()

    def entry(self, port: int) -> HostEntry | None:
        """Whose a port is; None where it has just been given up."""
        return self._entries.get(port)

    def repeats(self, port: int) -> Repeats:
        """Answers that are remembered for this port alone."""
        return self._repeats.setdefault(port, Repeats())

    def listening(self) -> list[socket.socket]:
        """What is handed to a supervisor that comes after a dead one."""
        return list(self._listening.values())

    # -- life --------------------------------------------------------------------------------------------------------

    def start(self, around: Surroundings) -> None:
        self._running = asyncio.get_running_loop().create_task(self._run(around))

    def stop(self) -> None:
        """Answers nothing new. What listens goes on to listen, with the supervisor and for the next gateway."""
        if self._running is not None:
            self._running.cancel()
        for server in self._servers.values():
            server.close()
        for one in self._listening.values():
            one.close()
        self._servers.clear()
        self._listening.clear()

    async def _run(self, around: Surroundings) -> None:
        """From the first table on: before that nobody knows what is to stay open."""
        await self._changed.wait()
        while True:
            self._changed.clear()
            try:
                await self._settle(around)
            except OSError as error:
                _log.error("cannot settle the ports of apps and sites: %s", error)
            pause = RETRY_SECONDS if self._problems or self._untold else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _settle(self, around: Surroundings) -> None:
        """One pass: what is open becomes what is wished."""
        wished = frozenset(self._entries)
        moves = decide_moves(wished, self._listening.keys(), around.reserved)
        for port in moves.close:
            self._close(port, around)
        problems = dict.fromkeys(wished & around.reserved, RESERVED.sentence)
        for port in moves.open:
            problem = await self._open(port, around)
            if problem is not None:
                problems[port] = problem
        for port in sorted(self._untold):
            self._tell(port, around)
        for port in self._listening.keys() - self._servers.keys():
            # The server has one of its own, so that its end is not the end of what listens.
            self._servers[port] = await around.serve(self._listening[port].dup(), port)
        self._note(problems, wished, around)

    async def _open(self, port: int, around: Surroundings) -> str | None:
        """Listens there; what is in the way, if anything."""
        try:
            self._listening[port] = _listen(around, port)
        except OSError as error:
            return problem_of(error.errno, error.strerror or str(error), port).sentence
        self._untold.add(port)
        for _ in range(TELL_TRIES_MAX):
            if self._tell(port, around):
                break
            await asyncio.sleep(TELL_PAUSE_SECONDS)
        return None

    def _close(self, port: int, around: Surroundings) -> None:
        server, listening = self._servers.pop(port, None), self._listening.pop(port)
        if server is not None:
            server.close()
        with contextlib.suppress(OSError):
            # The supervisor has it, too: this ends it for both (listen(2) on Linux), and nobody waits there in vain.
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        self._repeats.pop(port, None)
        around.leave(port)
        self._untold.add(port)
        self._tell(port, around)

    def _tell(self, port: int, around: Surroundings) -> bool:
        listening = self._listening.get(port)
        if listening is not None:
            told = keep_listener(around.supervisor, port, listening)
        else:
            told = drop_listener(around.supervisor, port)
        if told:
            self._untold.discard(port)
        return told

    def _note(self, problems: Mapping[int, str], wished: frozenset[int], around: Surroundings) -> None:
        """Writes down how it is with each, where that has changed."""
        self._problems = dict(problems)
        found = {port: problems.get(port) for port in sorted(wished)}
        if found == self._written:
            return
        before = self._written or {}
        for port, problem in found.items():
            if problem is not None and before.get(port) != problem:
                _log.warning("cannot listen on port %d for %s: %s", port, self._owner(port), problem)
            elif problem is None and (port not in before or before[port] is not None):
                _log.info("listening on port %d for %s", port, self._owner(port))
        write_ports(around.notes, found)
        self._written = found

    def _owner(self, port: int) -> str:
        entry = self._entries.get(port)
        return entry.reference if entry is not None else "nobody"


def _listen(around: Surroundings, port: int) -> socket.socket:
    """Raises OSError."""
    listening = socket.socket(around.family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((around.address, port))
        listening.listen(LISTEN_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
