"""A real yard in a home of its own, and steady load against it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import psutil
from modelyard_worker.records import Identity, is_alive, read_identity, read_json

from modelyard.sdk.client import Client

LIMIT_SECONDS = 60.0


def eventually(what: Callable[[], Any], limit_seconds: float = LIMIT_SECONDS, saying: str = "") -> Any:
    """The first true answer of `what`. Fails after the limit with its last answer or error."""
    limit = time.monotonic() + limit_seconds
    last: Any = None
    while time.monotonic() < limit:
        try:
            last = what()
        except Exception as error:  # noqa: BLE001 (what is not there yet may fail in any way)
            last = error
        else:
            if last:
                return last
        time.sleep(0.02)
    raise AssertionError(f"{saying or 'the condition'} did not come true within {limit_seconds} s; last: {last!r}")


class Yard:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.supervisor: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Client] = {}

    # -- life --------------------------------------------------------------------------------------------------------

    def up(self, *, wait: bool = True) -> "Yard":
        self.home.mkdir(exist_ok=True)
        before = (read_json(str(self.home / "yard.json")) or {}).get("pid")
        with (self.home / "supervisor.out").open("ab") as output:
            self.supervisor = subprocess.Popen(
                [sys.executable, "-m", "modelyard.processes.supervisor", "--port", "0"],
                env={**os.environ, "MODELYARD_HOME": str(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if wait:
            eventually(lambda: (read_json(str(self.home / "yard.json")) or {}).get("pid") not in (None, before))
            eventually(lambda: self.client().status(), saying="the yard's status")
        return self

    def down(self) -> int:
        assert self.supervisor is not None
        self.supervisor.send_signal(signal.SIGTERM)
        return self.supervisor.wait(LIMIT_SECONDS)

    @property
    def url(self) -> str:
        return str((read_json(str(self.home / "yard.json")) or {})["url"])

    @property
    def key(self) -> str:
        return (self.home / "key").read_text().strip()

    def client(self) -> Client:
        url = self.url
        if url not in self._clients:
            self._clients[url] = Client(url, self.key)
        return self._clients[url]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def command(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command as typed, for this home."""
        return subprocess.run(
            [sys.executable, "-m", "modelyard.cli.main", *words],
            env={**os.environ, "MODELYARD_HOME": str(self.home)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )

    # -- processes ---------------------------------------------------------------------------------------------------

    def process(self, name: str) -> Identity:
        if name == "supervisor":
            document = read_json(str(self.home / "yard.json")) or {}
            return Identity(document["boot"], document["pid"], document["start"])
        found = (read_json(str(self.home / "processes.json")) or {})["processes"]
        one = next(one for one in found if one["name"] == name)
        return Identity(one["boot"], one["pid"], one["start"])

    def kill(self, name: str) -> Identity:
        """`kill -9`, and waits until it is gone."""
        identity = self.process(name)
        kill(identity)
        if name == "supervisor" and self.supervisor is not None:
            self.supervisor.wait(10)
        return identity

    def engine_process(self, kind: str, name: str) -> Identity:
        found = read_identity(str(self.home / "engine" / kind / name))
        assert found is not None
        return found

    def replicas(self, endpoint: str) -> list[dict[str, Any]]:
        return [asdict(one) for one in self.client().endpoint(endpoint).replicas]

    def everything_alive(self) -> list[psutil.Process]:
        """Every process that belongs to this home, by its arguments or by a record of it."""
        found = []
        pids = {self.engine_pid(path) for path in (self.home / "engine").glob("*/*")}
        for process in psutil.process_iter():
            try:
                mine = str(self.home) in " ".join(process.cmdline()) or process.pid in pids
                if mine and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    @staticmethod
    def engine_pid(folder: Path) -> int | None:
        identity = read_identity(str(folder))
        return identity.pid if identity is not None and is_alive(identity) else None

    def log(self, name: str) -> str:
        path = self.home / "log" / f"{name}.log"
        return path.read_text() if path.exists() else ""


def kill(identity: Identity) -> None:
    assert is_alive(identity)
    os.kill(identity.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(identity), 10)


class Load:
    """Clients that predict one after the other for as long as the block lasts, each on a connection of its own."""

    def __init__(self, yard: Yard, endpoint: str, body: Any, clients: int = 8) -> None:
        self.host, _, port = yard.url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.path = f"/endpoints/{endpoint}/invocations"
        self.body = json.dumps(body).encode()
        self.answers: Counter[int] = Counter()
        self.bodies: Counter[bytes] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_answers(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT_SECONDS)

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    def wait_for_answers(self, more: int) -> None:
        """Until so many more answers have come."""
        target = self.total + more
        eventually(lambda: self.total >= target or len(self.failures) > 100, saying="more answers")

    def _client(self) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        while not self._stop.is_set():
            try:
                connection.request("POST", self.path, self.body, {"content-type": "application/json"})
                response = connection.getresponse()
                body = response.read()
            except OSError as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            except http.client.HTTPException as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            self.answers[response.status] += 1
            self.bodies[body] += 1
            if response.status != 200:
                self.failures.append(f"{response.status} {body[:300]!r}")
        connection.close()
