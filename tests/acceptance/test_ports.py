"""Ports of their own through real processes: what listens there outlives whoever answers, and goes when nobody wishes
it any more."""

import contextlib
import http.client
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Self

import httpx
import pytest
from modelyard_worker.records import read_json, write_json

from tests.acceptance.yard import Yard, eventually

pytestmark = pytest.mark.acceptance

LIMIT_SECONDS = 30


class Visitors:
    """People who come to a port anew for each page, and note what they met with."""

    def __init__(self, port: int, visitors: int = 2) -> None:
        self.met: Counter[str] = Counter()
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._visit, daemon=True) for _ in range(visitors)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_pages()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT_SECONDS)

    def wait_for_pages(self) -> None:
        """Until so many more have been seen as come after whatever went on."""
        target = self.met["docs"] + 10
        eventually(lambda: self.met["docs"] >= target, LIMIT_SECONDS)

    def _visit(self) -> None:
        while not self._stop.wait(0.005):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_SECONDS)
            with contextlib.closing(connection):
                try:
                    connection.request("GET", "/")
                    self.met[connection.getresponse().read().decode()] += 1
                except (OSError, http.client.HTTPException) as error:
                    self.met[type(error).__name__] += 1


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def deploy(yard: Yard, folder: Path, site: str) -> str:
    (folder / "pages").mkdir(exist_ok=True)
    (folder / "pages" / "index.html").write_text("docs")
    (folder / "modelyard.yaml").write_text(site)
    done = yard.command("deploy", str(folder))
    return done.stdout + done.stderr


def test_a_port_of_its_own_refuses_nobody_while_processes_die_or_are_replaced_and_is_closed_when_it_is_given_up(
    yard: Yard, tmp_path: Path, port: int
) -> None:
    told = deploy(yard, tmp_path, f"- {{name: docs, kind: site, path: pages, port: {port}}}\n")
    assert f"open http://localhost:{port}" in told
    assert "browsers keep an app's own cookies by host" in told
    eventually(lambda: httpx.get(f"http://127.0.0.1:{port}").text == "docs")
    with Visitors(port) as visitors:
        yard.kill("gateway")
        visitors.wait_for_pages()
        yard.kill("supervisor")
        visitors.wait_for_pages()
        yard.up()
        yard.kill("gateway")
        visitors.wait_for_pages()
        yard.kill("supervisor")
        written = read_json(str(yard.home / "processes.json")) or {}
        write_json(str(yard.home / "processes.json"), {**written, "version": "0.0.1"})
        yard.up()
        visitors.wait_for_pages()
    assert not visitors.met["ConnectionRefusedError"], visitors.met
    deploy(yard, tmp_path, "- {name: docs, kind: site, path: pages}\n")
    eventually(lambda: can_listen(port), LIMIT_SECONDS, "nothing listens there any more")


def can_listen(port: int) -> bool:
    with socket.create_server(("127.0.0.1", port)):
        return True
