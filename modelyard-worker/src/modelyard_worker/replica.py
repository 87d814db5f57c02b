"""A replica: one process that answers predictions of one package over its Unix socket.

It is started fresh (`run_replica`) or forked from a template that has the libraries, and perhaps the model, in memory
already (`serve_replica`). Its life:

    says who it is (process.json), loads the package, listens, answers
    SIGTERM: says GOAWAY on every connection, finishes what it holds, and ends when the gateways have closed - or, with
    none there, after `stop_socket_seconds`, for a gateway may be on its way that has not heard; at once where none
    ever sent a request. `drain_seconds` bounds it all.

It ends with an exit record; where the package cannot be loaded, the record says why.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from typing import Any, Optional, cast

from modelyard_worker import forking, numeric
from modelyard_worker.batching import report, summary
from modelyard_worker.connection import Connection
from modelyard_worker.limits import REPLICA_SCORE, hold_to, offer_to_kernel
from modelyard_worker.many_models import ModelsOrder
from modelyard_worker.orders import ReplicaOrder, read_order
from modelyard_worker.packages import read_package
from modelyard_worker.predictor import Loaded, load_servable
from modelyard_worker.records import MODEL_COUNTS, write_exit, write_identity
from modelyard_worker.servable import Servable, Serving
from modelyard_worker.service import Service
from modelyard_worker.stamps import stamp_output

BACKLOG = 128
REASON_LENGTH_MAX = 1000
"""Characters of an exit record's reason; the output has all of it."""


def run_replica(folder: str) -> int:
    """Runs the order in `folder` in this process, from its start to its end; returns the exit code."""
    order = replica_order(folder)
    numeric.allow_threads(order.numeric_threads)
    return serve_replica(order, folder)


def replica_order(folder: str) -> ReplicaOrder:
    """Raises FileNotFoundError where there is no order, TypeError where it is not a replica's."""
    found = read_order(folder)
    return ReplicaOrder(**{name: found[name] for name in ReplicaOrder._fields if name in found})


def serve_replica(order: ReplicaOrder, folder: str, loaded: Optional[Loaded] = None) -> int:
    """Serves until it is told to leave; returns the exit code. `loaded` is what a template had ready."""
    write_identity(folder, durable=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stamp_output()
    offer_to_kernel(REPLICA_SCORE)
    if order.memory_bytes is not None:
        hold_to(order.memory_bytes)
    try:
        package = read_package(order.package)
        counts = os.path.join(folder, MODEL_COUNTS)
        models = ModelsOrder(**order.models, counts=counts) if order.models is not None else None
        servable = load_servable(package, _serving(order), order.numeric_threads, loaded, models)
        loop = _new_loop()
        loop.run_until_complete(servable.open())
        listener = listen(order.socket)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (importing the user's code raises what it likes)
        report(f"replica {order.id} cannot start", error)
        write_exit(folder, 1, "exit", reason=summary(error)[:REASON_LENGTH_MAX])
        return 1
    finished = _run(loop, order, servable, listener)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(order.socket)
    failure: Optional[str] = getattr(servable, "failure", None)
    if failure is not None:
        write_exit(folder, 1, "exit", reason=failure)
        return 1
    write_exit(folder, 0, "stop", **({} if finished else {"reason": f"left after {order.drain_seconds:g} s"}))
    if not finished or threading.active_count() > 1:
        # A call that never returns would hold its thread, and with it the interpreter's ordinary end.
        forking.end(0)
    return 0


def _serving(order: ReplicaOrder) -> Serving:
    return Serving(order.endpoint, order.version, order.timeout_seconds, order.memory_bytes)


def listen(path: str) -> socket.socket:
    """A socket that only this user can connect to. Its path appears when it takes connections, not before."""
    aside = f"{path}~"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(aside)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(aside)
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    os.replace(aside, path)
    listener.setblocking(False)
    return listener


def _run(loop: asyncio.AbstractEventLoop, order: ReplicaOrder, servable: Servable, listener: socket.socket) -> bool:
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_serve(order, servable, listener))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def _serve(order: ReplicaOrder, servable: Servable, listener: socket.socket) -> bool:
    """Returns whether everything was finished when it left."""
    stay = _Stay(order)
    service = Service(order, servable, stay.check)
    stay.service = service
    if hasattr(servable, "on_end"):
        # An app may end by itself; there is nothing left to serve then.
        cast("Any", servable).on_end(stay.break_off)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stay.leave)
    server = await loop.create_unix_server(lambda: Connection(service), sock=listener)
    try:
        return await stay.over
    finally:
        server.close()
        for connection in list(service.connections):
            connection.close()
        service.close()
        await servable.close()
        await _let_go()


async def _let_go() -> None:
    """Gives what was cancelled or closed the turns of the loop that it needs to come to its end."""
    rest = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.sleep(0)


class _Stay:
    """How long a replica stays: until it is told to leave, and then until nobody needs it."""

    def __init__(self, order: ReplicaOrder) -> None:
        self._order = order
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[bool] = self._loop.create_future()
        self.service: Service

    def leave(self) -> None:
        service = self.service
        if service.leaving:
            # Told twice: no gateway will come any more.
            self.check()
            return
        service.leaving = True
        self._loop.call_later(self._order.drain_seconds, self._too_long)
        for connection in service.connections:
            connection.say_goodbye()
        if not service.connections:
            self._loop.call_later(self._order.stop_socket_seconds if service.visited else 0.0, self.check)

    def break_off(self) -> None:
        """Ends the stay at once, whoever is there."""
        self._end(finished=True)

    def check(self) -> None:
        """Ends the stay where it is leaving and no gateway is there."""
        if self.service.leaving and not self.service.connections:
            self._end(finished=True)

    def _too_long(self) -> None:
        since = self.service.batcher.busy_since
        busy = f"; a call has run for {self._loop.time() - since:.1f} s" if since is not None else ""
        print(f"replica {self._order.id} leaves with connections open{busy}", file=sys.stderr)
        self._end(finished=False)

    def _end(self, *, finished: bool) -> None:
        if not self.over.done():
            self.over.set_result(finished)
