"""Templates: processes with the libraries, and perhaps a model, loaded, from which replicas are forked in milliseconds.

One template per environment. Below it one per package whose model is over SHARE_MODEL_BYTES, so that its replicas share
the model's memory. A template that dies takes nothing with it; the next start makes a new one.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from modelyard_worker.orders import TemplateOrder
from modelyard_worker.packages import Package
from modelyard_worker.records import EXIT, ORDER, PROCESS, Identity, is_alive, read_identity, read_json, write_json

from modelyard.engines.local.processes import (
    Watched,
    identity_of,
    identity_of_child,
    kill,
    start_worker,
    worker_environment,
)
from modelyard.errors import StartFailed
from modelyard.version import VERSION

SHARE_MODEL_BYTES = 64 * 2**20
"""Models from this size are loaded once, in a template of their package, and shared by its replicas."""

COMMAND_SECONDS = 60.0
"""How long a template may take for one command; importing libraries is the longest."""

START_SECONDS = 30.0
"""How long a template without a package may take to listen."""

LOAD_SECONDS = 120.0
"""How long a template that loads a package's model may take to listen."""

LINGER_SECONDS = 30.0
"""How long a template stays after its last replica has ended: a successor may be about to start."""

CLAIM_SECONDS = 0.25
"""How long a replica may take to say who it is, whose template broke off while it was forking."""

ANSWER_BYTES_MAX = 64 * 1024
_PAUSE_SECONDS = 0.005

_log = logging.getLogger("modelyard.controller")


class CannotFork(Exception):  # noqa: N818 (a reason, like the branches of the tree)
    """The template refuses: forking would not be safe. A fresh process is the way."""


class _Unanswered(StartFailed):
    """A command was given and nobody knows whether it was done."""


