"""`python -m modelyard.processes.control --home PATH`: serves the API and the console on a Unix socket."""

import argparse
import asyncio
import contextlib
import gc
import hashlib
import os
import signal
import socket
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from modelyard.api.app import create_app
from modelyard.api.room import disk_of
from modelyard.api.yard import Yard
from modelyard.clock import SystemClock
from modelyard.console.pages import routes
from modelyard.domain.invocations import InvocationStatus
from modelyard.doors.dvc import DvcDoor
from modelyard.doors.invocations import InvocationsDoor
from modelyard.doors.mlflow import MlflowDoor
from modelyard.doors.mount import Doors
from modelyard.doors.oip import OipDoor
from modelyard.doors.tracking_server import TrackingServer
from modelyard.log import start_log
from modelyard.protocol.messages import encode
from modelyard.protocol.routes import AWS, DVC, ENDPOINTS, MLFLOW, TENSORS
from modelyard.protocol.wishes import wake_dispatcher
from modelyard.settings import Home, care_from, mail_from, read_key, tracking_from
from modelyard.store.artifacts import FileArtifacts
from modelyard.store.invocation_files import InvocationFiles
from modelyard.store.mlflow import Tracker
from modelyard.store.ports import Keys, Runs
from modelyard.store.remotes import DataRemotes
from modelyard.store.sqlite import open_store

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from modelyard.sdk.in_process import InProcess

SHUTDOWN_SECONDS = 3
"""How long answers under way may take when it is told to go; who follows a log comes back to its successor."""

LISTEN_BACKLOG = 256

_POKE = encode({"type": "poke"})


async def serve(home: Home, apps_domain: str | None) -> None:
    log = start_log("control")
    clock = SystemClock()
    store = open_store(home)
    remember_key(store.keys, home, clock.now())
    artifacts = FileArtifacts(home.artifacts)
    yard = Yard(
        store,
        artifacts,
        home,
        clock,
        lambda: poke(home.controller_socket),
        care_from(os.environ),
        mail_from(os.environ),
        apps_domain,
        lambda: wake_dispatcher(home),
    )
    loop = asyncio.get_running_loop()

    def in_process() -> "InProcess":
        # An idle yard has no console open: the HTTP client that its pages need is loaded by the first.
        from modelyard.sdk.in_process import InProcess  # noqa: PLC0415

        return InProcess(app, loop)

    remotes = DataRemotes(home.data_remotes)
    remotes.remove_leftovers()
    tracking = tracking_from(os.environ)
    tracker = Tracker(home, tracking.url)
    files = InvocationFiles(home.invocations)
    invocations = InvocationsDoor(store, artifacts, files, clock, lambda: disk_of(yard), yard.wake_dispatcher)
    doors: dict[str, ASGIApp] = {
        ENDPOINTS.rstrip("/"): invocations,
        AWS: invocations,
        DVC: DvcDoor(remotes, store.keys, clock, lambda: disk_of(yard)),
        TENSORS: OipDoor(store),
        MLFLOW: MlflowDoor(
            TrackingServer(home, tracking.url),
            store.keys,
            store.runs,
            lambda: read_key(home),
            lambda: disk_of(yard),
            lambda run: begin_run(store.runs, tracker, run),
        ),
    }
    app = Doors(create_app(yard, routes(in_process, clock)), doors)
    under_way = store.invocations.select(status=InvocationStatus.IN_PROGRESS, limit=1)
    if under_way or store.invocations.agenda(clock.now()).next_at is not None:
        # Something is queued or to be told since before this yard came up.
        wake_dispatcher(home)
    listening = listen(home.control_socket)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, server.stop)
    gc.collect()
    gc.freeze()
    log.info("answering on %s", home.control_socket)
    await server.serve([listening])
    store.close()
    log.info("stopped")


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling, which ends the process by the signal that it caught."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


def begin_run(runs: Runs, tracker: Tracker, run: str) -> None:
    """Lets the tracking server have a run whose script is about to write to it. What else there is to tell, the
    controller tells."""
    tracker.begin(runs.get(run))


def remember_key(keys: Keys, home: Home, now: float) -> None:
    """The digest of the key in the home's file; the store has no other."""
    digest = hashlib.sha256(read_key(home).encode()).hexdigest()
    if not keys.is_owner(digest):
        keys.put_owner(digest, now)


def listen(path: Path) -> socket.socket:
    """Binds the socket, for its owner alone; what a dead process left there goes."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    earlier = os.umask(0o177)
    try:
        listening.bind(str(path))
    finally:
        os.umask(earlier)
    listening.listen(LISTEN_BACKLOG)
    return listening


def poke(path: Path) -> None:
    """Wakes the controller. Where it is not there, or busy, it finds by itself what was committed."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        wire.setblocking(False)
        wire.connect(str(path))
        wire.send(_POKE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-control")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--apps-domain")
    given = parser.parse_args()
    asyncio.run(serve(Home(given.home), given.apps_domain))
    return 0


if __name__ == "__main__":
    sys.exit(main())
