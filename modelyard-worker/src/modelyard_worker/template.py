"""A template: a process that has libraries, and perhaps a model, in memory, and forks replicas from them.

A fork starts to predict within milliseconds and shares the template's memory, where a fresh interpreter needs a second
and memory of its own. That is safe only from a process without threads, so this one runs no loop and no thread: it
waits in `poll` for commands and for the ends of its children, and forks only while it is alone in its process.

Commands are JSON, one object a line, answered likewise; each carries the template's `token`:

    {"do": "import", "libraries": [..]}             -> {"ok": true, "seconds": 0.9} or {"ok": false, "error": ".."}
    {"do": "fork", "folder": F, "libraries": [..], "environment": {..}, "numeric_threads": 1}
                                                    -> {"ok": true, "pid": ..}: a replica that runs F/order.json
    {"do": "fork_template", "folder": F}            -> {"ok": true, "pid": ..}: a template below this one, which loads
                                                       the package in F/order.json and takes the same commands
    {"do": "ping"}                                  -> {"ok": true, "threads": 1, "children": 3}

Where this process must not be forked the answer is {"ok": false, "cannot_fork": true, "error": ".."}, and the replica
has to be started fresh. SIGTERM ends a template at once; its children stay.
"""

import contextlib
import gc
import hmac
import importlib
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
from typing import Any, Callable, Dict, List, NoReturn, Optional, Set, Tuple

from modelyard_worker import forking, numeric
from modelyard_worker.batching import report, summary
from modelyard_worker.limits import TEMPLATE_SCORE, offer_to_kernel
from modelyard_worker.loaders import NEVER, Loader, LoadFailed, loaders
from modelyard_worker.orders import ReplicaOrder, TemplateOrder, read_order
from modelyard_worker.packages import read_package
from modelyard_worker.predictor import Loaded, load_shared, package_loader
from modelyard_worker.records import write_exit, write_identity
from modelyard_worker.replica import REASON_LENGTH_MAX, listen, replica_order, serve_replica

LINE_BYTES_MAX = 1024 * 1024
"""A command is no longer than this."""

CLIENTS_MAX = 16
"""Connections that give commands at the same time."""

ANSWER_SECONDS = 5.0
"""Who does not take an answer within it is let go."""

_READ_BYTES = 65536

Answer = Dict[str, Any]


class CannotFork(Exception):  # noqa: N818 (reads as what happened, like the rest of the project's tree)
    """A child of this process might hang; a fresh process will not."""