class _Template:
    """One living template. Commands go one at a time, over a connection that stays: the next one leaves at once, while
    whoever gave it goes on with other things."""

    def __init__(self, order: TemplateOrder, folder: Path, watched: Watched) -> None:
        self.order = order
        self.folder = folder
        self.watched = watched
        self.turn = asyncio.Lock()
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def command(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Raises CannotFork, StartFailed."""
        async with self.turn:
            answer = await self._ask(json.dumps({"do": what, "token": self.order.token, **arguments}), what)
        found = _parsed(answer)
        if found.get("ok"):
            return found
        if not found:
            raise _Unanswered(f"cannot {what} in template {self.order.id}: it closed the connection")
        if found.get("cannot_fork"):
            raise CannotFork(str(found.get("error")))
        raise StartFailed(f"cannot {what} in template {self.order.id}: {found.get('error')}")

    async def _ask(self, line: str, what: str) -> bytes:
        try:
            reader, writer = await self._connected()
        except (OSError, TimeoutError) as error:
            raise StartFailed(f"cannot {what} in template {self.order.id}: {_said(error)}") from error
        # Only a conversation that came to its end leaves a connection that the next command can use.
        self._connection = None
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                writer.write(line.encode() + b"\n")
                answer = await reader.readline()
        except BaseException as error:
            writer.close()
            if isinstance(error, OSError | ValueError | TimeoutError):
                raise _Unanswered(f"cannot {what} in template {self.order.id}: {_said(error)}") from error
            raise
        if answer:
            self._connection = reader, writer
        else:
            writer.close()
        return answer

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection of the last command, or a new one. Raises OSError, TimeoutError."""
        connection = self._connection
        if connection is not None and not connection[0].at_eof():
            return connection
        self.close()
        async with asyncio.timeout(COMMAND_SECONDS):
            return await asyncio.open_unix_connection(self.order.socket, limit=ANSWER_BYTES_MAX)

    def close(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


def _said(error: Exception) -> str:
    # TimeoutError is an OSError, one without words.
    return "it did not answer in time" if isinstance(error, TimeoutError) else str(error)


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(answer or b"{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


class Templates:
    def __init__(
        self,
        folder: Path,
        sockets: Path,
        share_model_bytes: int = SHARE_MODEL_BYTES,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self._folder = folder
        self._sockets = sockets
        self._share_model_bytes = share_model_bytes
        self._linger_seconds = linger_seconds
        self._known: dict[str, _Template] = {}
        self._starting: dict[str, Identity] = {}
        self._going: set[_Template] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._leaving = False

    # -- forking -----------------------------------------------------------------------------------------------------

    async def fork(
        self,
        package: Package,
        package_digest: str,
        replica_folder: Path,
        threads: int,
        environment: Mapping[str, str],
        python: str | None = None,
    ) -> int:
        """Forks a replica for the order in its folder: its pid. `python` is the interpreter of the package's own
        environment, None for the yard's. Raises CannotFork, StartFailed."""
        template = await self._template_for(package, package_digest, python)
        try:
            found = await template.command(
                "fork",
                folder=str(replica_folder),
                libraries=package.libraries,
                environment=dict(environment),
                numeric_threads=threads,
            )
        except _Unanswered as error:
            return await self._claimed(template, replica_folder, error)
        return int(found["pid"])

    async def warm(self, libraries: tuple[str, ...]) -> None:
        """Has the environment's template import these. Raises StartFailed."""
        template = await self._of_environment(None)
        await template.command("import", libraries=list(libraries))

    async def _claimed(self, template: _Template, replica_folder: Path, error: StartFailed) -> int:
        """The replica that a template forked without saying so. Raises `error` where there is none, and then none can
        come: two processes of one replica would both be right."""
        self._end(template)
        await _until(lambda: not is_alive(template.watched.identity), CLAIM_SECONDS)
        await _until(lambda: read_identity(str(replica_folder)) is not None, CLAIM_SECONDS)
        identity = read_identity(str(replica_folder))
        if identity is None:
            raise error
        return identity.pid

    async def _template_for(self, package: Package, digest: str, python: str | None) -> _Template:
        below = await self._of_environment(python)
        path = package.model_path
        if path is None or _size_bytes(Path(path)) < self._share_model_bytes:
            return below
        name = _package_name(digest)
        async with self._turns.setdefault(name, asyncio.Lock()):
            found = self._find(name)
            if found is not None:
                return found
            folder, order = self._prepare(name, package.folder)
            await below.command("import", libraries=package.libraries)
            answer = await below.command("fork_template", folder=str(folder))
            identity = identity_of(int(answer["pid"]))
            if identity is None:
                raise _not_started(order, folder)
            return await self._wait_until_it_listens(order, folder, identity, None, LOAD_SECONDS)

    async def _of_environment(self, python: str | None) -> _Template:
        name = _environment_name(python)
        async with self._turns.setdefault(name, asyncio.Lock()):
            found = self._find(name)
            if found is not None:
                return found
            folder, order = self._prepare(name, None)
            child = start_worker("template", folder, worker_environment(1, {}, python), python)
            identity = identity_of_child(child)
            return await self._wait_until_it_listens(order, folder, identity, child, START_SECONDS)

    # -- life --------------------------------------------------------------------------------------------------------

    def _find(self, name: str) -> _Template | None:
        """The living template of that name; one that an earlier controller started is adopted."""
        template = self._known.get(name)
        if template is not None and is_alive(template.watched.identity):
            return template
        folder = self._folder / name
        identity, order = read_identity(str(folder)), read_json(str(folder / ORDER))
        if identity is None or order is None or not is_alive(identity):
            return None
        _log.info("adopting template %s (pid %d)", name, identity.pid)
        known = {field: order[field] for field in TemplateOrder._fields if field in order}
        return self._take(TemplateOrder(**known), folder, identity, None)

    def _prepare(self, name: str, package: str | None) -> tuple[Path, TemplateOrder]:
        """Raises StartFailed."""
        if self._leaving:
            raise StartFailed(f"cannot start template {name}: the yard is going down")
        folder = self._folder / name
        socket = self._sockets / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.t"
        order = TemplateOrder(id=name, socket=str(socket), token=secrets.token_hex(32), package=package)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            write_json(str(folder / ORDER), order._asdict(), durable=False)
        except OSError as error:
            raise StartFailed(f"cannot start template {name}: {error}", "free disk space under the home") from error
        return folder, order

    async def _wait_until_it_listens(
        self,
        order: TemplateOrder,
        folder: Path,
        identity: Identity,
        child: "subprocess.Popen[bytes] | None",
        limit_seconds: float,
    ) -> _Template:
        """Raises StartFailed, and then the process is gone or going."""
        self._starting[order.id] = identity
        try:
            await _until(lambda: read_identity(str(folder)) is not None or not is_alive(identity), limit_seconds)
            if read_identity(str(folder)) is None:
                raise _not_started(order, folder)
        except BaseException:
            kill(identity)
            if child is not None:
                # Its end follows at once, and nobody else would see to it.
                await asyncio.shield(asyncio.to_thread(child.wait))
            raise
        finally:
            del self._starting[order.id]
        return self._take(order, folder, identity, child)

    def _take(
        self, order: TemplateOrder, folder: Path, identity: Identity, child: "subprocess.Popen[bytes] | None"
    ) -> _Template:
        watched = Watched(identity, lambda: self._ended(template), child)
        template = self._known[order.id] = _Template(order, folder, watched)
        return template

    def _ended(self, template: _Template) -> None:
        template.close()
        self._going.discard(template)
        if self._known.get(template.order.id) is template:
            del self._known[template.order.id]
            _log.warning("template %s ended; the next start makes a new one", template.order.id)

    # -- its end -----------------------------------------------------------------------------------------------------

    def keep_only(self, in_use: Callable[[], tuple[set[str], set[str | None]]]) -> None:
        """After a while, ends templates of packages and of environments that have no replica then. `in_use` gives the
        digests of packages, and the interpreters; the template of the yard's own environment stays."""
        asyncio.get_running_loop().call_later(self._linger_seconds, self._end_unused, in_use)

    def _end_unused(self, in_use: Callable[[], tuple[set[str], set[str | None]]]) -> None:
        if self._leaving:
            return
        packages, pythons = in_use()
        used = {_package_name(digest) for digest in packages}
        used |= {_environment_name(python) for python in (*pythons, None)}
        for name in self._names_on_disk():
            making = self._turns.get(name)
            if name in used or (making is not None and making.locked()):
                continue
            template = self._find(name)
            if template is not None and not template.turn.locked():
                _log.info("ending template %s: nothing uses it", name)
                self._end(template)
                shutil.rmtree(template.folder, ignore_errors=True)

    def end_all(self) -> None:
        """Ends every template, those that an earlier engine left and those that are just starting included; from now on
        none is made."""
        self._leaving = True
        for identity in self._starting.values():
            kill(identity)
        for name in self._names_on_disk():
            template = self._find(name)
            if template is not None:
                self._end(template)

    def living(self) -> list[str]:
        found = [name for name in self._names_on_disk() if self._find(name) is not None]
        going = [(one.order.id, one.watched.identity) for one in self._going]
        return [*found, *(name for name, identity in (*self._starting.items(), *going) if is_alive(identity))]

    def close(self) -> None:
        self._leaving = True
        for template in (*self._known.values(), *self._going):
            template.watched.close()
            template.close()

    def _end(self, template: _Template) -> None:
        """A template holds nothing that would be lost. Nobody finds it any more, though it may take a moment to go."""
        kill(template.watched.identity)
        (template.folder / PROCESS).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            Path(template.order.socket).unlink()
        self._going.add(template)
        if self._known.get(template.order.id) is template:
            del self._known[template.order.id]

    def _names_on_disk(self) -> list[str]:
        return [one.name for one in self._folder.iterdir()] if self._folder.is_dir() else []


async def _until(condition: Callable[[], bool], limit_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    limit = loop.time() + limit_seconds
    while not condition() and loop.time() < limit:
        await asyncio.sleep(_PAUSE_SECONDS)


def _not_started(order: TemplateOrder, folder: Path) -> StartFailed:
    reason = (read_json(str(folder / EXIT)) or {}).get("reason") or "it did not say why"
    return StartFailed(f"cannot start template {order.id}: {reason}", f"its output is in {folder / 'output.log'}")


def _package_name(digest: str) -> str:
    return f"package-{hashlib.sha256(f'{digest} {VERSION}'.encode()).hexdigest()[:16]}"


def _environment_name(python: str | None) -> str:
    which = f"{sys.executable} {sys.version}" if python is None else python
    return f"environment-{hashlib.sha256(f'{which} {VERSION}'.encode()).hexdigest()[:16]}"


def _size_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for file in files:
            with contextlib.suppress(OSError):
                total += (Path(folder) / file).stat().st_size
    return total
