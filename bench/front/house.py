"""The benchmark's own yard with everything in it that stands in front, and the same app without a yard."""

import gzip
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from bench.front.load import Side
from bench.serving.servers import free_port
from bench.yard import FreshYard, fresh_yard

OURS = "modelyard"
ALONE = "alone"
APP, SITE, FUNCTION, GATEWAY = "board", "pages", "add", "front"
OPEN, KEYED, NARROW = "open", "keyed", "narrow"
PAGE, LARGE = "page.html", "large.bin"
PAGE_TEXT = "<!doctype html><title>Page</title>" + "".join(f"<p>Line {number} of it.</p>" for number in range(400))
LARGE_BYTES = 2**20

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
_SERVED = Path(__file__).with_name("served")
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class House:
    fresh: FreshYard
    key: str
    """A caller's, not the owner's."""
    folder: Path
    """What was deployed."""

    def side(self, path: str, *, label: str | None = None, of: str | None = None, keyed: bool = False) -> Side:
        """What the yard answers at `path`, below the origin `label` or at its own; `of` is the endpoint, function or
        app whose replicas take part."""
        host = {"Host": f"{label}.localhost:{self.fresh.url.rpartition(':')[2]}"} if label is not None else {}
        shown = {"Authorization": f"Bearer {self.key}"} if keyed else {}
        return Side(OURS, f"{self.fresh.url}{path}", self._processes(of), {**host, **shown})

    def _processes(self, endpoint: str | None) -> dict[str, list[int]]:
        client = self.fresh.client
        platform = client.status()["processes"]
        gateway = [one["pid"] for one in platform if one["name"] == "gateway" and one["pid"] is not None]
        roles = {"gateway": gateway}
        replicas = client.endpoint(endpoint).replicas if endpoint is not None else []
        found = [psutil.Process(one.pid) for one in replicas if one.pid is not None]
        if found:
            children = [child.pid for one in found for child in one.children(recursive=True)]
            roles["replicas"] = [*(one.pid for one in found), *children]
        return roles


@contextmanager
def standing_house(folder: Path) -> Generator[House]:
    """A yard in a home below `folder`, on a free port, with everything deployed."""
    project = folder / "front"
    shutil.copytree(_SERVED, project, ignore=shutil.ignore_patterns("__pycache__"))
    pages = project / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<!doctype html><title>Pages</title>")
    (pages / PAGE).write_text(PAGE_TEXT)
    # What nginx's `gzip_static` sends.
    (pages / f"{PAGE}.gz").write_bytes(gzip.compress(PAGE_TEXT.encode(), mtime=0))
    (pages / LARGE).write_bytes(os.urandom(LARGE_BYTES))
    with fresh_yard(folder / "home") as fresh:
        fresh.command("deploy", str(project / "modelyard.yaml"))
        house = House(fresh, _callers_key(fresh), project)
        for side in (house.side("/", label=APP), house.side("/", label=SITE)):
            _wait(side)
        yield house


@contextmanager
def app_alone(project: Path) -> Generator[Side]:
    """The very command that a replica of the app starts, on a port of its own."""
    port = free_port()
    command = [sys.executable, "-m", "modelyard_worker.app_server", f"{APP}:app"]
    process = subprocess.Popen(command, cwd=project, env={**os.environ, "PORT": str(port)})
    try:
        side = Side(ALONE, f"http://127.0.0.1:{port}/", {"replicas": [process.pid]})
        _wait(side)
        yield side
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()


def _callers_key(fresh: FreshYard) -> str:
    wanted = {"name": "bench", "grants": [{"role": "caller"}]}
    answer = httpx.post(f"{fresh.url}/api/v1/keys", json=wanted, headers={"authorization": f"Bearer {fresh.key}"})
    answer.raise_for_status()
    return str(answer.json()["key"])


def _wait(side: Side) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        try:
            if httpx.get(side.url, headers=dict(side.headers)).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"cannot measure {side.name}: it does not answer at {side.url} {dict(side.headers)}")
