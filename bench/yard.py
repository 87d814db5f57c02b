"""A yard of its own for a benchmark: started in a fresh home on a free port, ended with the block."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.sdk import Client


@dataclass(frozen=True, slots=True)
class FreshYard:
    """A running yard. `url` is its address, `key` its owner's."""

    home: Path
    url: str
    key: str
    client: Client

    def prediction_url(self, name: str) -> str:
        return f"{self.url}/endpoints/{name}/invocations"

    def command(self, *words: str) -> None:
        """A command as typed, for this home. Raises CalledProcessError where it fails."""
        run_command(self.home, *words)


def end_when_told() -> None:
    """Makes SIGTERM end this process as an exception does, so that nothing that it started is left behind."""
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


@contextmanager
def fresh_yard(home: Path) -> Generator[FreshYard]:
    run_command(home, "up", "--detach", "--port", "0")
    try:
        url = str(json.loads((home / "yard.json").read_text())["url"]).rstrip("/")
        key = (home / "key").read_text().strip()
        with Client(url, key) as client:
            yield FreshYard(home, url, key, client)
    finally:
        run_command(home, "down")


def run_command(home: Path, *words: str) -> None:
    """What it prints is shown only where it fails."""
    environment = {**os.environ, "MODELYARD_HOME": str(home)}
    for name in ("MODELYARD_URL", "MODELYARD_API_KEY"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "modelyard.cli.main", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"cannot go on: `modelyard {' '.join(words)}` says {done.stdout}{done.stderr}")
