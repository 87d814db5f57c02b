"""`python -m modelyard.processes.dispatcher --home PATH`: sends what is queued, and goes when nothing is."""

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from modelyard_worker.records import read_json

from modelyard.clock import SystemClock
from modelyard.dispatcher.loop import Dispatcher
from modelyard.log import start_log
from modelyard.settings import Home
from modelyard.store.sqlite import open_store

LOCK_PAUSE_SECONDS = 0.05
DATAGRAM_BYTES_MAX = 64


async def serve(home: Home) -> None:
    log = start_log("dispatcher")
    async with _alone(home.dispatcher_lock):
        store = open_store(home)
        origin = str((read_json(str(home.yard)) or {}).get("url", "http://localhost"))
        dispatcher = Dispatcher(home, store, SystemClock(), origin)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, dispatcher.stop)
        listening = _listen(home.dispatcher_socket)

        def hear() -> None:
            with contextlib.suppress(BlockingIOError):
                while listening.recv(DATAGRAM_BYTES_MAX):
                    dispatcher.wake()

        def stop_listening() -> bool:
            home.dispatcher_socket.unlink(missing_ok=True)
            return True

        loop.add_reader(listening, hear)
        log.info("sending what is queued")
        await dispatcher.run(stop_listening)
        loop.remove_reader(listening)
        listening.close()
        store.close()
        log.info("nothing is queued any more; gone")


@contextlib.asynccontextmanager
async def _alone(path: Path) -> AsyncGenerator[None]:
    """One dispatcher at a time: a successor waits for the one that is about to go."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOCK_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(path))
    path.chmod(0o600)
    listening.setblocking(False)
    return listening


def main() -> int:
    parser = argparse.ArgumentParser(prog="modelyard-dispatcher")
    parser.add_argument("--home", type=Path, required=True)
    asyncio.run(serve(Home(parser.parse_args().home)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
