"""The control process as the supervisor has it: a socket for its owner alone, a quiet end, pokes that never wait."""

import hashlib
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from modelyard.processes.control import poke
from modelyard.settings import Home
from modelyard.store.migrate import migrate
from modelyard.store.sqlite import open_store

LIMIT_SECONDS = 30.0
MEMORY_BYTES_MAX = 75 * 2**20


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="yard-") as folder:
        made = Home(Path(folder) / "home")
        made.make()
        made.make_sockets()
        made.key.write_text("the-key\n")
        migrate(made)
        yield made


@pytest.fixture
def control(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    home.control_socket.write_text("what a dead process left")
    command = [sys.executable, "-m", "modelyard.processes.control", "--home", str(home.root)]
    with (home.logs / "control.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    ends_at = time.monotonic() + LIMIT_SECONDS
    while not answers(home):
        assert process.poll() is None, (home.logs / "control.log").read_text()
        assert time.monotonic() < ends_at
        time.sleep(0.02)
    yield process
    process.kill()
    process.wait()


def ask(home: Home, path: str) -> httpx.Response:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(home.control_socket)), base_url="http://localhost"
    ) as client:
        return client.get(path, headers={"authorization": "Bearer the-key"})


def answers(home: Home) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
        try:
            wire.connect(str(home.control_socket))
        except OSError:
            return False
    return ask(home, "/api/v1/status").is_success


def test_it_answers_its_owner_alone_and_leaves_quietly(home: Home, control: "subprocess.Popen[bytes]") -> None:
    assert stat.S_IMODE(home.control_socket.stat().st_mode) == 0o600
    control.send_signal(signal.SIGTERM)
    assert control.wait(LIMIT_SECONDS) == 0
    log = (home.logs / "control.log").read_text()
    assert "stopped" in log
    assert "the-key" not in log


def test_it_is_small_when_idle(home: Home, control: "subprocess.Popen[bytes]") -> None:
    lines = Path(f"/proc/{control.pid}/smaps_rollup").read_text().splitlines()
    pss = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    assert pss < MEMORY_BYTES_MAX


def test_the_store_gets_the_keys_digest_and_never_the_key(home: Home, control: "subprocess.Popen[bytes]") -> None:
    store = open_store(home)
    assert store.keys.is_owner(hashlib.sha256(b"the-key").hexdigest())
    store.close()
    for file in home.databases.iterdir():
        assert b"the-key" not in file.read_bytes()


def test_a_poke_is_heard_and_without_a_controller_it_is_nothing(home: Home) -> None:
    poke(home.controller_socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(home.controller_socket))
        listening.listen(1)
        poke(home.controller_socket)
        heard, _ = listening.accept()
        with heard:
            assert heard.recv(100) == b'{"type":"poke"}\n'
        for _ in range(20):  # more than the backlog holds: a controller that does not look blocks nobody
            poke(home.controller_socket)
