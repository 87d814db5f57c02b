"""The servers side by side: each is started, says which processes do its work, and is stopped."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.serving.subject import ANSWER, BODY, MODEL_VARIABLE

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
_POLL_SECONDS = 0.05

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""As a replica has it: a library's threads would only be in each other's way on rows this small."""


@dataclass(frozen=True, slots=True)
class Server:
    """One of the compared. `processes` maps a role to its process ids."""

    name: str
    what: str
    url: str
    processes: dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class _Peer:
    name: str
    what: str
    application: str
    factory: bool
    workers: int = 1


_PEERS = (
    _Peer("constant", "uvicorn, a constant", "bench.serving.apps:constant", factory=False),
    _Peer("raw", "uvicorn, raw ASGI, model in process", "bench.serving.apps:raw", factory=True),
    _Peer("fastapi-1", "FastAPI + orjson, 1 worker", "bench.serving.apps:framework", factory=True),
    _Peer("fastapi-2", "FastAPI + orjson, 2 workers", "bench.serving.apps:framework", factory=True, workers=2),
)


@contextmanager
def peers(model: Path) -> Generator[list[Server]]:
    """Every peer, serving `model`; they end with the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(_running(peer, model)) for peer in _PEERS]


@contextmanager
def _running(peer: _Peer, model: Path) -> Generator[Server]:
    port = free_port()
    options = ["--factory"] if peer.factory else []
    if peer.workers > 1:
        options += ["--workers", str(peer.workers)]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", peer.application, "--port", str(port), "--loop", "uvloop", "--http",
         "httptools", "--no-access-log", "--log-level", "warning", "--lifespan", "off", *options],
        env={**os.environ, **ONE_THREAD, MODEL_VARIABLE: str(model)},
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/predict"
        _wait_until_it_answers(peer.name, url, process)
        yield Server(peer.name, peer.what, url, {"server": _family(process.pid)})
    finally:
        process.terminate()
        process.wait(STOP_SECONDS_MAX)


def _wait_until_it_answers(name: str, url: str, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"cannot start {name}: it ended with {process.returncode}")
        try:
            answer = httpx.post(url, content=BODY, headers={"content-type": "application/json"})
        except httpx.TransportError:
            time.sleep(_POLL_SECONDS)
            continue
        if answer.content != ANSWER:
            raise RuntimeError(f"cannot use {name}: it answers {answer.status_code} {answer.text[:200]}")
        return
    raise RuntimeError(f"cannot start {name}: no answer within {START_SECONDS_MAX:g} s")


def _family(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