def run_template(folder: str) -> int:
    """Runs the order in `folder` until SIGTERM; returns the exit code."""
    numeric.forbid_threads()
    offer_to_kernel(TEMPLATE_SCORE)
    order = template_order(folder)
    try:
        return Template(order, folder).serve()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (loading a package runs the user's code)
        report(f"template {order.id} cannot start", error)
        write_exit(folder, 1, "exit", reason=summary(error)[:REASON_LENGTH_MAX])
        return 1


def template_order(folder: str) -> TemplateOrder:
    """Raises FileNotFoundError where there is no order, TypeError where it is not a template's."""
    found = read_order(folder)
    return TemplateOrder(**{name: found[name] for name in TemplateOrder._fields if name in found})


def _import_what_all_replicas_import() -> None:
    """Imported once here it is shared; in each replica it was a third of what one held for itself and of the time that
    one took to start."""
    loaders()
    with contextlib.suppress(ImportError):
        importlib.import_module("uvloop")


class Template:
    """One template's state: its sockets, its children, what it has loaded."""

    def __init__(self, order: TemplateOrder, folder: str) -> None:
        self._order = order
        self._folder = folder
        self._inherited = forking.open_descriptors()
        self._clients: Dict[int, Tuple[socket.socket, bytearray]] = {}
        self._children: Dict[int, str] = {}
        """Process id -> its folder."""
        self._loaded: Optional[Loaded] = None
        self._rehearsed: Set[str] = set()
        """Loaders whose predictions were run here."""
        self._settled = False
        """Nothing was imported or loaded since garbage was last collected."""
        self._commands: Dict[str, Callable[[Dict[str, Any]], Answer]] = {
            "import": self._do_import,
            "fork": self._do_fork,
            "fork_template": self._do_fork_template,
            "ping": self._do_ping,
        }

    def serve(self) -> int:
        """Loads what its order says, then takes commands until it is killed. Raises what loading raises."""
        if self._order.package is not None:
            self._loaded = load_shared(read_package(self._order.package))
        _import_what_all_replicas_import()
        self._wakeup, self._wakeup_written = forking.watch_children()
        self._listener = listen(self._order.socket)
        write_identity(self._folder, durable=False)
        while True:
            self._turn()

    # Waiting

    def _turn(self) -> None:
        poll = select.poll()
        for descriptor in (self._listener.fileno(), self._wakeup.fileno(), *self._clients):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll():
            if descriptor == self._listener.fileno():
                self._accept()
            elif descriptor == self._wakeup.fileno():
                forking.drain(self._wakeup)
            elif descriptor in self._clients:
                self._read(descriptor)
        self._reap()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # who wanted to connect has gone
        if len(self._clients) >= CLIENTS_MAX:
            client.close()
            return
        client.settimeout(ANSWER_SECONDS)
        self._clients[client.fileno()] = (client, bytearray())

    def _read(self, descriptor: int) -> None:
        client, buffer = self._clients[descriptor]
        try:
            data = client.recv(_READ_BYTES)
            buffer += data
            if not data or len(buffer) > LINE_BYTES_MAX:
                self._let_go(descriptor)
                return
            while b"\n" in buffer:
                line, _, rest = bytes(buffer).partition(b"\n")
                buffer[:] = rest
                client.sendall(json.dumps(self._answer(line)).encode() + b"\n")
        except OSError:
            self._let_go(descriptor)

    def _let_go(self, descriptor: int) -> None:
        client, _ = self._clients.pop(descriptor)
        client.close()

    def _reap(self) -> None:
        for pid, code in forking.ended_children():
            folder = self._children.pop(pid, None)
            if folder is None:
                continue
            facts = {"reason": f"ended by {signal.Signals(-code).name}"} if code < 0 else {}
            try:
                write_exit(folder, code, "signal" if code < 0 else "exit", **facts)
            except OSError as error:
                print(f"template {self._order.id}: cannot record the end of {pid}: {error}", file=sys.stderr)

    # Commands

    def _answer(self, line: bytes) -> Answer:
        try:
            command: Any = json.loads(line)
            if not hmac.compare_digest(str(command.get("token", "")).encode(), self._order.token.encode()):
                return {"ok": False, "error": "cannot take the command: the token is not this template's"}
            do = self._commands.get(str(command.get("do")))
            if do is None:
                return {"ok": False, "error": f"cannot {command.get('do')!r}: known are {', '.join(self._commands)}"}
            return do(command)
        except CannotFork as error:
            return {"ok": False, "error": str(error), "cannot_fork": True}
        except (Exception, SystemExit) as error:  # noqa: BLE001 (an import runs other people's code)
            report(f"template {self._order.id}: a command failed", error)
            return {"ok": False, "error": summary(error)[:REASON_LENGTH_MAX]}

    def _do_ping(self, command: Dict[str, Any]) -> Answer:  # noqa: ARG002 (every command has the same shape)
        return {"ok": True, "threads": forking.thread_count(), "children": len(self._children)}

    def _do_import(self, command: Dict[str, Any]) -> Answer:
        began = time.monotonic()
        self._import(command["libraries"])
        return {"ok": True, "seconds": round(time.monotonic() - began, 4)}

    def _do_fork(self, command: Dict[str, Any]) -> Answer:
        folder = str(command["folder"])
        order = replica_order(folder)
        loader = self._check_package(order)
        self._import(command.get("libraries") or [])
        if loader is not None:
            self._rehearse(loader)
        self._settle()
        given: Dict[Any, Any] = command.get("environment") or {}
        environment = {str(name): str(value) for name, value in given.items()}
        threads = int(command.get("numeric_threads") or order.numeric_threads)
        pid = os.fork()
        if pid == 0:
            self._become(lambda: self._be_replica(order, folder, environment, threads), folder)
        return self._born(pid, folder)

    def _do_fork_template(self, command: Dict[str, Any]) -> Answer:
        folder = str(command["folder"])
        order = template_order(folder)
        if self._order.package is not None:
            raise ValueError(f"cannot fork a template from {self._order.id}: it holds a package already")
        self._settle()
        pid = os.fork()
        if pid == 0:
            self._become(lambda: Template(order, folder).serve(), folder)
        return self._born(pid, folder)

    def _born(self, pid: int, folder: str) -> Answer:
        self._children[pid] = folder
        return {"ok": True, "pid": pid}

    def _check_package(self, order: ReplicaOrder) -> Optional[Loader]:
        """The loader of its model, where one is known."""
        if self._order.package not in (None, order.package):
            raise ValueError(f"cannot fork for package {order.package}: this template holds {self._order.package}")
        try:
            loader = package_loader(read_package(order.package))
        except LoadFailed:
            return None  # the replica will say so, where people look for it
        if loader is not None and loader.fork == NEVER:
            raise CannotFork(f"cannot fork for {loader.name}: its library does not survive a fork")
        return loader

    def _rehearse(self, loader: Loader) -> None:
        if loader.name in self._rehearsed or any(name not in sys.modules for name in loader.libraries):
            return
        self._rehearsed.add(loader.name)
        self._settled = False
        try:
            loader.rehearse()
        except Exception as error:  # noqa: BLE001 (another version of the library; replicas only hold a little more)
            report(f"template {self._order.id}: cannot rehearse {loader.name}", error)

    def _import(self, libraries: List[str]) -> None:
        for name in libraries:
            if name not in sys.modules:
                self._settled = False
                try:
                    importlib.import_module(name)
                except ModuleNotFoundError as error:
                    # Whether the package needs it shows in the replica, whose loader says what to do.
                    print(f"template {self._order.id} goes on without {name}: {error}", file=sys.stderr)

    def _settle(self) -> None:
        """Makes this process ready to be forked. Raises CannotFork where it has threads.

        What lives is frozen: a collection in a child would write to every object, and so copy every page.
        """
        threads = forking.thread_count()
        if threads != 1:
            raise CannotFork(
                f"threads exist: {threads}" if threads else "this system does not say whether threads exist"
            )
        if not self._settled:
            gc.collect()
            self._settled = True
        gc.freeze()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()

    # In the child

    def _become(self, live: Callable[[], int], folder: str) -> NoReturn:
        """The child's whole life: never returns into the template's own."""
        code = 1
        try:
            forking.leave_parent(folder, self._own_descriptors())
            code = live()
        except (Exception, SystemExit) as error:  # noqa: BLE001 (a child must not come back into the parent's code)
            report(f"process {os.getpid()} cannot start", error)
            write_exit(folder, 1, "exit", reason=summary(error)[:REASON_LENGTH_MAX])
        finally:
            forking.end(code)

    def _own_descriptors(self) -> List[int]:
        return [
            *self._inherited,
            self._wakeup.detach(),
            self._wakeup_written.detach(),
            self._listener.detach(),
            *(client.detach() for client, _ in self._clients.values()),
        ]

    def _be_replica(self, order: ReplicaOrder, folder: str, environment: Dict[str, str], threads: int) -> int:
        numeric.raise_threads(threads)
        os.environ.update(environment)
        # What a library has asked for before the fork was the template's.
        tempfile.tempdir = None
        numeric.reseed()
        return serve_replica(order._replace(numeric_threads=threads), folder, self._loaded)
