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
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from modelyard_worker.orders import TemplateOrder
from modelyard_worker.packages import Package
from modelyard_worker.records import ORDER, is_alive, read_identity, read_json, write_json

from modelyard.engines.local.processes import Watched, identity_of, start_worker, worker_environment
from modelyard.errors import StartFailed

SHARE_MODEL_BYTES = 64 * 2**20
"""Models from this size are loaded once, in a template of their package, and shared by its replicas."""

COMMAND_SECONDS = 60.0
"""How long a template may take for one command; importing libraries is the longest."""

START_SECONDS = 30.0
ANSWER_BYTES_MAX = 64 * 1024

_log = logging.getLogger("modelyard.controller")


class CannotFork(Exception):  # noqa: N818 (a reason, like the branches of the tree)
    """The template refuses: forking would not be safe. A fresh process is the way."""


class _Template:
    """One living template. Commands go one at a time."""

    def __init__(self, order: TemplateOrder, folder: Path, watched: Watched) -> None:
        self.order = order
        self.folder = folder
        self.watched = watched
        self.turn = asyncio.Lock()
        self.gone = False

    async def command(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Raises CannotFork, StartFailed."""
        async with self.turn:
            try:
                async with asyncio.timeout(COMMAND_SECONDS):
                    reader, writer = await asyncio.open_unix_connection(self.order.socket, limit=ANSWER_BYTES_MAX)
                    line = json.dumps({"do": what, "token": self.order.token, **arguments}).encode() + b"\n"
                    writer.write(line)
                    answer = await reader.readline()
                    writer.close()
            except (OSError, ValueError, TimeoutError) as error:
                reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
                raise StartFailed(f"cannot {what} in template {self.order.id}: {reason}") from error
        found = _parsed(answer)
        if not found.get("ok"):
            reason = str(found.get("error") or "it closed the connection")
            if found.get("cannot_fork"):
                raise CannotFork(reason)
            raise StartFailed(f"cannot {what} in template {self.order.id}: {reason}")
        return found


def _parsed(answer: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(answer or b"{}")
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


class Templates:
    def __init__(self, folder: Path, sockets: Path) -> None:
        self._folder = folder
        self._sockets = sockets
        self._living: dict[str, _Template] = {}
        self._turns: dict[str, asyncio.Lock] = {}

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
        found = await template.command(
            "fork",
            folder=str(replica_folder),
            libraries=package.libraries,
            environment=dict(environment),
            numeric_threads=threads,
        )
        return int(found["pid"])

    async def warm(self, libraries: tuple[str, ...]) -> None:
        """Has the environment's template import these. Raises StartFailed."""
        template = await self._of_environment()
        await template.command("import", libraries=list(libraries))

    async def _template_for(self, package: Package, digest: str, python: str | None) -> _Template:
        below = await self._of_environment(python)
        path = package.model_path
        if path is None or _size_bytes(Path(path)) < SHARE_MODEL_BYTES:
            return below
        name = f"package-{digest[:16]}"
        async with self._turns.setdefault(name, asyncio.Lock()):
            found = self._find(name)
            if found is not None:
                return found
            folder, order = self._prepare(name, package.folder)
            await below.command("import", libraries=package.libraries)
            answer = await below.command("fork_template", folder=str(folder))
            return await self._wait_until_it_listens(order, folder, int(answer["pid"]), None)

    async def _of_environment(self, python: str | None = None) -> _Template:
        name = _environment_name(python)
        async with self._turns.setdefault(name, asyncio.Lock()):
            found = self._find(name)
            if found is not None:
                return found
            folder, order = self._prepare(name, None)
            child = start_worker("template", folder, worker_environment(1, {}, python), python)
            return await self._wait_until_it_listens(order, folder, child.pid, child)

    # -- life --------------------------------------------------------------------------------------------------------

    def _find(self, name: str) -> _Template | None:
        """The living template of that name; one that an earlier controller started is adopted."""
        template = self._living.get(name)
        if template is not None and not template.gone and is_alive(template.watched.identity):
            return template
        folder = self._folder / name
        identity, order = read_identity(str(folder)), read_json(str(folder / ORDER))
        if identity is None or order is None or not is_alive(identity):
            return None
        _log.info("adopting template %s (pid %d)", name, identity.pid)
        return self._adopt(TemplateOrder(**order), folder, Watched(identity, lambda: self._ended(name), None))

    def _prepare(self, name: str, package: str | None) -> tuple[Path, TemplateOrder]:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        socket = self._sockets / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.t"
        order = TemplateOrder(id=name, socket=str(socket), token=secrets.token_hex(32), package=package)
        write_json(str(folder / ORDER), order._asdict())
        return folder, order

    async def _wait_until_it_listens(self, order: TemplateOrder, folder: Path, pid: int, child: Any) -> _Template:
        limit = asyncio.get_running_loop().time() + START_SECONDS
        while read_identity(str(folder)) is None:
            if identity_of(pid) is None or asyncio.get_running_loop().time() > limit:
                if child is not None:
                    child.poll()
                raise StartFailed(f"cannot start template {order.id}", f"its output is in {folder / 'output.log'}")
            await asyncio.sleep(0.005)
        identity = read_identity(str(folder))
        assert identity is not None
        return self._adopt(order, folder, Watched(identity, lambda: self._ended(order.id), child))

    def _adopt(self, order: TemplateOrder, folder: Path, watched: Watched) -> _Template:
        template = self._living[order.id] = _Template(order, folder, watched)
        return template

    def _ended(self, name: str) -> None:
        template = self._living.pop(name, None)
        if template is not None:
            template.gone = True
            _log.warning("template %s ended; the next start makes a new one", name)

    def end_unused(self, packages: set[str], pythons: set[str | None]) -> None:
        """Ends templates of packages and of environments that have no replica any more. `packages` are digests in use,
        `pythons` interpreters; the template of the yard's own environment stays."""
        used = {f"package-{digest[:16]}" for digest in packages}
        used |= {_environment_name(python) for python in (*pythons, None)}
        for name, template in list(self._living.items()):
            if name not in used and not template.turn.locked():
                template.watched.send(signal.SIGTERM)

    def known_on_disk(self) -> list[str]:
        return [one.name for one in self._folder.iterdir()] if self._folder.is_dir() else []

    def end_all(self) -> list[Watched]:
        """Ends every template, adopted ones included; returns what to wait for."""
        watched: list[Watched] = []
        for name in self.known_on_disk():
            template = self._find(name)
            if template is not None:
                template.watched.send(signal.SIGKILL)
                watched.append(template.watched)
        return watched

    def close(self) -> None:
        for template in self._living.values():
            template.watched.close()


def _environment_name(python: str | None) -> str:
    which = f"{sys.executable} {sys.version}" if python is None else python
    return f"environment-{hashlib.sha256(which.encode()).hexdigest()[:16]}"


def _size_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for file in files:
            with contextlib.suppress(OSError):
                total += (Path(folder) / file).stat().st_size
    return total
