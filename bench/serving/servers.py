"""The peers: how each is started for a case, which processes do its work, and how it is stopped."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from bench.environments import environment_python
from bench.serving.cases import Case, asked
from bench.serving.shapes import INSTANCES, NAMED, OPEN_INFERENCE, PLAIN, Shape
from bench.serving.work import BATCH_ROWS_MAX, CASE_VARIABLE, MODELS_VARIABLE, batch_wait_seconds

START_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 10.0
_POLL_SECONDS = 0.05
_LAST_LINES = 3
_MARK = "BENCH_RUN"
"""In the environment of every process of a peer, so that those which left their parent are found again."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""As a replica has it: a library's threads would only be in each other's way on rows this small."""

PEERS_FOLDER = Path(__file__).parent / "peers"
CHECKOUT = Path(__file__).parents[2]


class CannotStart(Exception):  # noqa: N818 (it is a fact about this machine, and the run goes on without the peer)
    """A peer that cannot be had here, and why."""


@dataclass(frozen=True, slots=True)
class Server:
    """One of the compared. `processes` maps a role to its process ids."""

    name: str
    what: str
    url: str
    processes: dict[str, list[int]]
    shape: Shape = PLAIN


@dataclass(frozen=True, slots=True)
class Place:
    """Where one peer runs: its interpreter, a folder of its own to write to, a free port."""

    python: Path
    folder: Path
    port: int
    environment: Mapping[str, str]

    def script(self, name: str) -> str:
        return str(self.python.with_name(name))


