"""An app: a program of the user's with a web server of its own, which this replica starts, watches and ends.

The program is told its port by `$PORT` and listens on loopback; `$FOLDER` is a folder of the app's own that stays.
Gateways visit it there; on this replica's socket they only shake hands, hear where it listens, and that it leaves. When
the program ends, so does the replica, and when the replica ends, in whatever way, so does every process that the
program started.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from modelyard_worker.packages import AppSpec, Package
from modelyard_worker.process_tree import (
    Guard,
    become_subreaper,
    die_with_parent,
    end_leftovers,
    kill_group,
    reap_adopted,
)
from modelyard_worker.request import Request
from modelyard_worker.servable import Answer, Serving, error_answer
from modelyard_worker.signatures import CannotServe

HOST = "127.0.0.1"
VISITORS_MAX = 10_000
"""Requests and open WebSockets that one replica takes where the yard file does not say."""

LOOK_SECONDS = 0.05
END_SECONDS = 5.0
"""How long the program may take to end after SIGTERM."""

REAP_SECONDS = 10.0
"""How often it is looked whether somebody has ended whom the program left behind."""

MARK = "MODELYARD_REPLICA"
"""The variable by which every process of the program is known; its value is this replica's alone."""

FOLDER_VARIABLE = "MODELYARD_APP_FOLDER"

HEALTH_SECONDS = 5.0


class WebProcess:
    """Implements `servable.Servable`, as far as a gateway asks for it: predictions are refused."""

    batches = False
    asynchronous = True
    wants: Tuple[str, ...] = ()
    max_in_flight = VISITORS_MAX

    def __init__(self, package: Package, app: AppSpec, serving: Serving) -> None:
        self.failure: Optional[str] = None
        """How the program ended, where it did so by itself."""
        self.web: Optional[str] = None
        """Where it listens, `HOST:PORT`."""
        self._folder = _folder_of(package)
        self._app = app
        self._serving = serving
        self._mark = secrets.token_hex(8)
        self._guard: Optional[Guard] = None
        self._process: Optional[asyncio.subprocess.Process] = None
        self._watching: Optional[asyncio.Task[None]] = None
        self._ended: Optional[Callable[[], None]] = None

    def on_end(self, ended: Callable[[], None]) -> None:
        """`ended` is called when the program has ended by itself."""
        self._ended = ended
        if self.failure is not None:
            ended()

    async def open(self) -> None:
        """Starts the program and waits until it answers; how long is whoever's who started this replica. Raises
        CannotServe where it ends before."""
        port = _free_port()
        command = [self._filled(one, port) for one in self._app.command]
        if any("$FOLDER" in one for one in (*self._app.command, *self._app.environment.values())):
            _add_missing(self._folder, own_folder(self._folder))
        parent = os.getpid()
        become_subreaper()
        self._guard = guard = Guard(f"{MARK}={self._mark}")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self._folder,
                env=self._environment(port),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),
            )
        except OSError as error:
            raise CannotServe(f"cannot start {command[0]}: {error.strerror or error}") from error
        guard.watch(self._process.pid)
        while not await _answers(port, self._app.health):
            if self._process.returncode is not None:
                raise CannotServe(f"the command ended with exit code {self._process.returncode} before it listened")
            await asyncio.sleep(LOOK_SECONDS)
        self.web = f"{HOST}:{port}"
        self._watching = asyncio.get_running_loop().create_task(self._watch(self._process, guard))

    def _filled(self, text: str, port: int) -> str:
        return text.replace("$PORT", str(port)).replace("$FOLDER", own_folder(self._folder))

    def _environment(self, port: int) -> Dict[str, str]:
        """The replica's own, with the port, and with the programs of its interpreter's environment first."""
        programs = os.path.dirname(sys.executable)
        return {
            **os.environ,
            "PORT": str(port),
            "HOST": HOST,
            "PATH": os.pathsep.join((programs, os.environ.get("PATH", os.defpath))),
            "PYTHONUNBUFFERED": "1",
            "MODELYARD_APP": self._serving.endpoint,
            "MODELYARD_APP_VERSION": str(self._serving.version),
            **{name: self._filled(value, port) for name, value in self._app.environment.items()},
            MARK: self._mark,
        }

    async def _watch(self, process: asyncio.subprocess.Process, guard: Guard) -> None:
        ending = asyncio.ensure_future(process.wait())
        while not (await asyncio.wait({ending}, timeout=REAP_SECONDS))[0]:
            reap_adopted(spared=(process.pid, guard.pid))
        self.failure = f"the app's command ended with exit code {ending.result()}"
        print(self.failure, file=sys.stderr, flush=True)
        if self._ended is not None:
            self._ended()

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        process, guard = self._process, self._guard
        if process is None or guard is None:
            return
        if process.returncode is None:
            kill_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), END_SECONDS)
            kill_group(process.pid, signal.SIGKILL)
            await process.wait()
        # Whoever it left behind goes too, in a session of their own or not.
        end_leftovers(process.pid, spared=(guard.pid,))
        guard.dismiss()

    def predict(self, requests: Sequence[Request]) -> List[Answer]:
        return [error_answer(404, "not_found", "cannot predict: this is an app") for _ in requests]

    async def predict_async(self, requests: Sequence[Request]) -> List[Answer]:
        return self.predict(requests)

    def describe(self) -> Dict[str, Any]:
        return {}

    def probe(self) -> None:
        """It answered before this replica listened. Raises CannotServe where it has ended since."""
        if self._process is None or self._process.returncode is not None:
            raise CannotServe("the app's command has ended")


def _folder_of(package: Package) -> str:
    """Where the command runs: in its code, or in the app's own folder where it is a command alone, such as that of a
    program which is installed."""
    if os.path.isdir(package.code_folder):
        return package.code_folder
    folder = own_folder(os.getcwd())
    os.makedirs(folder, exist_ok=True)
    return folder


def own_folder(code_folder: str) -> str:
    """Where an app keeps what is to stay; without a yard, beside its code."""
    return os.environ.get(FOLDER_VARIABLE) or code_folder


def _add_missing(source: str, target: str) -> None:
    """Copies what is not there yet: what somebody changed there since is theirs. Raises OSError."""
    if os.path.realpath(source) == os.path.realpath(target):
        return
    for place, _, names in os.walk(source):
        into = os.path.join(target, os.path.relpath(place, source))
        os.makedirs(into, exist_ok=True)
        for name in names:
            copy = os.path.join(into, name)
            if not os.path.lexists(copy):
                aside = f"{copy}.{secrets.token_hex(4)}"
                shutil.copyfile(os.path.join(place, name), aside)
                os.replace(aside, copy)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        found.bind((HOST, 0))
        return int(found.getsockname()[1])


async def _answers(port: int, health: Optional[str]) -> bool:
    """Whether it takes connections; with a path, whether GET of that is answered below 500."""
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    try:
        if health is None:
            return True
        writer.write(f"GET {health} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), HEALTH_SECONDS)
        words = line.split()
        return len(words) > 1 and words[1].isdigit() and int(words[1]) < 500
    except (TimeoutError, OSError, ValueError):
        return False
    finally:
        writer.close()