@dataclass(frozen=True, slots=True)
class Peer:
    name: str
    what: str
    command: Callable[[Place], Sequence[str]]
    """Writes what the server reads, if anything, and returns what starts it."""
    path: str = "/predict"
    shape: Shape = PLAIN
    environment: str | None = None
    """The folder below `peers` whose lock it needs; None for this checkout's own."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


# -- commands ------------------------------------------------------------------------------------------------------


def _uvicorn(application: str, workers: int = 1) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        options = ["--workers", str(workers)] if workers > 1 else []
        options += ["--factory"] if application != "constant" else []
        return [
            str(place.python), "-m", "uvicorn", f"bench.serving.apps:{application}", "--port", str(place.port),
            "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning",
            "--lifespan", "off", *options,
        ]  # fmt: skip

    return command


def _bentoml(place: Place) -> Sequence[str]:
    folder = str(PEERS_FOLDER / "bentoml")
    return [place.script("bentoml"), "serve", "app:Peer", "--working-dir", folder, "--port", str(place.port)]


def _litserve(place: Place) -> Sequence[str]:
    return [str(place.python), str(PEERS_FOLDER / "litserve" / "app.py"), str(place.port)]


def _mlserver(parallel_workers: int) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        settings = {"host": "127.0.0.1", "http_port": place.port, "grpc_port": free_port(), "metrics_port": free_port(),
                    "parallel_workers": parallel_workers, "debug": False}  # fmt: skip
        (place.folder / "settings.json").write_text(json.dumps(settings))
        wait_seconds = batch_wait_seconds(place.environment[CASE_VARIABLE])
        model = {"name": "peer", "implementation": "bench.serving.peers.mlserver.runtime.Peer",
                 "max_batch_size": BATCH_ROWS_MAX, "max_batch_time": wait_seconds}  # fmt: skip
        (place.folder / "model-settings.json").write_text(json.dumps(model))
        return [place.script("mlserver"), "start", str(place.folder)]

    return command


def _ray(place: Place) -> Sequence[str]:
    document = {
        "http_options": {"host": "127.0.0.1", "port": place.port},
        "applications": [{"name": "peer", "import_path": "bench.serving.peers.ray.app:app", "route_prefix": "/"}],
    }
    (place.folder / "serve.json").write_text(json.dumps(document))
    return [place.script("serve"), "run", str(place.folder / "serve.json")]


def _mlflow(place: Place) -> Sequence[str]:
    model = place.folder / "model"
    write = [str(place.python), str(PEERS_FOLDER / "mlflow" / "model.py"), str(model)]
    done = subprocess.run(
        write, env=place.environment, capture_output=True, text=True, check=False, timeout=START_SECONDS_MAX
    )
    if done.returncode != 0:
        raise CannotStart(f"its model cannot be written: {done.stderr.strip().splitlines()[-1:]}")
    return [place.script("mlflow"), "models", "serve", "--model-uri", str(model), "--env-manager", "local",
            "--port", str(place.port)]  # fmt: skip


_BATCHED = f"batches of up to {BATCH_ROWS_MAX}"
_RAY_VARIABLES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_SERVE_LOG_TO_STDERR": "0"}

PEERS = {
    peer.name: peer
    for peer in (
        Peer("constant", "uvicorn, a constant", _uvicorn("constant")),
        Peer("raw", "uvicorn, raw ASGI, model in process", _uvicorn("raw")),
        Peer("fastapi-1", "FastAPI + orjson, 1 worker", _uvicorn("framework")),
        Peer("fastapi-2", "FastAPI + orjson, 2 workers", _uvicorn("framework", workers=2)),
        Peer("bentoml", f"BentoML, {_BATCHED}", _bentoml, shape=NAMED, environment="bentoml"),
        Peer("litserve", f"LitServe, {_BATCHED}", _litserve, environment="litserve"),
        Peer("mlserver", f"MLServer, {_BATCHED}", _mlserver(1), "/v2/models/peer/infer", OPEN_INFERENCE, "mlserver"),
        Peer(
            "mlserver-0",
            f"MLServer in one process (parallel_workers 0), {_BATCHED}",
            _mlserver(0),
            "/v2/models/peer/infer",
            OPEN_INFERENCE,
            "mlserver",
        ),
        Peer("ray", f"Ray Serve, {_BATCHED}", _ray, "/", environment="ray", variables=_RAY_VARIABLES),
        Peer(
            "ray-haproxy",
            f"Ray Serve behind its HAProxy, tuned for throughput, {_BATCHED}",
            _ray,
            "/",
            environment="ray",
            variables={**_RAY_VARIABLES, "RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"},
        ),
        Peer("mlflow", "mlflow models serve", _mlflow, "/invocations", INSTANCES, "mlflow"),
    )
}


# -- life ----------------------------------------------------------------------------------------------------------


@contextmanager
def running(peer: Peer, case: Case, models: Path, folder: Path) -> Generator[Server]:
    """The peer, serving `case`; it ends with the block. Raises CannotStart, and CannotBuild of `environments`."""
    python = environment_python(PEERS_FOLDER / peer.environment) if peer.environment else Path(sys.executable)
    own = folder / f"{case.name}-{peer.name}"
    own.mkdir()
    mark = secrets.token_hex(8)
    environment = {
        **os.environ, **ONE_THREAD, **peer.variables, CASE_VARIABLE: case.name, MODELS_VARIABLE: str(models),
        "PYTHONPATH": str(CHECKOUT), "PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(own), _MARK: mark,
    }  # fmt: skip
    place = Place(python, own, free_port(), environment)
    output = own / "output.log"
    command = peer.command(place)
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{place.port}{peer.path}"
        _wait_until_it_answers(peer.shape.body(asked(case)), url, process, output)
        yield Server(peer.name, peer.what, url, {"server": [one.pid for one in _marked(mark)]}, peer.shape)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
        left = _marked(mark)
        for one in left:
            one.kill()
        psutil.wait_procs(left, STOP_SECONDS_MAX)
        shutil.rmtree(own, ignore_errors=True)


def _wait_until_it_answers(body: bytes, url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    limit = time.monotonic() + START_SECONDS_MAX
    said = "nothing"
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise CannotStart(f"it ended with {process.returncode}: {_last_words(output)}")
        try:
            answer = httpx.post(url, content=body, headers={"content-type": "application/json"}, timeout=10)
        except httpx.TransportError as error:
            said = repr(error)
        else:
            if answer.is_success:
                return
            said = f"{answer.status_code} {answer.text[:200]}"
        time.sleep(_POLL_SECONDS)
    raise CannotStart(f"no answer within {START_SECONDS_MAX:g} s, at last {said}: {_last_words(output)}")


def _last_words(output: Path) -> str:
    return " / ".join(output.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:])


def _marked(mark: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
